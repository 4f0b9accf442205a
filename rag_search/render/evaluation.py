"""Print an evaluation: the table of systems, the comparisons, and the groups of questions."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rag_search.evaluation.evaluate import Evaluation
from rag_search.evaluation.report import describe, no_answer
from rag_search.text.sanitize import plain


def print_evaluation(console: Console, evaluation: Evaluation) -> None:
    """Print method, Top-1 hit rate and mean response time; more columns in a wide terminal."""
    console.print(_systems(evaluation, wide=console.width >= 90))
    for name, test in evaluation.significance.items():
        console.print(Text(describe(name, test)))
    if refusals := no_answer(evaluation):
        console.print(
            Text(
                f"no confident match: {refusals['refused']} of {refusals['unanswerable']} questions without an answer, "
                f"and wrongly {refusals['wrongly_refused']} of {refusals['judged']} with one"
            )
        )
    for title, group in (("kind", evaluation.by(lambda q: q.kind)), ("language", evaluation.by(lambda q: q.lang))):
        if len(group) > 1:
            console.print(_groups(title, group))


def _systems(evaluation: Evaluation, *, wide: bool) -> Table:
    data = evaluation.dataset
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        title=plain(f"{data.name}: {len(data.judged)} questions, judgments {data.qrels_name}"),
        title_justify="left",
    )
    table.add_column("method")
    table.add_column("Top-1 hit rate", justify="right")
    table.add_column("mean response time", justify="right")
    if wide:
        for name in ("95 % interval", "RR@10", "nDCG@10", "R@50", "p50", "p95"):
            table.add_column(name, justify="right")
    for result in evaluation.systems:
        metrics, (low, high), latency = result.metrics, result.top1_ci, result.latency
        cells = [result.system, f"{metrics['top1']:.3f}", f"{latency['mean']:.1f} ms"]
        if wide:
            cells += [f"{low:.3f}-{high:.3f}", *(f"{metrics[name]:.3f}" for name in ("rr@10", "ndcg@10", "r@50"))]
            cells += [f"{latency['p50']:.1f} ms", f"{latency['p95']:.1f} ms"]
        table.add_row(*cells, style="bold" if result.system == "rerank" else "")
    return table


def _groups(title: str, groups: Mapping[str, Mapping[str, float]]) -> Table:
    systems = [name for name in next(iter(groups.values())) if name != "queries"]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=f"Top-1 by {title}", title_justify="left")
    table.add_column(title)
    table.add_column("questions", justify="right")
    for system in systems:
        table.add_column(system, justify="right")
    for name, row in groups.items():
        table.add_row(Text(plain(name)), str(int(row["queries"])), *(f"{row[system]:.3f}" for system in systems))
    return table
