"""Split text of any script into the terms that BM25 counts.

Latin, Greek, Cyrillic, Arabic, Indic, ...: words, lower-cased, accents folded. An identifier yields itself and its
parts: `maxIdleTime` -> maxidletime max idle time; `ERR_CONN_TIMEOUT` -> err_conn_timeout err conn timeout.
Chinese, Japanese, Korean: every character and every pair of neighbours. Thai, Lao, Khmer, Burmese, Tibetan, which
write no spaces: pairs only. No stemming and no stop words: both are made for one language.

The same function reads documents and queries. If its output changes in any way, change LEXICAL_VERSION, so that
indexes rebuild their terms.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import pairwise

from rag_search.text.radicals import unify
from rag_search.text.scripts import CJK, UNSPACED

LEXICAL_VERSION = "3"
MAX_TERM_CHARS = 64  # longer runs (base64, hash dumps) are truncated: they are not typed, and bloat the index

# Vowel signs and other marks belong to the word, but `\w` leaves them out.
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0963\u0966-\u0dff"
)
_LETTER = rf"[^\W_{CJK}{UNSPACED}]|[{_MARKS}]"
_RUNS = re.compile(  # with the class of letters once: compiling it takes a millisecond
    rf"(?P<cjk>[{CJK}]+)|(?P<unspaced>[{UNSPACED}]+)"
    rf"|(?P<word>(?![-_.])(?:(?:[-_]{{1,3}}|\.)?(?:{_LETTER})++)+(?:\+\+|\#(?!\w))?)"
)
_ASCII_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|(?:[-_]{1,3}|\.)(?=[A-Za-z0-9]))*(?:\+\+|#(?!\w))?", re.ASCII)
_NOT_ASCII = re.compile(rf"[^\x00-\x7f]{{1,256}}[{_MARKS}]{{0,32}}")
_LATIN_GREEK_ACCENTS = re.compile("(?<=[A-Za-z\u0370-\u03ff])[\u0300-\u036f]+")
_FOLDS = str.maketrans(
    {"ё": "е", "ı": "i", "ø": "o", "đ": "d", "ł": "l", "æ": "ae", "œ": "oe", "أ": "ا", "إ": "ا", "آ": "ا", "ى": "ي"}
    | {chr(code): None for code in (*range(0x064B, 0x0660), 0x0670, 0x0640, *range(0x0591, 0x05C8), 0x00AD)}
)


def terms(text: str) -> list[str]:
    """Return the terms of `text` in reading order, with repeats. A term has letters, digits, marks and `-_.+#` only."""
    found: list[str] = []
    if text.isascii():  # the same words as below, found in a third of the time
        for word in _ASCII_WORD.findall(text):
            found += _word_terms(word)
        return found
    for run in _RUNS.finditer(_normalise(text)):
        if run.lastgroup == "word":
            found += _word_terms(run.group())
        else:
            found += _pairs(run.group(), singles=run.lastgroup == "cjk")
    return found


def _normalise(text: str) -> str:
    """Apply NFKC: full-width forms become ASCII, ligatures become letters, decomposed accents are composed.

    In slices, because sorting one endless run of combining marks takes quadratic time.
    """
    if text.isascii():
        return text
    return _NOT_ASCII.sub(lambda run: unicodedata.normalize("NFKC", run.group()), unify(text))


def _word_terms(word: str) -> list[str]:
    """Return the word, and its parts if it has several."""
    if word.isascii() and word.isalpha() and (word.islower() or word.istitle() or word.isupper()):
        return [word.lower()[:MAX_TERM_CHARS]]  # most words, which have one part
    bare = word if word.isascii() else _without_accents(word)
    parts = [_fold(part) for part in _parts().findall(bare)]
    return [_fold(bare), *(part for part in parts if len(part) > 1)] if len(parts) > 1 else [_fold(bare)]


@cache
def _parts() -> re.Pattern[str]:
    """Compile the pattern of the parts of a word when it is first used: few questions have such a word."""
    return re.compile(
        rf"[A-Z]+(?![a-z])|[A-Z]?(?:(?![A-Z0-9])(?:{_LETTER}))+|[0-9]+"  # HTTPServer2 -> HTTP Server 2
    )


def _without_accents(word: str) -> str:
    """Remove accents: Café -> Cafe. й stays: in Cyrillic and Indic scripts the marks make another letter."""
    stripped = _LATIN_GREEK_ACCENTS.sub("", unicodedata.normalize("NFD", word[: 4 * MAX_TERM_CHARS]))
    return unicodedata.normalize("NFC", stripped)


def _fold(word: str) -> str:
    """Fold case, and letters that have two spellings: Straße -> strasse, Ёлка -> елка."""
    folded = word.lower() if word.isascii() else word.casefold().translate(_FOLDS)
    return (folded or word)[:MAX_TERM_CHARS]


def _pairs(run: str, *, singles: bool) -> list[str]:
    """Return characters and pairs: 連接池 -> 連 連接 接 接池 池."""
    pairs = [first + second for first, second in pairwise(run)]
    if singles:
        return [*(part for both in zip(run, pairs, strict=False) for part in both), run[-1]]
    return pairs or [run]
