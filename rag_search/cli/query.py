"""`ragsearch query`: print the passages that answer a question, best first."""

from __future__ import annotations

import datetime
import importlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag_search.cli.common import (
    FOUND,
    NOTHING,
    IndexOption,
    ProfileOption,
    load_config,
    places,
    read_text,
    stderr_console,
    stdout_console,
)
from rag_search.text.sanitize import plain

if TYPE_CHECKING:
    from rag_search.config import Config
    from rag_search.records import SearchOptions, SearchResult


class Format(StrEnum):
    """Output format of hits."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    md = "md"
    files = "files"


def query(
    text: Annotated[str | None, typer.Argument(help="The question; `-` reads stdin.")] = None,
    top_k: Annotated[int | None, typer.Option("-k", "--top-k", min=1, help="Number of results.")] = None,
    candidates: Annotated[int | None, typer.Option(min=1, help="Depth of stage one.")] = None,
    rerank: Annotated[bool, typer.Option("--rerank/--no-rerank", help="Order by stage two.")] = True,
    instruct: Annotated[str | None, typer.Option(help="Instruction for engines that follow one.")] = None,
    min_score: Annotated[float | None, typer.Option(help="Hide hits with a lower score.")] = None,
    path: Annotated[list[str] | None, typer.Option(help="Only documents whose path matches.", metavar="GLOB")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="Only documents with this front matter.", metavar="KEY=VALUE")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only documents updated since.", metavar="YYYY-MM-DD")] = None,
    group: Annotated[bool, typer.Option("--group/--no-group", help="One hit per document.")] = True,
    explain: Annotated[bool, typer.Option("--explain", help="Show the score and the time of each stage.")] = False,
    output: Annotated[Format, typer.Option("--format", help="Output format.")] = Format.table,
    batch: Annotated[Path | None, typer.Option(help="Answer every query of a file: one a line, or JSON lines.")] = None,
    trec: Annotated[Path | None, typer.Option(help="Also write a TREC run file.")] = None,
    server: Annotated[bool, typer.Option("--server/--no-server", help="Use a running `ragsearch serve`.")] = True,
    index: IndexOption = None,
    profile: ProfileOption = None,
) -> None:
    """Find the passages that answer a question.

    A leading [...] is an instruction: ragsearch query "[2024年最新] Redis 部署". Exit code 0: found, 1: no confident
    match, 2: error.

    Example: ragsearch query "如何解决Redis连接超时" -k 3
    """
    from rag_search.text.query import parse_where

    config = load_config(index=index, profile=profile, search__top_k=top_k, search__candidates=candidates)
    defaults = config.settings.search.options
    options = replace(
        defaults,
        system="rerank" if rerank else "hybrid",
        instruction=instruct,
        min_score=defaults.min_score if min_score is None else min_score,
        paths=tuple(map(places(config).stored_pattern, path)) if path else (),
        where=parse_where(where or []),
        since=_since(since),
        group=group,
    )
    query_ids, questions = zip(*_queries(text, batch), strict=True)
    if trec:
        _require_distinct(query_ids)
    results = _ask_server(config, questions, options, explain=explain) if server else None
    if results is None:
        results = _answer(config, questions, options, output)
    if trec:
        _write_trec(trec, query_ids, results)
    _print(results, config, output, explain=explain, many=batch is not None)
    raise typer.Exit(FOUND if any(result.hits for result in results) else NOTHING)


def _answer(config: Config, questions: Sequence[str], options: SearchOptions, output: Format) -> list[SearchResult]:
    """Search in this process.

    Args:
        config: settings of the index and the engines.
        questions: as typed; a leading [...] is an instruction.
        options: for every question.
        output: its printer is imported while the engine loads.
    """
    from rag_search.engines.open import make_searcher, reading

    with reading(config) as reader:
        if not reader.counts.documents:
            index = plain(str(config.index_dir))
            stderr_console().print(f"{index} has no documents yet. Run: ragsearch ingest PATH", soft_wrap=True)
        searcher = make_searcher(
            config.settings,
            reader,
            rerank=options.system == "rerank",
            meanwhile=lambda: _import_printer(output),
        )
        return searcher.search_many([(question, options) for question in questions])


def _ask_server(
    config: Config, questions: Sequence[str], options: SearchOptions, *, explain: bool
) -> list[SearchResult] | None:
    """Search through a running server of the same version, index and settings; None if there is none."""
    from rag_search.server.discovery import find_server

    if find_server(config) is None:
        return None
    from rag_search.server import client  # imports http.client, which a query without a server does not need

    try:
        reply = client.ask_server(config, questions, options)
    except client.OtherServerError as error:
        stderr_console().print(plain(error.message))
        return None
    if reply is None:
        return None
    results, server = reply
    if explain:
        stderr_console().print(f"answered by the server at {plain(server.url)}")
    return results


def _queries(text: str | None, batch: Path | None) -> list[tuple[str, str]]:
    """Return (id, question) pairs from the argument, stdin or the batch file."""
    from rag_search.errors import InputError

    if (text is None) == (batch is None):
        raise InputError("give one question, or --batch FILE.", remedy='Example: ragsearch query "..."')
    if batch is None:
        return [("1", read_text("-") if text == "-" else str(text))]
    content = read_text(str(batch))
    lines = [line.strip() for line in content.split("\n") if line.strip()]
    if not lines:
        raise InputError(f"{batch} has no queries.", remedy="Write one query a line.")
    return [_batch_line(line, number) for number, line in enumerate(lines, 1)]


def _batch_line(line: str, number: int) -> tuple[str, str]:
    if not line.startswith("{"):
        return str(number), line
    from rag_search.errors import InputError

    try:
        row = json.loads(line)
        return str(row.get("_id", number)), str(row["text"])
    except (json.JSONDecodeError, KeyError) as error:
        raise InputError(f"query {number} of the batch is not JSON with a field `text`: {error}.") from error


def _require_distinct(query_ids: Sequence[str]) -> None:
    """Raise InputError if two queries share an id: a run file has one ranking per id."""
    from rag_search.errors import InputError

    seen: set[str] = set()
    for query_id in query_ids:
        if query_id in seen:
            raise InputError(
                f"two queries of the batch have the id {query_id!r}.", remedy="Give each query its own `_id`."
            )
        seen.add(query_id)


def _since(text: str | None) -> str | None:
    from rag_search.errors import InputError

    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise InputError(f"--since {text!r} is not a date.", remedy="Write it as in: --since 2024-01-31") from error


def _import_printer(output: Format) -> None:
    """Import the module that `_print` needs (35 ms)."""
    importlib.import_module("rag_search.render.table" if output is Format.table else "rag_search.render.formats")


def _print(results: Sequence[SearchResult], config: Config, output: Format, *, explain: bool, many: bool) -> None:
    """Print results.

    Args:
        results: one for each query.
        config: settings; paths are shown relative to its base folder or the working directory.
        output: format.
        explain: with scores and times of each stage.
        many: in the form of a batch, even for one query.
    """
    if output is not Format.table:
        from rag_search.render.formats import BATCH_FORMATS, FORMATS

        sys.stdout.write((BATCH_FORMATS if many else FORMATS)[output.value](results, places(config)))
        return
    from rich.text import Text

    from rag_search.render.table import print_table

    console = stdout_console()
    for result in results:
        if len(results) > 1:
            console.print(Text(f"\n{plain(result.query)}", style="bold"))
        print_table(console, result, places(config), explain=explain)


def _write_trec(path: Path, query_ids: Sequence[str], results: Sequence[SearchResult]) -> None:
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
