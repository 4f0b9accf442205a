"""Follow an instruction with an engine whose models cannot: prefer documents by what they tell of themselves.

"for beginners", "准确回答", "2024年最新", "before 2022", "in English": title, headings, front matter, folders, dates
and the opening of a passage say for whom, how, when and in which language a document was written. An instruction that
asks for nothing of this kind counts by its own vector.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rag_search.records import DocumentFacts, FloatVector, Hit
from rag_search.text.names import name_text
from rag_search.text.scripts import LATIN, is_passage_in

WEIGHT = 5.0  # of a facet, in the reranker's blend
FREE_WEIGHT = 1.0  # of a standard deviation of the likeness to an instruction without a facet
OPENING = 400  # characters of a passage that show its style

_BEGINNER = re.compile(
    r"新手|入门|零基础|小白|初学|快速上手|快速开始|快速入门|从零|从头|手把手|第一次|不懂|刚接触|通俗|大白话"
    r"|是什么"
    r"|\b(beginners?|newcomers?|novices?|getting[- ]started|quick[- ]?starts?|introduct\w+|intro|tutorials?"
    r"|first steps?|basics?|primer|from scratch|101|step[- ]by[- ]step|dummies|plain words|simple)\b",
    re.IGNORECASE,
)
_EXPERT = re.compile(
    r"专家|进阶|高级|深入|原理|源码|内核|调优|资深|深度|底层|写给已经|有经验"
    r"|\b(experts?|advanced|deep[- ]dives?|internals?|under the hood|in[- ]depth|tuning|experienced|professionals?"
    r"|seniors?|architecture)\b",
    re.IGNORECASE,
)
_EXACT = re.compile(
    r"准确|精确|严谨|权威|官方|规范|\b(exact(ly)?|precise(ly)?|accurate(ly)?|authoritative|official|rigorous)\b",
    re.IGNORECASE,
)
_REFERENCE = re.compile(
    r"参考|手册|接口文档|规范|速查|定义|语义|保证|参数说明|错误码"
    r"|\b(api|reference|manual|specs?|specification|parameters?|options|settings|semantics|guarantees?|rfc)\b",
    re.IGNORECASE,
)
_LOOSE = re.compile(
    r"杂谈|随笔|闲聊|传闻|据说|经验之谈|踩坑|大概|差不多|心得|故事"
    r"|\b(blog|story|stories|musings|rumou?rs?|roughly|more or less|opinions?|anecdotes?|rule of thumb|chat)\b",
    re.IGNORECASE,
)
_LATEST = re.compile(
    r"最新|新版|目前|现行|当前版本|\b(latest|newest|current|up[- ]to[- ]date|recent|modern)\b", re.IGNORECASE
)
_OLD = re.compile(r"旧版|老版|过时|历史版本|\b(old|legacy|former|previous|outdated|deprecated)\b", re.IGNORECASE)
_SUPERSEDED = re.compile(
    r"旧版|废弃|过时|停用|\b(deprecated|legacy|outdated|superseded|obsolete|archived?)\b", re.IGNORECASE
)
_YEAR = re.compile(r"(?<!\d)(19[89]\d|20[0-4]\d)(?!\d)")
_BEFORE = re.compile(r"(before|until|prior to|older than)\s*(\d{4})|(\d{4})\s*年?(以前|之前|前)", re.IGNORECASE)
_AFTER = re.compile(r"(after|since|from|newer than)\s*(\d{4})|(\d{4})\s*年?(以后|之后|以来|起|后)", re.IGNORECASE)
_ENGLISH = re.compile(r"英文|英语|\b(in )?english\b", re.IGNORECASE)
_CHINESE = re.compile(r"中文|汉语|\b(in )?(chinese|mandarin)\b", re.IGNORECASE)

Facet = Callable[[Sequence["_Described"]], FloatVector]


@dataclass(frozen=True, slots=True)
class _Described:
    """What a candidate tells of itself. names: of its document, and its headings. year: 0 if unknown."""

    names: str
    opening: str
    passage: str
    year: int
    own_year: bool


def facets_of(instruction: str) -> dict[str, Facet]:
    """Return what an instruction asks for: a name for people, and how far each candidate meets it, -1 to 1."""
    facets: dict[str, Facet] = {}
    if _BEGINNER.search(instruction):
        facets["for beginners"] = lambda found: _contrast(found, _BEGINNER, _EXPERT)
    elif _EXPERT.search(instruction):
        facets["for experts"] = lambda found: _contrast(found, _EXPERT, _BEGINNER)
    if _EXACT.search(instruction) or _REFERENCE.search(instruction):
        facets["exact"] = lambda found: _contrast(found, _REFERENCE, _BEGINNER, _LOOSE)
    facets |= _dated(instruction)
    if _ENGLISH.search(instruction):
        facets["in English"] = lambda found: _written_in(found, LATIN)
    elif _CHINESE.search(instruction):
        facets["in Chinese"] = lambda found: _written_in(found, "cjk")
    return facets


def preferences(
    instruction: str, hits: Sequence[Hit], facts: Sequence[DocumentFacts], similarities: FloatVector
) -> FloatVector:
    """Return how far each hit meets the instruction, (len(hits),), to be added to the reranker's blend.

    facts: about the document of each hit. similarities: cosines of the passages with the instruction.
    """
    described = [_describe(hit, fact) for hit, fact in zip(hits, facts, strict=True)]
    facets = facets_of(instruction)
    if not facets:
        spread = float(similarities.std()) or 1.0
        return np.asarray(FREE_WEIGHT * (similarities - similarities.mean()) / spread, np.float32)
    return np.asarray(WEIGHT * np.sum([facet(described) for facet in facets.values()], axis=0), np.float32)


def _describe(hit: Hit, facts: DocumentFacts) -> _Described:
    chunk = hit.chunk
    told = " ".join(str(value) for key, value in facts.metadata.items() if key not in ("updated", "date", "tags"))
    names = "\n".join((name_text(facts.path, facts.title, facts.metadata), *chunk.heading_path, told))
    years = [int(year) for year in _YEAR.findall("\n".join((facts.path, facts.title, *chunk.heading_path)))]
    year = max(years) if years else int(facts.updated[:4] or 0)
    return _Described(names, chunk.passage[:OPENING], chunk.passage, year, bool(years))


def _contrast(found: Sequence[_Described], wanted: re.Pattern[str], *unwanted: re.Pattern[str]) -> FloatVector:
    """Return 1 for candidates whose names say so, half for those whose opening does, and the negative for others."""

    def level(text: str) -> float:
        return float(bool(wanted.search(text))) - float(any(other.search(text) for other in unwanted))

    return np.array([level(one.names) or 0.5 * level(one.opening) for one in found], np.float32)


def _dated(instruction: str) -> dict[str, Facet]:
    """Return the facet of an instruction that names a time."""
    if match := _BEFORE.search(instruction):
        year = int(match[2] or match[3])
        return {f"before {year}": lambda found: _years(found, lambda y: y < year)}
    if match := _AFTER.search(instruction):
        year = int(match[2] or match[3])
        return {f"since {year}": lambda found: _years(found, lambda y: y >= year)}
    if match := _YEAR.search(instruction):
        year = int(match[0])
        return {f"of {year}": lambda found: _of_year(found, year)}
    if _OLD.search(instruction):
        return {"older": lambda found: -_newness(found)}
    return {"latest": _newness} if _LATEST.search(instruction) else {}


def _years(found: Sequence[_Described], meets: Callable[[int], bool]) -> FloatVector:
    return np.array([(1.0 if meets(one.year) else -1.0) if one.year else 0.0 for one in found], np.float32)


def _of_year(found: Sequence[_Described], year: int) -> FloatVector:
    """Return 1 for candidates that name the year, -1 for those that name another, less for the date of the file."""
    return np.array(
        [(1.0 if one.own_year else 0.4) * (1.0 if one.year == year else -1.0) if one.year else 0.0 for one in found],
        np.float32,
    )


def _newness(found: Sequence[_Described]) -> FloatVector:
    """Return -1 for the oldest candidate, 1 for the newest, and less for what calls itself superseded."""
    years = np.array([one.year for one in found], np.float32)
    known = years > 0
    if not known.any():
        return np.zeros(len(found), np.float32)
    low, high = float(years[known].min()), float(years[known].max())
    level = np.where(known, 2 * (years - low) / max(1.0, high - low) - 1, 0.0) if high > low else 0.0 * years
    old = np.array([bool(_SUPERSEDED.search(one.names)) for one in found])
    return np.asarray(np.where(old, -1.0, level), np.float32)


def _written_in(found: Sequence[_Described], script: str) -> FloatVector:
    """Return 2 for candidates in a script, -2 for others: more than a passage in the query's own language is ahead."""
    return np.array([2.0 if is_passage_in(one.passage, script) else -2.0 for one in found], np.float32)
