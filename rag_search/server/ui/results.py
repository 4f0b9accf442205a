"""Render results as HTML. All text from documents and users passes through `safe`.

The style sheet is page.css. A button with `data-document` and lines opens the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

from rag_search.records import Chunk, Hit, SearchResult, StageScores
from rag_search.render.editors import link
from rag_search.render.notes import CHANGED
from rag_search.render.paths import PathMapper
from rag_search.render.snippet import highlights, snippet_with_best
from rag_search.rerank.rank import RankedPassage
from rag_search.text.amounts import count
from rag_search.text.passages import all_headings, body_of
from rag_search.text.sanitize import plain

SNIPPET_CELLS = 320
PASSAGE_CHARS = 4000  # of a passage in the sandbox; longer ones are cut on the page, not for the reranker
FOLDED_CHARS = 320
SIBLINGS = 4
_EDITOR_ADDRESS = re.compile(r"(?!javascript|data|vbscript|file|https?)[a-z][a-z0-9+.-]*://")  # of programs, not pages

Span = tuple[int, int]


def safe(text: str) -> str:
    """Escape `text` for use as HTML text or as an attribute value in double quotes."""
    return escape(plain(text), quote=True)


def search_html(result: SearchResult, mapper: PathMapper, *, editor: str = "vscode") -> str:
    """Return the hits of one query, or 'No confident match' and the nearest ones; then notes, models and times."""
    if result.hits:
        body = f'<ol class="hits">{"".join(_hit(hit, result.query, mapper, editor) for hit in result.hits)}</ol>'
        return body + _notes(result.notes) + _engines(result)
    body = '<div class="empty"><b>No confident match</b><p>Ask in other words, or loosen the filters.</p></div>'
    if result.near_misses:
        nearest = "".join(_hit(hit, result.query, mapper, editor) for hit in result.near_misses)
        needed = "" if result.threshold is None else f" (a match needs {result.threshold:.3f})"
        body += f'<h2 class="nearest">Nearest{needed}</h2><ol class="hits weak">{nearest}</ol>'
    return body + _notes(result.notes) + _engines(result)


def passages_html(
    ranked: Sequence[RankedPassage], query: str, *, facts: Iterable[str], notes: Iterable[str] = ()
) -> str:
    """Return scored passages, best first.

    facts: the model, the instruction, and the time.
    """
    rows = "".join(_passage(passage, query) for passage in ranked)
    return f'<ol class="hits">{rows}</ol>' + _notes(notes) + f'<p class="facts">{_joined(facts)}</p>'


def error_html(message: str, remedy: str = "") -> str:
    """Return an error message to show in place of results."""
    remedied = f"<p>{safe(remedy)}</p>" if remedy else ""
    return f'<div class="problem" role="alert"><b>{safe(_sentence(message))}</b>{remedied}</div>'


def hint_html(text: str) -> str:
    """Return the text of an area of the page that is still empty."""
    return f'<p class="hint">{safe(text)}</p>'


def start_html(questions: Sequence[str], folders: Mapping[str, int]) -> str:
    """Return what the page shows before the first question: examples to click, and the folders of the index.

    folders: stored path -> number of documents.
    """
    examples = "".join(
        f'<li><button type="button" class="example" data-question="{safe(text)}">{safe(text)}</button></li>'
        for text in questions
    )
    places = "".join(
        f'<li><button type="button" class="folder" data-folder="{safe(path)}">{safe(path)}</button> {documents:,}</li>'
        for path, documents in folders.items()
    )
    parts = [hint_html("Type a question and press Enter. A leading [...] is an instruction.")]
    parts += [f"<h2>For example</h2><ul>{examples}</ul>"] if examples else []
    parts += [f'<h2>Search in a folder</h2><ul class="folders">{places}</ul>'] if places else []
    return f'<div class="start">{"".join(parts)}</div>'


def head_html(status: str) -> str:
    """Return the name and one line about the server. status: HTML."""
    return f'<h1>ragsearch</h1><span class="status">{status}</span>'


def status_html(status: Mapping[str, Any]) -> str:
    """Return one line about the index and the models. status: from LiveSearcher.status."""
    parts = [count(status["documents"], "document"), count(status["chunks"], "passage"), str(status["embedder"])]
    return _joined([*parts, str(status["reranker"] or "no reranker")])


def _hit(hit: Hit, query: str, mapper: PathMapper, editor: str) -> str:
    chunk = hit.chunk
    heading = "".join(f'<span class="under"> › {safe(part)}</span>' for part in all_headings(chunk, hit.line))
    title = _opener(chunk, chunk.line_start, chunk.line_end, f"{safe(chunk.title)}{heading}", "title")
    place = f"{safe(mapper.printed(chunk.path))}:{hit.line}"
    text, best = snippet_with_best(body_of(chunk), query, cells=SNIPPET_CELLS, sentence=hit.sentence)
    words = _words(text, query)
    if not any(best[0] <= start < best[1] for start, _ in words):
        best = (0, 0)  # question and passage share no word, so no sentence is better than the others
    return (
        f'<li><div class="head"><b class="rank">{hit.rank}</b>{title}{_score(hit.score, "hit-score")}</div>'
        f'<div class="place"><span>{place}</span>{_changed(hit)}{_siblings(hit)}{_actions(hit, mapper, editor)}</div>'
        f'<p class="text">{_marked(text, best, words)}</p>{_stages(hit.scores)}</li>'
    )


def _opener(chunk: Chunk, first: int, last: int, content: str, kind: str) -> str:
    """Return a button that opens the document of a chunk at some lines. content: HTML."""
    lines = f'data-first="{first}" data-last="{last}"'
    return f'<button type="button" class="{kind}" data-document="{escape(chunk.path)}" {lines}>{content}</button>'


def _siblings(hit: Hit) -> str:
    siblings = hit.siblings[:SIBLINGS]
    links = [_opener(hit.chunk, s.line_start, s.line_end, f":{s.line_start}", "also") for s in siblings]
    return f'<span class="also-at">also at {" ".join(links)}</span>' if links else ""


def _changed(hit: Hit) -> str:
    return f'<span class="changed">{CHANGED[hit.changed]}</span>' if hit.changed in CHANGED else ""


def _score(score: float, kind: str) -> str:
    """Return a number with a bar, which is full at 1."""
    filled = min(1.0, max(0.0, score)) * 100
    level = "high" if score >= 0.5 else "low"
    bar = f'<i class="bar"><i style="width:{filled:.1f}%"></i></i>'
    return f'<span class="score {kind} {level}">{bar}<b>{score:.3f}</b></span>'


def _stages(scores: StageScores) -> str:
    named = (("dense", scores.dense), ("lexical", scores.lexical), ("fused", scores.fused), ("rerank", scores.rerank))
    cells = "".join(f"<span>{name} <b>{'–' if value is None else f'{value:.3f}'}</b></span>" for name, value in named)
    return f'<details class="more-facts"><summary>details</summary><div class="stages">{cells}</div></details>'


def _actions(hit: Hit, mapper: PathMapper, editor: str) -> str:
    """Return what can be done with the place of a hit: copy it, or open it in an editor."""
    place = f"{mapper.printed(hit.chunk.path)}:{hit.line}"
    copy = f'<button type="button" class="act" data-copy="{safe(place)}">copy path</button>'
    address = link(editor, mapper.absolute(hit.chunk.path), hit.line)
    if not _EDITOR_ADDRESS.match(address):
        return copy
    return f'{copy}<a class="act" href="{safe(address)}">open in editor</a>'


def _passage(passage: RankedPassage, query: str) -> str:
    text = plain(passage.text)
    cut = len(text) - PASSAGE_CHARS
    start = text[:PASSAGE_CHARS]
    body = _marked(start, (0, 0), _words(start, query))
    if cut > 0:
        body += f' <span class="more">… {cut:,} more characters</span>'
    if len(text) > FOLDED_CHARS:
        body = f'<details class="text"><summary>{body}</summary></details>'
    else:
        body = f'<p class="text">{body}</p>'
    head = f'<b class="rank">{passage.rank}</b><span class="which">passage {passage.index + 1}</span>'
    return f'<li><div class="head">{head}{_score(passage.score, "wide")}</div>{body}</li>'


def _words(text: str, query: str) -> list[Span]:
    return list(highlights(text, query))


def _marked(text: str, best: Span, words: Sequence[Span]) -> str:
    """Return `text` as HTML, with the best sentence in <mark> and words of the query in <b>."""
    inside = bytearray(len(text))
    for start, stop in words:
        inside[start:stop] = b"\1" * (stop - start)
    borders = {0, len(text), *best, *(border for span in words for border in span)}
    parts = []
    for start, stop in pairwise(sorted(borders)):
        part = safe(text[start:stop])
        part = f"<b>{part}</b>" if inside[start] else part
        parts.append(f"<mark>{part}</mark>" if best[0] <= start < best[1] else part)
    return "".join(parts)


def _notes(notes: Iterable[str]) -> str:
    items = "".join(f"<li>{safe(note)}</li>" for note in notes)
    return f'<ul class="notes">{items}</ul>' if items else ""


def _engines(result: SearchResult) -> str:
    stages = [f"{safe(stage)} {ms:.1f}" for stage, ms in result.timings_ms.items() if stage != "total"]
    times = f"{result.timings_ms.get('total', 0.0):.1f} ms ({', '.join(stages)})"
    engine = result.engine
    facts = [f"instruction: {result.instruction}"] if result.instruction else []
    facts += [engine.embedder, engine.reranker or "no reranker", engine.index]
    body = f'<p class="facts">{times}<br>{_joined(facts)}</p>'
    return f'<details class="more-facts"><summary>details of this search</summary>{body}</details>'


def _joined(facts: Iterable[str]) -> str:
    return " · ".join(safe(fact) for fact in facts)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
