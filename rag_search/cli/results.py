"""Print search results in the format asked for, and write run files."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from rag_search.cli.common import places, stderr_console, stdout_console, stdout_is_terminal, write_stderr, write_stdout
from rag_search.cli.terminal import local_only
from rag_search.text.sanitize import one_line

if TYPE_CHECKING:
    from rag_search.config import Config
    from rag_search.records import SearchResult
    from rag_search.render.paths import PathMapper


class Format(StrEnum):
    """Output format of hits."""

    table = "table"
    lines = "lines"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    md = "md"
    xml = "xml"
    files = "files"
    paths = "paths"
    vimgrep = "vimgrep"


READ_BY_PEOPLE = {Format.table, Format.lines, Format.vimgrep, Format.files, Format.paths}


def choose_format(output: Format | None, *, as_json: bool, paths_only: bool, vimgrep: bool) -> Format:
    """Return the one format that the flags name; without one, a table on a terminal and lines in a pipe.

    Raises:
        ConfigError: the flags name two formats.
    """
    flags = {"--json": (as_json, Format.json), "-l": (paths_only, Format.paths), "--vimgrep": (vimgrep, Format.vimgrep)}
    named = {flag: form for flag, (is_given, form) in flags.items() if is_given}
    if output:
        named[f"--format {output}"] = output
    if len(set(named.values())) > 1:
        from rag_search.errors import ConfigError

        raise ConfigError(f"{' and '.join(named)} exclude each other.", remedy="Use one of them.")
    if named:
        return next(iter(named.values()))
    return Format.table if stdout_is_terminal() else Format.lines


def import_printer(output: Format) -> None:
    """Import the module that `print_results` needs (35 ms for the table)."""
    importlib.import_module("rag_search.render.table" if output is Format.table else "rag_search.render.formats")


def print_results(
    results: Sequence[SearchResult], config: Config, output: Format, *, explain: bool, many: bool
) -> None:
    """Print results, and remember the hits of one query for `ragsearch open`.

    Args:
        results: one for each query.
        config: settings; paths are shown relative to its base folder or the working directory.
        output: format.
        explain: with scores and times of each stage.
        many: in the form of a batch, even for one query.
    """
    shown = places(config)
    if output is Format.table:
        _print_tables(results, shown, explain=explain, links=config.settings.cli.links)
    else:
        from rag_search.render.formats import BATCH_FORMATS, FORMATS

        write_stdout((BATCH_FORMATS if many else FORMATS)[output.value](results, shown))
        if output in READ_BY_PEOPLE:
            _print_notes(results, shown, many=many)
    if output in READ_BY_PEOPLE and not many:
        from rag_search.cli.open import remember_hits

        remember_hits(config, results[0], shown)


def _print_tables(results: Sequence[SearchResult], shown: PathMapper, *, explain: bool, links: str) -> None:
    from rich.text import Text

    from rag_search.render.table import print_table

    console = stdout_console()
    for result in results:
        if len(results) > 1:
            console.print(Text(f"\n{one_line(result.query)}", style="bold"))
        print_table(console, result, shown, explain=explain, links=links)


def _print_notes(results: Sequence[SearchResult], shown: PathMapper, *, many: bool) -> None:
    """Say on stderr how a query was read, why it has no hits, and which files have changed: stdout holds only hits.

    many: only why it has no hits, since the notes do not name their query.
    """
    from rag_search.render.notes import notes_of, stale_notes

    for result in results:
        missing = [] if result.hits else ["no confident match"]
        stale = [] if many else stale_notes(result, shown)
        for line in (*missing, *notes_of(result, shown), *stale) if missing or not many else ():
            write_stderr(f"{one_line(line)}\n")


def write_trec(path: Path, query_ids: Sequence[str], results: Sequence[SearchResult]) -> None:
    """Write a TREC run file of documents."""
    local_only()
    from rag_search.evaluation.trec import trec_run

    runs = {query_id: _ranking(result) for query_id, result in zip(query_ids, results, strict=True)}
    path.write_text("".join(trec_run(runs, "ragsearch")), "utf-8")
    stderr_console().print(f"wrote {sum(map(len, runs.values()))} lines to {path}")


def _ranking(result: SearchResult) -> list[tuple[str, float]]:
    """Return documents with the score of their best chunk: a run file ranks a document once."""
    best: dict[str, float] = {}
    for hit in result.hits:
        best.setdefault(hit.chunk.path, hit.score)
    return list(best.items())
