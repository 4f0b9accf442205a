"""`ragsearch evaluate`: measure how often the right passage is first, with and without reranking."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag_search.cli.common import print_json, stderr_console, stdout_console
from rag_search.cli.options import ProfileOption

if TYPE_CHECKING:
    from rag_search.evaluation.evaluate import Evaluation
    from rag_search.records import System


class Format(StrEnum):
    """Output format of an evaluation."""

    table = "table"
    json = "json"
    md = "md"


def evaluate(
    folder: Annotated[Path, typer.Argument(help="BEIR folder, or a folder with docs/ and qrels.tsv.")],
    qrels: Annotated[str | None, typer.Option(help="Name of the judgments: qrels/NAME.tsv.")] = None,
    systems: Annotated[str, typer.Option(help="Comma-separated.")] = "dense,bm25,hybrid,rerank",
    split: Annotated[str | None, typer.Option(help="Only questions of this split.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N questions.")] = None,
    output: Annotated[Format, typer.Option("--format", help="Output format.")] = Format.table,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as --format json.")] = False,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Folder for reports, run files and a plot.")] = None,
    profile: ProfileOption = None,
) -> None:
    """Measure Top-1 hit rate and latency of each system.

    Prints Top-1, RR@10, nDCG@10, R@50, latency, and whether reranking helps beyond chance.

    Documents are ingested into a separate index in the cache, so a second run starts at once.

    Example: ragsearch evaluate corpus --split test
    """
    from rag_search import api
    from rag_search.errors import MissingExtraError
    from rag_search.evaluation.report import as_dict, to_markdown

    if out_dir:  # say what is wrong with it before an hour of measuring
        if find_spec("matplotlib") is None:
            raise MissingExtraError("matplotlib", "eval")
        out_dir.mkdir(parents=True, exist_ok=True)
    with _bar() as on_progress:
        evaluation = api.evaluate(
            folder,
            settings={"profile": profile},
            qrels=qrels,
            split=split,
            systems=_systems(systems),
            limit=limit,
            on_progress=on_progress,
        )
    _warn_of(evaluation.absent)
    if out_dir:
        _save(evaluation, out_dir)
    if as_json or output is Format.json:
        print_json(as_dict(evaluation))
    elif output is Format.md:
        typer.echo(to_markdown(evaluation))
    else:
        from rag_search.render.evaluation import print_evaluation

        print_evaluation(stdout_console(), evaluation)


def _warn_of(absent: Sequence[str]) -> None:
    """Say on stderr which judged documents the set does not have."""
    from rag_search.text.amounts import count
    from rag_search.text.passages import one_line

    if absent:
        judged, example = count(len(absent), "judged document"), one_line(absent[0], 80)
        typer.echo(f"not in the set: {judged}, such as {example}; no search finds it", err=True)


def _systems(text: str) -> Sequence[System]:
    from rag_search.errors import InputError
    from rag_search.evaluation.evaluate import SYSTEMS

    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise InputError("--systems names no system.", remedy=f"Use some of: {', '.join(SYSTEMS)}.")
    for name in names:
        if name not in SYSTEMS:
            raise InputError(f"unknown system {name!r}.", remedy=f"Use some of: {', '.join(SYSTEMS)}.")
    return [system for system in SYSTEMS if system in names]


def _save(evaluation: Evaluation, folder: Path) -> None:
    from rag_search.evaluation.report import write_report
    from rag_search.render.plot import plot_top1

    files = write_report(evaluation, folder)
    for suffix in (".png", ".svg"):
        plot_top1(evaluation, folder / f"top1{suffix}")
    stderr_console().print(f"wrote {len(files) + 2} files to {folder}")


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """Show the progress of ingest and questions on a terminal; print nothing elsewhere."""
    from rich.progress import Progress

    console = stderr_console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("reading", total=None)
        yield lambda stage, done, total: progress.update(task, description=stage, completed=done, total=total)
