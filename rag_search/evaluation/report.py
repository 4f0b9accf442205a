"""Write an evaluation as files that other tools can check: JSON, Markdown, TREC run and qrels files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rag_search.evaluation.evaluate import Evaluation, SystemResult
from rag_search.evaluation.metrics import PairedTest
from rag_search.evaluation.trec import trec_run, trec_token

SCHEMA = 1


def as_dict(evaluation: Evaluation) -> dict[str, Any]:
    """Return the JSON document. Field names are stable."""
    data = evaluation.dataset
    return {
        "schema": SCHEMA,
        "dataset": data.name,
        "qrels": data.qrels_name,
        "queries": len(data.judged),
        "absent_documents": list(evaluation.absent),
        "systems": [_system(result) for result in evaluation.systems],
        "significance": {name: _test(test) for name, test in evaluation.significance.items()},
        "by_kind": evaluation.by(lambda query: query.kind),
        "by_lang": evaluation.by(lambda query: query.lang),
        "no_answer": no_answer(evaluation),
    }


def no_answer(evaluation: Evaluation) -> dict[str, Any] | None:
    """Count refused questions: the unanswerable ones, where it is right, and the judged ones, where it is wrong."""
    unanswerable = {query.query_id for query in evaluation.dataset.unanswerable}
    rerank = next((result for result in evaluation.systems if result.system == "rerank"), None)
    if rerank is None or not unanswerable:
        return None
    judged = {query.query_id for query in evaluation.dataset.judged}
    return {
        "unanswerable": len(unanswerable),
        "refused": len(rerank.refused & unanswerable),
        "judged": len(judged),
        "wrongly_refused": len(rerank.refused & judged),
    }


def to_markdown(evaluation: Evaluation) -> str:
    """Return a table for a README: one row per system, dense first and rerank last."""
    data = evaluation.dataset
    lines = [
        f"{data.name}, judgments `{data.qrels_name}`, {len(data.judged)} questions",
        "",
        "| method | Top-1 hit rate | 95 % interval | RR@10 | nDCG@10 | R@50 | mean response time | p95 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in evaluation.systems:
        metrics, (low, high), latency = result.metrics, result.top1_ci, result.latency
        lines.append(
            f"| {result.system} | {metrics['top1']:.3f} | {low:.3f}-{high:.3f} | {metrics['rr@10']:.3f} "
            f"| {metrics['ndcg@10']:.3f} | {metrics['r@50']:.3f} | {latency['mean']:.1f} ms | {latency['p95']:.1f} ms |"
        )
    lines.append("")
    for name, test in evaluation.significance.items():
        lines.append(f"- {describe(name, test)}")
    return "\n".join(lines) + "\n"


def describe(name: str, test: PairedTest) -> str:
    """Return one sentence on a paired comparison."""
    return (
        f"{name}: Top-1 {test.difference:+.3f} [{test.low:+.3f}, {test.high:+.3f}], "
        f"{len(test.wins)} won, {len(test.losses)} lost, p = {test.p_value:.4f}"
    )


def write_report(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write report.json, report.md, qrels.trec, wins-losses.md and one TREC run per system; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "report.json": json.dumps(as_dict(evaluation), ensure_ascii=False, indent=2) + "\n",
        "report.md": to_markdown(evaluation),
        "qrels.trec": "".join(_qrels_lines(evaluation)),
        "wins-losses.md": "".join(_win_loss_lines(evaluation)),
        **{f"{result.system}.run": "".join(trec_run(result.run, result.system)) for result in evaluation.systems},
    }
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    return [folder / name for name in files]


def _qrels_lines(evaluation: Evaluation) -> Iterator[str]:
    for query in evaluation.dataset.judged:
        for document_id, grade in evaluation.dataset.qrels[query.query_id].items():
            yield f"{trec_token(query.query_id)} 0 {trec_token(document_id)} {grade}\n"


def _win_loss_lines(evaluation: Evaluation) -> Iterator[str]:
    queries = {query.query_id: query for query in evaluation.dataset.judged}
    tops: dict[str, dict[str, str]] = {
        result.system: {query_id: ranking[0][0] if ranking else "-" for query_id, ranking in result.run.items()}
        for result in evaluation.systems
    }
    for name, test in evaluation.significance.items():
        a, b = name.split(" vs ")
        for title, ids in (("won", test.wins), ("lost", test.losses)):
            yield f"\n## {name}: {title} ({len(ids)})\n\n"
            for query_id in ids:
                yield f"- `{query_id}` {queries[query_id].text}\n"
                yield f"  - {a}: {tops[a][query_id]}\n  - {b}: {tops[b][query_id]}\n"


def _system(result: SystemResult) -> dict[str, Any]:
    return {
        "system": result.system,
        "metrics": result.metrics,
        "top1_ci": list(result.top1_ci),
        "latency_ms": result.latency,
    }


def _test(test: PairedTest) -> dict[str, Any]:
    return {
        "metric": "top1",
        "difference": test.difference,
        "ci": [test.low, test.high],
        "p_value": test.p_value,
        "wins": len(test.wins),
        "losses": len(test.losses),
    }
