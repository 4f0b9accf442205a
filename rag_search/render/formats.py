"""Write search results as data: json, jsonl, csv, md, xml, files. Field names are stable; `schema` is their version."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rag_search.records import Hit, SearchResult
from rag_search.render.notes import notes_of
from rag_search.render.paths import PathMapper
from rag_search.render.snippet import snippet
from rag_search.text.passages import all_headings, body_of, shown_part
from rag_search.text.sanitize import json_text, one_line, plain

SCHEMA = 1
_FORMULA_SIGNS = tuple("=+-@\t\n＝＋－＠")
CSV_FIELDS = ("query", "rank", "score", "path", "line_start", "line_end", "title", "heading_path", "text")


def as_dict(result: SearchResult, mapper: PathMapper) -> dict[str, Any]:
    """Return the JSON document of one query; documented in docs/json.md."""
    return {
        "schema": SCHEMA,
        "query": result.query,
        "instruction": result.instruction,
        "engine": {
            "embedder": result.engine.embedder,
            "reranker": result.engine.reranker,
            "index": result.engine.index,
        },
        "timings_ms": {stage: round(ms, 3) for stage, ms in result.timings_ms.items()},
        "confident": result.confident,
        "threshold": result.threshold,
        "notes": notes_of(result, mapper),
        "hits": [_hit(hit, mapper) for hit in result.hits],
        "near_misses": [_hit(hit, mapper) for hit in result.near_misses],
    }


def _hit(hit: Hit, mapper: PathMapper) -> dict[str, Any]:
    chunk, scores = hit.chunk, hit.scores
    line_start, line_end, text = shown_part(chunk)
    return {
        "rank": hit.rank,
        "score": hit.score,
        "path": mapper.shown(chunk.path),
        "line_start": line_start,
        "line_end": line_end,
        "line_best": hit.line,
        "title": chunk.title,
        "heading_path": list(chunk.heading_path),
        "text": text,
        "scores": {
            "dense": scores.dense,
            "lexical": scores.lexical,
            "fused": scores.fused,
            "rerank": scores.rerank,
        },
        "siblings": [
            {"line_start": sibling.line_start, "line_end": sibling.line_end, "score": sibling.score}
            for sibling in hit.siblings
        ],
        "exact": list(hit.exact),
        "same_in": [mapper.shown(path) for path in hit.same_in],
        "changed": hit.changed,
    }


def to_json(results: Sequence[SearchResult], mapper: PathMapper) -> str:
    """Write the document of the only query."""
    (result,) = results
    return json_text(as_dict(result, mapper), indent=2) + "\n"


def to_json_list(results: Sequence[SearchResult], mapper: PathMapper) -> str:
    """Write a list of documents, also for one query."""
    return json_text([as_dict(result, mapper) for result in results], indent=2) + "\n"


def to_jsonl(results: Sequence[SearchResult], mapper: PathMapper) -> str:
    """Write one line for each hit, with its query."""
    rows = ({"query": result.query, **_hit(hit, mapper)} for result in results for hit in result.hits)
    return "".join(json_text(row) + "\n" for row in rows)


def to_csv(results: Sequence[SearchResult], mapper: PathMapper) -> str:
    """Write RFC 4180 with a header line; heading paths are joined by " > "."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(CSV_FIELDS)
    for result in results:
        for hit in result.hits:
            row = {**_hit(hit, mapper), "query": result.query, "path": mapper.printed(hit.chunk.path)}
            row["heading_path"] = " > ".join(hit.chunk.heading_path)
            writer.writerow([_cell(row[name]) for name in CSV_FIELDS])
    return out.getvalue()


def _cell(value: Any) -> Any:
    """Return plain text that a spreadsheet does not run as a formula."""
    if not isinstance(value, str):
        return value
    value = plain(value)
    return "'" + value if value.startswith(_FORMULA_SIGNS) else value


def to_markdown(results: Sequence[SearchResult], mapper: PathMapper) -> str:
    """Write a list with links, to paste into an issue or a chat."""
    lines = []
    for result in results:
        lines.append(f"**{_md(result.query)}**\n")
        if not result.hits:
            lines.append("no confident match\n")
        for hit in result.hits:
            where = f"{mapper.printed(hit.chunk.path)}:{hit.line}"
            heading = _md(" > ".join((hit.chunk.title, *all_headings(hit.chunk, hit.line))))
            lines.append(f"{hit.rank}. {heading} — `{where.replace('`', '')}` ({hit.score:.2f})")
            lines.append(f"   > {_md(_snippet(hit, result.query))}\n")
    return "\n".join(lines) + "\n"


def _md(text: str) -> str:
    """Escape document text for Markdown: none of its links, emphasis and HTML is active."""
    return "".join("\\" + char if char in "\\`*_[]<>#|~" else char for char in one_line(text))


def to_files(results: Sequence[SearchResult], mapper: PathMapper) -> str:
    """Write `path:line` of each hit, for editors and xargs."""
    return "".join(f"{mapper.printed(hit.chunk.path)}:{hit.line}\n" for result in results for hit in result.hits)


def to_paths(results: Sequence[SearchResult], mapper: PathMapper) -> str:
    """Return the path of each document once, best first, for xargs."""
    paths = (mapper.printed(hit.chunk.path) for result in results for hit in result.hits)
    return "".join(f"{path}\n" for path in dict.fromkeys(paths))


def to_lines(results: Sequence[SearchResult], mapper: PathMapper) -> str:
    """Return `path:line: text` of each hit, as grep does."""
    return _grep(results, mapper, column=lambda _: "")


def to_vimgrep(results: Sequence[SearchResult], mapper: PathMapper) -> str:
    """Return `path:line:column: text` of each hit, for quickfix lists."""
    return _grep(results, mapper, column=lambda hit: f"{_column(hit)}:")


def _column(hit: Hit) -> int:
    """Return the 1-based byte in the line of a hit at which its best sentence begins; 1 if it is not known.

    Marks of Markdown inside the sentence are not in its text, so that fewer and fewer of its words are looked for.
    """
    from rag_search.text.lines import lines_of  # as in `all_headings`

    lines, at = lines_of(hit.chunk.text), hit.line - hit.chunk.line_start
    line = lines[at] if 0 <= at < len(lines) else ""
    words = hit.sentence.split(" ")
    found = (line.find(" ".join(words[:length])) for length in (5, 3, 1) if hit.sentence)
    start = next((place for place in found if place >= 0), 0)
    return len(line[:start].encode("utf-8", "replace")) + 1


def _grep(results: Sequence[SearchResult], mapper: PathMapper, *, column: Callable[[Hit], str]) -> str:
    return "".join(
        f"{mapper.printed(hit.chunk.path)}:{hit.line}:{column(hit)} {_snippet(hit, result.query)}\n"
        for result in results
        for hit in result.hits
    )


def _snippet(hit: Hit, query: str) -> str:
    """Return the snippet of a hit; of a page that shows only headings, these."""
    shown = snippet(body_of(hit.chunk), query, sentence=hit.sentence)
    return shown or " > ".join(map(one_line, (hit.chunk.title, *hit.chunk.heading_path)))


def to_xml(results: Sequence[SearchResult], mapper: PathMapper) -> str:
    """Write one XML document with the hits of every query."""
    from rag_search.render import xml  # imports urllib, a tenth of a cold query

    return xml.to_xml(results, mapper)


Render = Callable[[Sequence[SearchResult], PathMapper], str]
FORMATS: Mapping[str, Render] = {
    "json": to_json,
    "jsonl": to_jsonl,
    "csv": to_csv,
    "md": to_markdown,
    "xml": to_xml,
    "files": to_files,
    "paths": to_paths,
    "lines": to_lines,
    "vimgrep": to_vimgrep,
}
BATCH_FORMATS: Mapping[str, Render] = {**FORMATS, "json": to_json_list}
