"""Write what agents read: compact text, since every byte costs tokens."""

from __future__ import annotations

from collections.abc import Sequence

from rag_search.errors import InputError
from rag_search.index.filters import selected_paths
from rag_search.records import Document, Hit, SearchResult
from rag_search.render.notes import CHANGED, notes_of
from rag_search.render.paths import PathMapper
from rag_search.text.data_uris import without_data
from rag_search.text.dates import marked_day
from rag_search.text.lines import lines_of
from rag_search.text.passages import shown_part
from rag_search.text.sanitize import one_line, plain, visible

SIBLINGS = 5


def hits_text(result: SearchResult, mapper: PathMapper) -> str:
    """Return each hit as one line with its place, score and headings, and its passage; then notes."""
    blocks = [_hit_text(hit, mapper) for hit in result.hits]
    if not blocks:
        blocks = ["no confident match; try other words, or fewer filters"]
    notes = [one_line(note) for note in notes_of(result, mapper)]
    return "\n\n".join([*blocks, *notes])


def document_text(document: Document, path: str, first: int, last: int | None, limit: int) -> str:
    """Return lines `first` to `last` of a document, at most `limit`, under one line that says which.

    Raises InputError for lines that the document does not have.
    """
    lines = lines_of(without_data(document.text))
    stop = min(len(lines), last or len(lines))
    if first < 1 or first > len(lines) or stop < first:
        raise InputError(
            f"lines {first} to {last or 'the end'} do not exist.", remedy=f"The last line is {len(lines)}."
        )
    shown = lines[first - 1 : min(stop, first - 1 + limit)]
    end = first - 1 + len(shown)
    facts = [visible(path), one_line(document.title), f"lines {first}-{end} of {len(lines)}"]
    facts += [f"updated {marked_day(document.updated, document.updated_from)}"] if document.updated else []
    more = [f"[continue with first_line={end + 1}]"] if end < stop else []
    return "\n".join([" | ".join(facts), *map(_plain_line, shown), *more])


def paths_text(
    documents: Sequence[str], mapper: PathMapper, *, patterns: Sequence[str], limit: int, skip: int = 0
) -> str:
    """Return paths, one a line, under their number. patterns: over stored paths; none for all."""
    stored = selected_paths(documents, patterns)
    page = stored[skip : skip + limit]
    left = len(stored) - skip - len(page)
    more = [f"[{left} more; continue with skip={skip + len(page)}]"] if left > 0 else []
    head = f"{len(stored)} documents" if len(stored) != 1 else "1 document"
    return "\n".join([head, *map(mapper.printed, page), *more])


def _hit_text(hit: Hit, mapper: PathMapper) -> str:
    chunk = hit.chunk
    headings = " > ".join(one_line(part) for part in (chunk.title, *chunk.heading_path) if part)
    line_start, line_end, shown = shown_part(chunk)
    place = f"{mapper.printed(chunk.path)}:{line_start}-{line_end}"
    stale = f" [{CHANGED[hit.changed]}]" if hit.changed in CHANGED else ""
    head = f"{hit.rank}. {place} ({hit.score:.2f}){stale} {headings}".rstrip()
    others = ", ".join(f"{sibling.line_start}-{sibling.line_end}" for sibling in hit.siblings[:SIBLINGS])
    text = "\n".join(map(_plain_line, lines_of(shown.strip("\r\n"))))
    return "\n".join([head, text, *([f"also lines {others}"] if others else [])])


def _plain_line(line: str) -> str:
    """Return a line without control characters; it stays one line, so that line numbers hold."""
    return plain(line).replace("\n", " ")
