"""Write search results as XML: a `<result>` for each query, a `<hit>` for each passage."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from rag_search.records import Hit, SearchResult
from rag_search.render.paths import PathMapper
from rag_search.text.passages import all_headings, shown_part
from rag_search.text.sanitize import plain

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # section 2.2 of XML 1.0


def to_xml(results: Sequence[SearchResult], mapper: PathMapper) -> str:
    """Write one document with the hits of every query."""
    parts = ["<results>\n"]
    for result in results:
        parts.append(f"<result {_attributes(query=result.query, confident=str(result.confident).lower())}>\n")
        parts += [_hit(hit, mapper) for hit in result.hits]
        parts.append("</result>\n")
    return "".join([*parts, "</results>\n"])


def _hit(hit: Hit, mapper: PathMapper) -> str:
    chunk = hit.chunk
    line_start, line_end, text = shown_part(chunk)
    attributes = _attributes(
        rank=str(hit.rank),
        score=f"{hit.score:.4f}",
        path=mapper.printed(chunk.path),
        line=str(hit.line),
        line_start=str(line_start),
        line_end=str(line_end),
        title=chunk.title,
        heading=" > ".join(all_headings(chunk, hit.line)),
    )
    return f"<hit {attributes}>{escape(_valid(text))}</hit>\n"


def _attributes(**values: str) -> str:
    return " ".join(f"{name}={quoteattr(_valid(value))}" for name, value in values.items())


def _valid(text: str) -> str:
    """Return plain text without the characters that XML cannot contain."""
    return _NOT_XML.sub("", plain(text))
