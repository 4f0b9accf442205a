"""Put the measured figures into README.md, between its two markers; nothing there is typed by hand.

python -m benchmarks.readme        (after make evaluate, start_up.py, benchmarks.peers.quality and .speed)
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results")
BEST = "ragsearch rerank"
IN_THE_TABLE_ABOVE = tuple(f"ragsearch {system}" for system in ("bm25", "dense", "hybrid"))
START, END = "<!-- results: written by benchmarks/readme.py -->", "<!-- end of results -->"


def main() -> None:
    """Record what `make evaluate` measured, and rewrite the part of README.md between the markers."""
    for found, kept in (("report.json", "corpus_test.json"), ("top1.svg", "corpus_test.svg")):
        shutil.copy(ROOT / "runs" / "corpus" / found, RESULTS / kept)
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text("utf-8").partition(START)
    _, _, after = rest.partition(END)
    readme.write_text(f"{before}{START}\n\n" + "\n".join(_lines()) + f"\n{END}{after}", "utf-8")


def _lines() -> Iterator[str]:
    yield from _corpus(json.loads((RESULTS / "corpus_test.json").read_text("utf-8")))
    yield from _peers(_read("peers_quality"), _read("peers_speed"))
    yield from _start_up(json.loads((RESULTS / "start_up.json").read_text("utf-8")))


def _read(name: str) -> Any:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def _corpus(report: dict[str, Any]) -> Iterator[str]:
    """Yield the table of `make evaluate`: dense first, reranked last."""
    yield f"`make evaluate`: the {report['queries']} answerable test questions of the bundled corpus (Chinese, English,"
    yield "cross-lingual, colloquial, mistyped, ...), on which nothing was tuned:"
    yield ""
    yield "| method | Top-1 hit rate | 95 % interval | nDCG@10 | R@50 | mean response time |"
    yield "|---|---:|---|---:|---:|---:|"
    for row in report["systems"]:
        metrics, (low, high) = row["metrics"], row["top1_ci"]
        yield (
            f"| {row['system']} | {metrics['top1']:.3f} | {low:.3f}-{high:.3f} | {metrics['ndcg@10']:.3f} "
            f"| {metrics['r@50']:.3f} | {row['latency_ms']['mean']:.1f} ms |"
        )
    yield ""
    yield "![Top-1 with intervals](benchmarks/results/corpus_test.svg)"
    yield ""
    for name, test in report["significance"].items():
        low, high = test["ci"]
        yield (
            f"{name}: Top-1 {test['difference']:+.3f} [{low:+.3f}, {high:+.3f}], {test['wins']} won, "
            f"{test['losses']} lost, p = {test['p_value']:.3f}.  "
        )
    if answer := report.get("no_answer"):
        yield (
            f'"No confident match": {answer["refused"]} of {answer["unanswerable"]} questions without an answer, '
            f"and wrongly {answer['wrongly_refused']} of {answer['judged']} with one."
        )
    yield ""


def _peers(quality: Any, speed: Any) -> Iterator[str]:
    """Yield each tool on the bundled corpus and on the larger sets that it was run on, beside its speed."""
    if quality is None or speed is None or "top1" not in quality["sets"]["corpus"]["rows"].get(BEST, {}):
        return  # a table without ourselves would say nothing
    sets = quality["sets"]
    larger = [name for name in sets if name != "corpus" and "top1" in sets[name]["rows"].get(BEST, {})]
    yield "Beside other tools on the same documents and questions, each with the best model it can get without a hub."
    yield "The dense ones run multilingual-e5-small, the base of ours; `zero-shot weights` is our pipeline over those"
    yield f"very weights. Larger sets: mean of {', '.join(larger)}."
    yield "Intervals, paired tests and what each tool was given: [quality](benchmarks/results/peers_quality.md)"
    yield "(`python -m benchmarks.peers.quality`) and [speed](benchmarks/results/peers_speed.md)"
    yield "(`python -m benchmarks.peers.speed`)."
    yield ""
    tools = {tool["name"]: tool for tool in speed["tools"].values() if "not_run" not in tool}
    yield "| tool | Top-1, bundled corpus | Top-1, larger sets | ingest | cold query | warm query |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, row in sorted(sets["corpus"]["rows"].items(), key=lambda each: -each[1].get("top1", 0.0)):
        if "not_run" not in row and name not in IN_THE_TABLE_ABOVE:
            others = [sets[other]["rows"].get(name, {}).get("top1") for other in larger]
            mean = "" if None in others or not others else f"{sum(others) / len(others):.3f}"
            yield f"| {name} | {row['top1']:.3f} | {mean} | " + " | ".join(_speed_cells(name, tools)) + " |"
    yield ""
    where = speed["where"]
    yield f"Speed: {where['cpu']}, {where['threads']} threads, the zero-shot weights for all; ours with token vectors,"
    times = [tool["ours"]["index_mb"] / tool["peer"]["index_mb"] for tool in tools.values()]
    yield f"BM25 and reranking, theirs dense only. Our index is {min(times):.1f} to {max(times):.1f} times as large,"
    yield "for the token vectors. Our cold query is told model, cache and index there, and checks these settings; the"
    yield "one below has none to check."
    yield ""


def _speed_cells(name: str, tools: dict[str, Any]) -> list[str]:
    """Return ingest in tokens/s, cold and warm milliseconds; ours as measured beside the first peer."""
    if name == BEST and tools:
        side = next(iter(tools.values()))["ours"]
    else:
        if name not in tools:
            return ["", "", ""]
        side = tools[name]["peer"]
    return [f"{side['tokens_per_s']:,.0f} tokens/s", f"{side['cold_ms']:,.0f} ms", f"{side['warm']['p50_ms']:.1f} ms"]


def _start_up(measured: dict[str, Any]) -> Iterator[str]:
    yield "From a cold start (`python -m benchmarks.start_up`, medians):"
    yield ""
    yield "| what | median |"
    yield "|---|---:|"
    for name, row in measured["rows"].items():
        yield f"| {name} | {row['median_ms']:.0f} ms |"
    yield ""
    where = measured["where"]
    yield f"{where['cpu']}, {where['cores']} cores, no GPU, {where['date']}."
    yield ""
    yield "What share of the machine's peak each stage reaches: [floors](benchmarks/results/floors.md). A thousand to a"
    yield "million chunks: [growth](benchmarks/results/growth.md), [stage one](benchmarks/results/vectors_million.md)."
    yield "What each default is worth: [ablations](benchmarks/results/ablations.md)."


if __name__ == "__main__":
    main()
