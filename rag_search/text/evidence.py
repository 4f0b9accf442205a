"""Find the parts of a query that are meant to the letter: identifiers, codes, versions, numbers with a unit, quotes.

A model reads `max-old-space-size` as a few common words; a user who types it means exactly that. Spellings that mean
the same are equal: `maxOldSpaceSize` and `max_old_space_size`, `v2.1` and `2.1`, `512MB` and `512 MB`, and full-width
forms.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag_search.text.radicals import unify
from rag_search.text.terms import terms

MAX_ITEMS = 8  # of one query: a pasted log has hundreds
MAX_ITEM_CHARS = 200
NAME_WEIGHT = 0.5
CAPITAL_WEIGHT = 0.9  # of a word with a capital letter within a sentence
PLAIN_WORDS = 4  # a query of more words is a sentence, and a rare word in it may be an accident

_QUOTED = re.compile(r'"([^"\n]{2,200})"|“([^”\n]{2,200})”|「([^」\n]{2,200})」|『([^』\n]{2,200})』|`([^`\n]{2,200})`')
_ADDRESS = re.compile(r"https?://[^\s<>\"'`|\[\](){}\\^]{3,300}")
_WORD = re.compile(r"[A-Za-z0-9$@/~\\.#_:=+%-]+", re.ASCII)
_EDGES = " \t.,;:!?=-/\\'\"()[]{}<>…，。；：！？、（）【】"
_SENTENCE_ENDS = ".!?:;…。！？：；"
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\x00-\x7f]+")
_VERSION = re.compile(r"[vV]?(\d+(?:\.\d+)+(?:[-.]?(?:rc|beta|alpha|dev|post)[-.]?\d*)?)\Z")
_CAMEL = re.compile(r"[a-z][A-Z]|[A-Z]{2}[a-z]{2}")
_NUMBER_WITH_UNIT = re.compile(r"(?<![\w.=])(\d+(?:\.\d+)?) ?([A-Za-z%]{1,4})(?![\w%])")
_NUMBERED = re.compile(r"(?<![\w-])([A-Za-z]{2,20})[ #:-]{1,2}(\d{1,9})(?![\w.]\w)(?!\w)")
_UNITS = re.compile(r"[kmgt]?i?b|[munp]?s|sec|min|h|d|[kmg]?hz|px|pt|r?em|[kmgt%]|[qr]ps|bit", re.IGNORECASE)
_NUMBERED_NAMES = re.compile(
    r"(win|os|http)?err(or|no)?|code|status|exit|signal|rfc|pep|cve|issue|ticket|adr|http|sqlstate|ora", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Item:
    """A part of a query that is meant to the letter.

    text: as it was typed. spellings: terms, one of which a chunk has if it contains the item in one piece. words: terms
    that a chunk has if it contains the item in several.
    pattern: matches the item in normalised text, in any of its spellings. weight: 1 for what can only be meant to the
    letter, less for names and plain words.
    """

    text: str
    spellings: tuple[str, ...]
    words: tuple[str, ...]
    pattern: re.Pattern[str]
    weight: float = 1.0


def evidence_items(query: str) -> list[Item]:
    """Return the items of a query, quoted ones first, then web addresses, at most MAX_ITEMS."""
    text = normalise(query)
    found: dict[str, Item] = {}
    for quote in _QUOTED.finditer(text):
        item = next(part for part in quote.groups() if part)
        _add(found, item, 1.0, quoted=True)
    rest = _QUOTED.sub(" ", text)
    for address in _ADDRESS.finditer(rest):
        _add(found, address[0].rstrip(_EDGES), 1.0, quoted=True)
    rest = _ADDRESS.sub(" ", rest)
    for part, weight in _identifiers(rest):
        _add(found, part, weight)
    return list(found.values())


def normalise(text: str) -> str:
    """Return full-width forms as ASCII; other text unchanged."""
    return text if text.isascii() else unicodedata.normalize("NFKC", unify(text))


def _add(found: dict[str, Item], text: str, weight: float, *, quoted: bool = False) -> None:
    if len(found) == MAX_ITEMS:
        return
    typed = text.strip()[:MAX_ITEM_CHARS]
    text = typed if quoted else _assigned(typed) or typed  # documented with another value, or with a placeholder
    all_terms, spellings = tuple(dict.fromkeys(terms(text))), _spellings(text)
    if all_terms and text.casefold() not in found:
        words = tuple(term for term in all_terms if term not in spellings)  # in `x-v1.14.0-rc` it is part of a term
        found[text.casefold()] = Item(text, spellings, words or all_terms, _pattern(text, quoted=quoted), weight)


def _identifiers(text: str) -> Iterator[tuple[str, float]]:
    """Yield the identifiers, codes, numbers with a unit and names in a text without quotes, with their weights."""
    alone = len(text.split()) == 1
    few = len(text.split()) <= PLAIN_WORDS and text.isascii()
    pairs = [match[0] for match in _NUMBERED.finditer(text) if _is_numbered(match[1])]
    pairs += [match[0] for match in _NUMBER_WITH_UNIT.finditer(text) if _UNITS.fullmatch(match[2])]
    pairs = list(dict.fromkeys(pairs))[: 2 * MAX_ITEMS]  # each takes another pass over the text
    yield from ((pair, 1.0) for pair in pairs)
    for pair in pairs:
        text = text.replace(pair, " ")
    for match in _WORD.finditer(text):
        word = match[0].removeprefix("-D").strip(_EDGES)  # a property of Java
        if _is_identifier(word) or _assigned(word):
            yield word, 1.0
        elif len(word) > 2 and (few or _CAMEL.search(word) or (word.isupper() and len(word) >= 4)):
            yield word, 1.0 if alone else NAME_WEIGHT
        elif len(word) > 2 and _begins_no_sentence(word, text[max(0, match.start() - 2) : match.start()]):
            yield word, CAPITAL_WEIGHT


def _assigned(word: str) -> str:
    """Return the name in `name=value`, such as `pin-lockstep=8` or `maxmemory=2gb`; "" if a word is none."""
    name, _, value = word.partition("=")
    name = name.strip(_EDGES)
    return name if len(name) > 2 and value[:1].isalnum() and name[0].isalpha() else ""


def _is_numbered(name: str) -> bool:
    """Return whether a word before a number makes a code with it, such as `Errno 28` or `ISO 8601`."""
    return bool(_NUMBERED_NAMES.fullmatch(name)) or (name.isupper() and len(name) > 1)


def _begins_no_sentence(word: str, before: str) -> bool:
    """Return whether a word has a capital letter although it stands within a sentence, as names do in English.

    before: the two characters before it.
    """
    last = before.strip()[-1:]
    return bool(last) and last not in _SENTENCE_ENDS and word.isalpha() and word[0].isupper() and word[1:].islower()


def _is_identifier(word: str) -> bool:
    """Return whether a word can only be an identifier, code, version or number."""
    if _VERSION.match(word):
        return True
    if re.search("[0-9]", word):
        return bool(re.search("[A-Za-z]", word)) or len(word) >= 3
    if re.search(r"[A-Za-z][_./\\:#=+-]+[A-Za-z]", word):
        return not re.fullmatch(r"[A-Za-z]+-[a-z]+", word) or len(word) > 12  # not `left-hand`
    return bool(re.search("[a-z][A-Z]", word) and word[0].islower())


def _spellings(text: str) -> tuple[str, ...]:
    """Return the single terms under which an item may be in the index, as it was typed first."""
    if version := _VERSION.match(text):
        both = version[1].lower(), f"v{version[1].lower()}"
        return both if text[0].isdigit() else both[::-1]
    typed = [term for term in terms(text)[:1] if len(term) == len(text)]
    parts = [part.casefold() for part in _PARTS.findall(text)]
    return tuple(dict.fromkeys([*typed, *(mark.join(parts) for mark in ("", "_", "-", "."))])) if text.isascii() else ()


def _pattern(text: str, *, quoted: bool) -> re.Pattern[str]:
    """Compile what matches an item in normalised text, bounded by what is not a letter or digit."""
    if version := _VERSION.match(text):
        body = "[vV]?" + re.escape(version[1])
        return re.compile(rf"(?<![\w.]){body}(?![\w]|\.\d)", re.IGNORECASE)
    literal = quoted or not text.isascii()
    body = r"\s+".join(map(re.escape, text.split())) if literal else _joined(_PARTS.findall(text))
    start = r"(?<![^\W_])" if text[0].isascii() and text[0].isalnum() else ""
    end = r"(?![^\W_])" if text[-1].isascii() and text[-1].isalnum() else ""
    return re.compile(f"{start}{body}{end}", re.IGNORECASE)


def _joined(parts: Sequence[str]) -> str:
    """Return a pattern of parts with any mark or none between them, and blanks between letters and digits."""
    body = re.escape(parts[0])
    for before, part in pairwise(parts):
        blank = r"\s" if before[-1].isdigit() != part[0].isdigit() else ""
        body += rf"[-_./\\:=#@{blank}]{{0,2}}" + re.escape(part)
    return body
