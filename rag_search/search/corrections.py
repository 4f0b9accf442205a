"""Correct typing errors of a query by the words of the index: Latin words one letter off, Chinese homophones.

A word is touched only if the index does not have it, and a Latin one only if the tokenizer needs more pieces for it
than for its correction: `refuse` is a word, `conection` is not. Whether a Chinese character is wrong shows in its pairs
with both neighbours: a wrong one makes two unknown pairs, and a homophone makes a word. Characters that are words by
themselves are left alone, since they stand beside anything.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rag_search.records import CountTokens

MIN_WORD = 5  # letters of a Latin word
MAX_WORD = 20
MAX_CHECKED = 40  # words and characters of one query
KNOWN = 2  # chunks that have a correction, at least
ASSOCIATION = 10.0  # a pair of characters is a word if it is so many times as frequent as by chance
MAX_SUSPECTS = 3  # characters of a query; where more are unknown, it is in another language than the index
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
    for match in words:
        word = match[0].lower()
        if known[word]:
            continue
        counts = index.term_counts(list(_one_edit_away(word)))
        meant = max(counts, key=lambda term: (counts[term], term))
        if counts[meant] >= KNOWN and not _is_inflected(word, meant):
            pieces, fewer = count_tokens([word, meant]).tolist()
            if pieces <= fewer:
                continue
            yield Correction(match.start(), match.end(), match[0], meant)


def _one_edit_away(word: str) -> Iterator[str]:
    """Yield the words that one letter left out, added, changed or swapped with the next makes of `word`."""
    for place in range(len(word) + 1):
        head, tail = word[:place], word[place:]
        if tail:
            yield head + tail[1:]
        if len(tail) > 1 and tail[0] != tail[1]:
            yield head + tail[1] + tail[0] + tail[2:]
        for letter in string.ascii_lowercase:
            yield head + letter + tail
            if tail and letter != tail[0]:
                yield head + letter + tail[1:]


def _is_inflected(word: str, meant: str) -> bool:
    """Return whether two words are forms of one word, which the models know: `streams` and `stream`."""
    short, long = sorted((word, meant), key=len)
    return long.startswith(short) and long[len(short) :] in ("s", "d", "r", "y")


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
    """Return the homophone of a character that makes the most frequent word with a neighbour; "" without one."""
    from rag_search.text.pinyin import homophones  # here, since reading the table of readings takes long

    alike = sorted(homophones(char))
    pairs = {pair: other for other in alike for pair in (before + other, other + after) if len(pair) == 2}
    counts = index.term_counts([char, before, after, *alike, *pairs])
    words = [
        pair
        for pair in pairs
        if counts[pair] >= max(KNOWN, counts[char])
        and counts[pair] * index.chunk_count >= ASSOCIATION * counts[pair[0]] * counts[pair[1]]
    ]
    return pairs[max(words, key=lambda pair: (counts[pair], pair))] if words else ""
