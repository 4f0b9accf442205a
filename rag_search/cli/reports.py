"""Print what an ingest would do, and what it did."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import typer

from rag_search.cli.common import print_sentence, stderr_console, stdout_console
from rag_search.text.amounts import count, human_bytes, human_seconds
from rag_search.text.sanitize import json_text, one_line, plain, visible

if TYPE_CHECKING:
    from rag_search.config import Config
    from rag_search.ingest import IngestReport, Plan
    from rag_search.render.paths import PathMapper

UNREAD_KINDS = 6  # named in the line about files of other kinds


def print_plan(plan: Plan, *, as_json: bool) -> None:
    """Print the changes that an ingest would make."""
    groups = {
        "new": [source.path for source in plan.new],
        "changed": [source.path for source in plan.changed],
        "removed": list(plan.removed),
        "failed": [f"{failure.path}: {failure.reason}" for failure in plan.failed],
    }
    if as_json:
        typer.echo(json_text({**groups, "unchanged": plan.unchanged}))
        return
    for name, paths in groups.items():
        for path in paths:
            typer.echo(f"{name:<8} {visible(path)}")
    counts = ", ".join(f"{len(paths)} {name}" for name, paths in groups.items())
    typer.echo(f"would change: {counts}; {plan.unchanged} unchanged")


def print_report(report: IngestReport, config: Config, shown: PathMapper, *, as_json: bool, quiet: bool) -> None:
    """Print failures on stderr, and the counts, the totals and the next step."""
    if as_json:
        typer.echo(json_text(asdict(report)))
        return
    console = stderr_console()
    for failure in report.failed:
        line = f"failed  {shown.printed(failure.path)}: {one_line(failure.reason)}"
        console.print(line, style="red", soft_wrap=True)
    if quiet:
        return
    for skipped in report.skipped:
        line = f"skipped {shown.printed(skipped.path)}: {one_line(skipped.reason)}"
        console.print(line, style="dim", soft_wrap=True)
    for warning in report.warnings:
        line = f"partly  {shown.printed(warning.path)}: {one_line(warning.reason)}"
        console.print(line, style="yellow", soft_wrap=True)
    if report.unread:
        console.print(f"skipped {_unread(report.unread)}", style="dim", soft_wrap=True)
    for path in report.empty:
        console.print(f"empty   {shown.printed(path)}", style="yellow", soft_wrap=True)
    stored = f"; {_stored(report)}" if report.chunks else ""
    print_sentence(
        stdout_console(),
        f"{report.new} new, {report.changed} changed, {report.unchanged} unchanged, {report.removed} removed, "
        f"{len(report.failed)} failed{stored} in {human_seconds(report.seconds)}",
    )
    _print_total(config)


def _stored(report: IngestReport) -> str:
    """Describe what was stored: `3 passages, 3 embedded (90 tokens, 4,100 tokens/s)`; without a rate if nothing was."""
    if not report.embedded:
        return f"{count(report.chunks, 'passage')}, 0 embedded"
    rate = report.tokens / report.seconds if report.seconds else 0.0
    tokens = f"({count(report.tokens, 'token')}, {rate:,.0f} tokens/s)"
    return f"{count(report.chunks, 'passage')}, {report.embedded:,} embedded {tokens}"


def _unread(kinds: Mapping[str, int]) -> str:
    """Describe the files of kinds that are not read: `41 files: .rst 30, .png 11`."""
    shown = ", ".join(f"{visible(kind)} {number:,}" for kind, number in list(kinds.items())[:UNREAD_KINDS])
    more = f", {len(kinds) - UNREAD_KINDS} more kinds" if len(kinds) > UNREAD_KINDS else ""
    remedy = " (--include '*.txt' reads .txt)" if ".txt" in kinds else ""
    return f"{count(sum(kinds.values()), 'file')}: {shown}{more}{remedy}"


def _print_total(config: Config) -> None:
    """Print what the index holds now, and what to type next."""
    from rag_search.engines.open import reading

    with reading(config) as reader:
        counts = reader.counts
    total = f"{count(counts.documents, 'document')}, {count(counts.chunks, 'passage')}"
    if not config.settings.store.url:
        size = sum(path.stat().st_size for path in config.index_dir.iterdir() if path.is_file())
        total += f", {human_bytes(size)}"
    stdout_console().print(f"index: {total} in {plain(config.index_place)}", soft_wrap=True)
    if counts.chunks:
        command = f'ragsearch query {_index_option(config)}"your question"'
        stderr_console().print(f"next: {plain(command)}", style="dim", soft_wrap=True)


def _index_option(config: Config) -> str:
    """Return the option with which a query in the working folder searches this index; "" if it does without one."""
    from rag_search.errors import InputError

    if config.origins.get("index") == "flag":
        return f"--index {shlex.quote(config.settings.index)} "
    try:
        is_found = replace(config, ingested=()).index_dir == config.index_dir
    except InputError:  # there are several indexes below the working folder
        is_found = False
    return "" if is_found else f"--index {shlex.quote(str(config.project.folder))} "
