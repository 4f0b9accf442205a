"""`ragsearch list` and `get`: print what is indexed."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag_search.cli.common import FOUND, NOTHING, load_config, places, print_json, stderr_console
from rag_search.cli.options import IndexOption, JsonOption
from rag_search.text.lines import line_starts, lines_of
from rag_search.text.sanitize import encodable, plain, visible

if TYPE_CHECKING:
    from rag_search.index import ReadStore
    from rag_search.records import Document
    from rag_search.render.paths import PathMapper

_RANGE = re.compile(r"(?P<path>.+?):(?P<first>\d+)(?:-(?P<last>\d*))?", re.DOTALL)


def list_documents(
    globs: Annotated[list[str] | None, typer.Argument(help="Only paths that match, as results show them.")] = None,
    as_json: JsonOption = False,
    index: IndexOption = None,
) -> None:
    """List the indexed documents. Exits with 1 if there are none.

    Example: ragsearch list 'docs/*'
    """
    from rag_search.engines.open import reading
    from rag_search.index.filters import selected_paths

    config = load_config(index=index)
    shown = places(config)
    patterns = [shown.stored_pattern(glob) for glob in globs or []]
    with reading(config) as reader:
        stored = selected_paths(reader.documents(), patterns)
    paths = sorted(map(shown.shown, stored))
    if as_json:
        print_json(paths)
    else:
        sys.stdout.write("".join(f"{visible(path)}\n" for path in paths))
    if not paths:
        nothing = (
            f"no indexed document matches {visible(' or '.join(globs))}" if globs else "the index has no documents"
        )
        stderr_console().print(nothing, soft_wrap=True)
    raise typer.Exit(FOUND if paths else NOTHING)


def get_documents(
    wanted: Annotated[
        list[str],
        typer.Argument(help="Documents, as results show them, or patterns.", metavar="PATH[:FROM[-TO]]..."),
    ],
    numbers: Annotated[bool, typer.Option("-N", "--line-numbers", help="Print the number of each line.")] = False,
    as_json: JsonOption = False,
    index: IndexOption = None,
) -> None:
    """Print the indexed text of documents, or some of their lines.

    Each of several documents has its path above it. Example: ragsearch get docs/api.md:10-30
    """
    from rag_search.engines.open import reading

    config = load_config(index=index)
    shown = places(config)
    with reading(config) as reader:
        named = [place for text in wanted for place in _places(reader, shown, text)]
        found = [find_lines(reader, shown, place) for place in named]
    if as_json:
        rows = [_row(document, first, last, shown) for document, first, last in found]
        print_json(rows if len(rows) > 1 else rows[0])
        return
    for document, first, last in found:
        if len(found) > 1:
            sys.stdout.write(f"==> {visible(place_of(document, shown))} <==\n")
        sys.stdout.write("".join(f"{line}\n" for line in _lines(document, first, last, numbers=numbers)))


def _places(reader: ReadStore, shown: PathMapper, text: str) -> list[str]:
    """Return the documents that a pattern matches, in their order; anything else as it is."""
    if not any(character in text for character in "*?["):
        return [text]
    from rag_search.index.filters import selected_paths

    pattern = shown.stored_pattern(text)
    return [shown.shown(path) for path in selected_paths(reader.documents(), [pattern])] or [text]


def _row(document: Document, first: int, last: int, shown: PathMapper) -> dict[str, Any]:
    """Return the lines of a document with what is known of it. last: 0 for the end."""
    starts = line_starts(document.text)
    end = min(last or len(starts), len(starts))
    text = document.text[starts[first - 1] : starts[end] if end < len(starts) else None]
    return {
        "path": place_of(document, shown),
        "title": document.title,
        "updated": document.updated,
        "updated_from": document.updated_from,
        "line_start": first,
        "line_end": end,
        "text": text.removesuffix("\n").removesuffix("\r") if end < len(starts) else text,
    }


def _lines(document: Document, first: int, last: int, *, numbers: bool) -> list[str]:
    """Return the lines to print. last: 0 for the end."""
    wanted = lines_of(document.text)[first - 1 : last or None]
    lines = [plain(line) if sys.stdout.isatty() else line for line in wanted]
    return [f"{number}:{line}" for number, line in enumerate(lines, first)] if numbers else lines


def place_of(document: Document, shown: PathMapper) -> str:
    """Return the path of a document as results show it."""
    return shown.shown(document.path)


def find_lines(reader: ReadStore, shown: PathMapper, place: str) -> tuple[Document, int, int]:
    """Return the document, the first line, and the last one (0: to the end).

    A path that itself ends in `:12` is tried before one with a line, and as it was typed before its other Unicode form.
    """
    from rag_search.errors import InputError
    from rag_search.index.filters import unicode_forms

    candidates = [(place, 1, 0)]
    if match := _RANGE.fullmatch(place):
        first = int(match["first"])
        last = first if match["last"] is None else int(match["last"] or 0)
        candidates.append((match["path"], first, last))
    for path, first, last in candidates:
        for stored in unicode_forms((shown.stored(path), path, shown.named(path))):
            try:
                document = reader.document(encodable(stored))
            except InputError:
                continue
            return document, *_checked_range(document, place, first, last)
    raise InputError(f"{visible(place)!r} is not an indexed document.", remedy="Run: ragsearch list")


def _checked_range(document: Document, place: str, first: int, last: int) -> tuple[int, int]:
    """Return the lines asked for. Raises InputError if the document has none of them."""
    from rag_search.errors import InputError
    from rag_search.text.amounts import count

    lines = len(line_starts(document.text))
    if first < 1 or first > lines or (last and last < first):
        raise InputError(
            f"{visible(place)!r} names lines that do not exist.", remedy=f"The document has {count(lines, 'line')}."
        )
    return first, last
