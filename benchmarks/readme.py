"""Put the measured figures into docs/results.md and the READMEs, between their markers; no figure is typed by hand.

python -m benchmarks.readme        (after make evaluate, benchmarks.start_up, benchmarks.peers.quality and .speed)
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.quality import table

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results")
BEST = "ragsearch rerank"
IN_THE_TABLE_ABOVE = tuple(f"ragsearch {system}" for system in ("bm25", "dense", "hybrid"))
ROWS = 6  # of the short table
READMES = {
    "README.md": (
        "Top-1 is the share of questions whose first hit is right. Larger sets: {questions:,} questions of\n"
        "{sets}, over the pages with the answers and others at random.\n"
        "All tools get the same documents and questions; the dense ones run the model that ours was trained from.",
        "| tool | Top-1, larger sets | Top-1, bundled corpus | ingest | cold query | warm query |",
    ),
    "README.zh-CN.md": (
        "Top-1 是第一条结果就正确的问题所占比例。大数据集：{sets}\n"
        "共 {questions:,} 个问题，文档为含答案的页面和随机抽取的其他页面。"
        "所有工具使用相同的文档和问题；稠密检索的工具运行的是我们训练所用的基础模型。",
        "| 工具 | Top-1，大数据集 | Top-1，自带语料 | 索引速度 | 冷启动查询 | 热查询 |",
    ),
}


def main() -> None:
    """Record what `make evaluate` measured, if it ran, and rewrite the pages between their markers."""
    for measured, kept in (("report.json", "corpus_test.json"), ("top1.svg", "corpus_test.svg")):
        if (ROOT / "runs" / "corpus" / measured).exists():
            shutil.copy(ROOT / "runs" / "corpus" / measured, RESULTS / kept)
    _fill(ROOT / "docs" / "results.md", "results", "\n".join(_lines()).replace("(benchmarks/", "(../benchmarks/"))
    quality, speed = _read("peers_quality"), _read("peers_speed")
    for readme, words in READMES.items():
        _fill(ROOT / readme, "table", "\n".join(_short_table(quality, speed, words)))


def _fill(page: Path, name: str, text: str) -> None:
    """Write text between the two markers of a page."""
    start, end = f"<!-- {name}: written by benchmarks/readme.py -->", f"<!-- end of {name} -->"
    before, _, rest = page.read_text("utf-8").partition(start)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{start}\n\n{text}\n\n{end}{after}", "utf-8")


def _short_table(quality: Any, speed: Any, words: tuple[str, ...]) -> Iterator[str]:
    """Yield the best of our rows and those of the five best other tools, by the larger sets; one row a tool."""
    sets = quality["sets"]
    larger = _larger_sets(sets)
    tools = {tool["name"]: tool for tool in speed["tools"].values() if "not_run" not in tool}
    means = {name: mean for name in sets["corpus"]["rows"] if (mean := _mean(sets, larger, name)) is not None}
    others = {name for name in means if not name.startswith("ragsearch") and name in tools}
    order = [BEST, *sorted(others, key=lambda name: (-means[name], name))[: ROWS - 1]]
    yield words[0].format(questions=sum(_questions(sets[name]) for name in larger), sets=", ".join(larger))
    yield ""
    yield words[1]
    yield "|---|---:|---:|---:|---:|---:|"
    for name in order:
        corpus = sets["corpus"]["rows"][name]["top1"]
        yield f"| {name} | {means[name]:.3f} | {corpus:.3f} | " + " | ".join(_speed_cells(name, tools)) + " |"


def _questions(bench_set: Any) -> int:
    """Return the number of judged questions of a set."""
    return len(next(iter(bench_set["rows"][BEST]["per_query"].values())))


def _larger_sets(sets: Any) -> list[str]:
    """Return the sets beside the bundled corpus on which ours was measured."""
    return [name for name in sets if name != "corpus" and "top1" in sets[name]["rows"].get(BEST, {})]


def _mean(sets: Any, names: list[str], tool: str) -> float | None:
    """Return the mean Top-1 of a tool over sets; None if it is missing in one."""
    values = [sets[name]["rows"].get(tool, {}).get("top1") for name in names]
    return None if None in values or not values else sum(values) / len(values)


def _lines() -> Iterator[str]:
    yield from _corpus(json.loads((RESULTS / "corpus_test.json").read_text("utf-8")))
    yield from _dev_sets(_read("quality"))
    yield from _peers(_read("peers_quality"), _read("peers_speed"))
    yield from _start_up(json.loads((RESULTS / "start_up.json").read_text("utf-8")))
    yield from _floors(json.loads((RESULTS / "floors.json").read_text("utf-8")))


def _read(name: str) -> Any:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def _corpus(report: dict[str, Any]) -> Iterator[str]:
    """Yield the table of `make evaluate`: dense first, reranked last."""
    yield f"`make evaluate`: the {report['queries']} answerable test questions of the bundled corpus (Chinese, English,"
    yield "cross-lingual, colloquial, mistyped, ...), on which no ranking was tuned:"
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


def _dev_sets(quality: Any) -> Iterator[str]:
    """Yield what each stage is worth on the dev sets."""
    if quality is None:
        return
    yield "What each stage is worth on larger dev sets, over all of their documents. The weights of the reranker were"
    yield "fitted on their questions, of xquad on a third and of scifact on other ones. By kind and language:"
    yield "[quality](benchmarks/results/quality.md). What pooling token vectors costs:"
    yield "[pooling](benchmarks/results/pooling.md). What typing correction, exact evidence, names, instructions and"
    yield "spreading win or cost: [behaviours](benchmarks/results/behaviours.md)."
    yield ""
    yield from table(quality["sets"])
    yield ""


def _peers(quality: Any, speed: Any) -> Iterator[str]:
    """Yield each tool on the bundled corpus and on the larger sets that it was run on, beside its speed."""
    if quality is None or speed is None or "top1" not in quality["sets"]["corpus"]["rows"].get(BEST, {}):
        return  # a table without ourselves would say nothing
    sets = quality["sets"]
    larger = _larger_sets(sets)
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
            mean = _mean(sets, larger, name)
            yield (
                f"| {name} | {row['top1']:.3f} | {'' if mean is None else f'{mean:.3f}'} | "
                + " | ".join(_speed_cells(name, tools))
                + " |"
            )
    yield ""
    machines = dict.fromkeys(f"{tool['where']['cpu']}, {tool['where']['threads']} threads" for tool in tools.values())
    yield f"Speed: {'; '.join(machines)}, the zero-shot weights for all; ours with token vectors,"
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


def _floors(measured: dict[str, Any]) -> Iterator[str]:
    """Yield how near the encoder is to the peak of a processor, and where other figures are."""
    engines = (f"{row['engine']} {row['tokens_per_s']:,.0f} tokens/s" for row in measured["sentence_transformers"])
    share = next(row["share"] for row in measured["stages"] if row["stage"].startswith("the same, attention"))
    yield f"With the same weights and texts on {measured['facts']['cpu']}:"
    yield f"{'; '.join(engines)}."
    yield f"In an ingest the encoder reaches {share:.0%} of what this processor can do at most. Other stages:"
    yield "[floors](benchmarks/results/floors.md)."
    yield ""
    yield "A thousand to a million chunks: [growth](benchmarks/results/growth.md),"
    yield "[queries](benchmarks/results/vectors_million.md). What each default is worth:"
    yield "[ablations](benchmarks/results/ablations.md)."


if __name__ == "__main__":
    main()
