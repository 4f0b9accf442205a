"""Correct typing errors of a query by the words of the index: Latin words one letter off, Chinese homophones.

A word is touched only if the index does not have it, and a Latin one only if the tokenizer needs more pieces for it
than for its correction, or as many for a frequent one: `refuse` is a word, `conection` is not. Whether a Chinese
character is wrong shows in its pairs with both neighbours: a wrong one makes two unknown pairs, and a homophone makes
a word. Characters that are words by themselves are left alone, since they stand beside anything.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Protocol

from rag_search.records import CountTokens

MIN_WORD = 5  # letters of a Latin word
MAX_WORD = 20
MAX_CHECKED = 40  # words and characters of one query
KNOWN = 2  # chunks that have a correction, at least
FREQUENT = 10  # chunks that have a correction which takes the tokenizer as many pieces as what was typed
ASSOCIATION = 10.0  # times as frequent as by chance: a word, if the typed character is not in more chunks
SURE = 5.5  # of any other homophone: log of the chunks with its word, times log of that frequency
MAX_UNKNOWN = 4  # Latin words of a query; where more are unknown, it is in another language than the index
HEAD = 3  # letters that a word has in common with most words that are one edit away
ENDINGS = ("s", "d", "r", "y")
SMALL_INDEX = 20_000  # chunks
MAX_NEAR = 5000  # terms with the same beginning that are looked at
MAX_SUSPECTS = 6  # characters of a query; where more are unknown, it is in another language than the index
WORDS = frozenset(  # the most frequent Chinese characters, which are words by themselves
    "的一是了我不在人有他这个上们来到时大地为子中你说生国年着就那和要她出也得里后自以会家可下而过天去能对小多然于心学么之都好看起发当没成只"
    "如事把还用第样道想作种开美总从无情己面最女但现前些所同日手又行意动方期它头经长儿回位分爱老因很给名法间知世什两次使身者被高已亲其进此话常与"
    "活正感见明问力理点文几定本公特做外相西果走将月十实向声全信重三机工物气每并别真打太新比才便再书部水像眼等体却加电主界门利海受听表少代员许先口"
    "由安写性光或住难望教命花结色更东神记处让应直字场平报友关放至认接告入内民往何度山觉路带万边风解叫任金快原吃变通师立象数四失满远格士音轻目条呢"
    "病始达深完今提求清化空业思切怎非找片钱吗语元离科言干流约各即指合反题必该论交终请晚制决传画保读运及则早院量苦火布品近坐产答视五连司管类未且台"
    "夜北队久越观落尽形影红百令周吧识步希术留市半热送兴造容极随收首根讲整式取照办强跑啥咋填敲弄掉挂装卸扣删改查调哪嘛按抛竖横拼套抽塞钉降升块遍坏"
)
_WORD = re.compile(r"(?<![\w.@/#:=-])[A-Za-z]+(?![\w@/#:=-])(?!\.\w)", re.ASCII)
_HAN = re.compile("[\u4e00-\u9fff]+")


class Vocabulary(Protocol):
    """The part of an index that knows its terms."""

    @property
    def chunk_count(self) -> int:
        """Number of chunks that can be found."""
        ...

    def term_counts(self, terms: Sequence[str]) -> dict[str, int]:
        """Return the number of chunks that have each term."""
        ...

    def terms_between(self, first: str, last: str, limit: int) -> list[tuple[str, int]]:
        """Return the terms from `first` up to, not including, `last`, with the number of chunks that have each."""
        ...


@dataclass(frozen=True, slots=True)
class Correction:
    """A part of the query from `start` to `end`, as it was typed and as it is in the index."""

    start: int
    end: int
    typed: str
    meant: str


def find_corrections(index: Vocabulary, query: str, *, count_tokens: CountTokens) -> list[Correction]:
    """Return the corrections of a query, in order; none for a query whose words the index has."""
    found = (*_latin(index, query, count_tokens), *_chinese(index, query))
    return sorted(found, key=lambda correction: correction.start)


def corrected(query: str, corrections: Sequence[Correction]) -> str:
    """Return the query with its corrections."""
    for found in reversed(corrections):
        query = query[: found.start] + found.meant + query[found.end :]
    return query


def _latin(index: Vocabulary, query: str, count_tokens: CountTokens) -> Iterator[Correction]:
    words = [
        match
        for match in _WORD.finditer(query)
        if MIN_WORD <= len(match[0]) <= MAX_WORD and (match[0].islower() or match[0].istitle())
    ][:MAX_CHECKED]
    known = index.term_counts([match[0].lower() for match in words]) if words else {}
    unknown = [match for match in words if not known[match[0].lower()]]
    if not unknown or len(unknown) > MAX_UNKNOWN:
        return
    pieces = count_tokens([match[0].lower() for match in unknown]).tolist()
    for match, length in zip(unknown, pieces, strict=True):
        meant, count = _nearest(index, match[0].lower()) if length > 1 else ("", 0)
        if count >= KNOWN and not _is_inflected(match[0].lower(), meant):
            shorter = length - int(count_tokens([meant])[0])
            if shorter > 0 or (shorter == 0 and count >= FREQUENT):
                yield Correction(match.start(), match.end(), match[0], meant)


def _nearest(index: Vocabulary, word: str) -> tuple[str, int]:
    """Return the most frequent term of the index that is one edit away from a word, and the number of its chunks."""
    counts = _counts(index, set(_one_edit_away(word)), head=word[:HEAD])
    meant = max(counts, key=lambda term: (counts[term], term), default="")
    return meant, counts.get(meant, 0)


def _counts(index: Vocabulary, terms: Set[str], *, head: str) -> dict[str, int]:
    """Return those of `terms` that the index has, with the number of chunks.

    head: of many of them; in a small index they are read in one pass, which takes a tenth of a look-up for each. In a
    large one the pass would read more.
    """
    if not head or index.chunk_count > SMALL_INDEX:
        return {term: count for term, count in index.term_counts(sorted(terms)).items() if count}
    alike = {term: count for term, count in index.terms_between(head, _after(head), MAX_NEAR) if term in terms}
    others = index.term_counts(sorted(term for term in terms if not term.startswith(head)))
    return alike | {term: count for term, count in others.items() if count}


def _after(text: str) -> str:
    """Return the first text, in the order of code points, that is after every text that begins with `text`."""
    return text[:-1] + chr(ord(text[-1]) + 1)


def _one_edit_away(word: str) -> Iterator[str]:
    """Yield the words that one letter left out, added, changed or swapped with the next makes of `word`.

    No letter is added before the first, which is not changed either: it is seldom wrong.
    """
    for place in range(len(word) + 1):
        head, tail = word[:place], word[place:]
        if tail:
            yield head + tail[1:]
        if len(tail) > 1 and tail[0] != tail[1]:
            yield head + tail[1] + tail[0] + tail[2:]
        for letter in string.ascii_lowercase if head else "":
            yield head + letter + tail
            if tail and letter != tail[0]:
                yield head + letter + tail[1:]


def _is_inflected(word: str, meant: str) -> bool:
    """Return whether two words are forms of one word, which the models know: `streams` and `stream`."""
    short, long = sorted((word, meant), key=len)
    same = short if len(short) < len(long) else short[:-1]
    return long.startswith(same) and all(word.removeprefix(same) in ("", *ENDINGS) for word in (short, long))


def _chinese(index: Vocabulary, query: str) -> Iterator[Correction]:
    runs = [(run.start(), run[0]) for run in _HAN.finditer(query)]
    pairs = {run[place : place + 2] for _, run in runs for place in range(len(run) - 1)}
    if not pairs:
        return
    known = index.term_counts(sorted(pairs))
    suspects = [(start, run, place) for start, run in runs for place in _suspects(run, known)]
    if len(suspects) > MAX_SUSPECTS:
        return
    done = -1
    for start, run, place in suspects:
        before, char, after = run[max(0, place - 1) : place], run[place], run[place + 1 : place + 2]
        if start + place > done and (meant := _homophone(index, before, char, after)):
            done = start + place + 1  # the next one was suspect for the sake of this one
            yield Correction(start + place, start + place + 1, char, meant)


def _suspects(run: str, known: Mapping[str, int]) -> Iterator[int]:
    """Yield the places of characters whose pairs with their neighbours are all unknown."""
    for place, char in enumerate(run):
        around = [run[start : start + 2] for start in (place - 1, place) if 0 <= start < len(run) - 1]
        if char not in WORDS and around and not any(known[pair] for pair in around):
            yield place


def _homophone(index: Vocabulary, before: str, char: str, after: str) -> str:
    """Return the homophone of a character that makes the surest words with its neighbours; "" without one."""
    from rag_search.text.pinyin import homophones  # here, since reading the table of readings takes long

    alike = homophones(char)
    left, right = dict[str, int](), dict[str, int]()
    if before:
        left = {pair[1]: n for pair, n in _counts(index, {before + other for other in alike}, head=before).items()}
    if after:
        right = {pair[0]: n for pair, n in _counts(index, {other + after for other in alike}, head="").items()}
    counts = index.term_counts([part for part in (char, before, after, *left, *right) if part])

    def words(other: str) -> list[tuple[int, float]]:
        """Return in how many chunks the pair with each neighbour is, and how much more often than by chance."""
        pairs = (before, left.get(other, 0)), (after, right.get(other, 0))
        return [(n, n * index.chunk_count / (max(1, counts[beside] * counts[other]))) for beside, n in pairs if n]

    def sureness(other: str) -> float:
        return sum(math.log1p(count) * math.log1p(association) for count, association in words(other))

    best = max(sorted({*left, *right}), key=sureness, default="")
    if not best:
        return ""
    is_rarer = any(n >= max(KNOWN, counts[char]) and association >= ASSOCIATION for n, association in words(best))
    return best if is_rarer or sureness(best) >= SURE else ""
