"""Find the chunks that contain what a query names to the letter, where few chunks do.

Vectors blur an identifier into its words, and BM25 is one score of several. A rare identifier is not a matter of
degree: the passage that contains it is the one that was meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rag_search.records import Chunk, DocumentFacts
from rag_search.text.evidence import Item, evidence_items, normalise
from rag_search.text.names import name_text
from rag_search.text.passages import hidden_addresses
from rag_search.text.terms import terms

FEW = 5  # chunks; an item in more of them does not tell one from another
LOOKED_AT = 60  # chunks with the terms of an item whose text is looked at
AT_A_TIME = 8  # of them: an item that most of them contain is known to be frequent after the first few
OTHER_WORD = 0.1  # weight of a word of the query that is not an item


class EvidenceIndex(Protocol):
    """What the search for evidence reads of an index."""

    def matching(self, alternatives: Sequence[Sequence[str]], limit: int) -> list[int]:
        """Return ids of chunks with all terms of any alternative, at most `limit`."""
        ...

    def chunks(self, chunk_ids: Sequence[int]) -> list[Chunk]:
        """Return the chunks, in order."""
        ...

    def facts(self, chunk_ids: Sequence[int]) -> list[DocumentFacts]:
        """Return the facts about the document of each chunk, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a chunk contains to the letter.

    items: texts of the query. strength: the square of their share of the query, 0 to 1: an identifier in a long
    question is one hint of several.
    """

    items: tuple[str, ...]
    strength: float


def find_evidence(index: EvidenceIndex, query: str) -> dict[int, Evidence]:
    """Return the evidence in the chunks that contain a rare item of the query."""
    items = evidence_items(query)
    found: dict[int, list[Item]] = {}
    for item in items:
        for chunk_id in _chunks_with(index, item):
            found.setdefault(chunk_id, []).append(item)
    if not found:
        return {}
    total = max(1.0, sum(item.weight for item in items)) + OTHER_WORD * _other_words(query, items)
    return {
        chunk_id: Evidence(
            tuple(item.text for item in inside), min(1.0, sum(item.weight for item in inside) / total) ** 2
        )
        for chunk_id, inside in found.items()
    }


def find_marks(query: str, chunks: Sequence[Chunk]) -> dict[int, Evidence]:
    """Return the evidence in chunks that contain a query without letters and digits, such as `??=` or an emoji."""
    marks = normalise(query).strip()
    if terms(marks) or (len(marks) < 2 and marks.isascii()):
        return {}
    found = [chunk.chunk_id for chunk in chunks if marks in normalise(chunk.passage)]
    return {chunk_id: Evidence((marks,), 1.0) for chunk_id in found} if len(found) <= FEW else {}


def _chunks_with(index: EvidenceIndex, item: Item) -> list[int]:
    """Return the ids of the chunks that contain an item; none if there are more than FEW."""
    typed, spellings = [[term] for term in item.spellings[:1]], [[term] for term in item.spellings[1:]]
    for alternatives in (typed, spellings, [item.words]):
        chunk_ids = index.matching(alternatives, LOOKED_AT) if alternatives else []
        if len(chunk_ids) >= LOOKED_AT:
            return []
        verified = _verified(index, item, chunk_ids)
        if verified:
            return verified if len(verified) <= FEW else []
    return []


def _verified(index: EvidenceIndex, item: Item, chunk_ids: Sequence[int]) -> list[int]:
    """Return those chunks whose passage, names or hidden addresses contain the item; of many only the first."""
    verified: list[int] = []
    for start in range(0, len(chunk_ids), AT_A_TIME):
        chunks = index.chunks(chunk_ids[start : start + AT_A_TIME])
        inside = {chunk.chunk_id for chunk in chunks if item.pattern.search(normalise(chunk.passage))}
        if len(verified) + len(inside) <= FEW:
            inside |= _named(index, item, [chunk for chunk in chunks if chunk.chunk_id not in inside])
        verified += [chunk.chunk_id for chunk in chunks if chunk.chunk_id in inside]
        if len(verified) > FEW:
            break
    return verified


def _named(index: EvidenceIndex, item: Item, chunks: Sequence[Chunk]) -> set[int]:
    """Return the ids of those chunks whose names or hidden addresses contain the item."""
    facts = index.facts([chunk.chunk_id for chunk in chunks]) if chunks else []
    texts = (
        (chunk.chunk_id, [name_text(fact.path, fact.title, fact.metadata), *hidden_addresses(chunk)])
        for chunk, fact in zip(chunks, facts, strict=True)
    )
    return {number for number, parts in texts if any(item.pattern.search(normalise(part)) for part in parts)}


def _other_words(query: str, items: Sequence[Item]) -> int:
    """Return the number of words of a query that are not part of an item; a pair of CJK characters is a word."""
    inside = {word for item in items for word in (*item.words, *item.spellings)}
    return sum(len(word) > 2 or not word.isascii() for word in set(terms(query)) - inside if len(word) > 1)
