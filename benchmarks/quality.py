"""Measure every dev set with the product, and print one table of what each stage is worth.

    python -m benchmarks.quality FOLDER[:QRELS[:SPLIT]] ... [--limit N] [--reader MODEL]
    python -m benchmarks.quality --show

Every set is measured as `ragsearch evaluate` measures it, over all of its documents. Sets that an earlier run measured
stay in the JSON, so a long run may be done in parts; a set measured again replaces its figures. A difference is
rerank - hybrid with its 95 % interval, the questions won and lost, and p of a sign-flip test. Milliseconds are the
median CPU time of a query in a warm process, all threads together. With `--reader` (a model that `ragsearch models`
knows, or a folder with one) the profile `quality` is measured, too: the reader on top of rerank, and its difference.
Results: quality.md and quality.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rag_search import api
from rag_search.config import load_config
from rag_search.engines import factory
from rag_search.evaluation.cached_index import index_of
from rag_search.evaluation.dataset import Dataset
from rag_search.evaluation.evaluate import Evaluation
from rag_search.evaluation.metrics import paired_test
from rag_search.evaluation.report import as_dict
from rag_search.index import open_reader
from rag_search.records import SearchOptions, System
from rag_search.search.searcher import Searcher
from tests.support import machine

RESULTS = Path(__file__).with_name("results")
SYSTEMS: tuple[System, ...] = ("bm25", "dense", "hybrid", "rerank")
TIMED = 100  # questions
FEW = 20  # questions; a group with fewer says too little for a row


def main() -> None:
    """Measure the sets named, keep the others, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="FOLDER[:QRELS[:SPLIT]]")
    parser.add_argument("--limit", type=int, help="only the first questions of each set")
    parser.add_argument("--reader", help="a cross-encoder in ONNX that reads the best passages once more")
    parser.add_argument("--show", action="store_true", help="write the tables of what was measured before")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if not arguments.sets and not arguments.show:
        parser.error("name a set, or pass --show")
    results = measured(
        arguments.out / "quality.json",
        arguments.sets,
        lambda wanted: measure(wanted, limit=arguments.limit, reader=arguments.reader),
    )
    text = "\n".join(lines(results)) + "\n"
    (arguments.out / "quality.md").write_text(text, "utf-8")
    print(text)


def measured(
    path: Path, sets: Sequence[str], measure_one: Callable[[str], tuple[str, dict[str, Any]]]
) -> dict[str, Any]:
    """Measure the sets named, keep the others that are in the JSON file `path`, write and return them all."""
    results: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {"schema": 1, "sets": {}}
    for wanted in sets:
        name, row = measure_one(wanted)
        results["sets"][name] = row | {"facts": machine.facts()}
        path.write_text(json.dumps(results, ensure_ascii=False, indent=1, sort_keys=True) + "\n", "utf-8")
        print(f"{name}: done", flush=True)
    return results


def measure(wanted: str, *, limit: int | None, reader: str | None = None) -> tuple[str, dict[str, Any]]:
    """Return the name of a set and its figures."""
    folder, qrels, split = [*wanted.split(":"), "", ""][:3]
    asked = {"folder": folder, "qrels": qrels or None, "split": split or None, "limit": limit}
    evaluation = api.evaluate(**asked, systems=SYSTEMS)
    name = " ".join([evaluation.dataset.name, *(part for part in (qrels, split) if part and part != "test")])
    row = as_dict(evaluation) | {"cpu_ms": cpu_ms(evaluation.dataset), "right": _right(evaluation)}
    return name, row | ({"reader": _with_reader(reader, evaluation, asked)} if reader else {})


def _with_reader(reader: str, before: Evaluation, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a reader on top of rerank makes of the same questions."""
    settings = {"profile": "quality", "reranker.model": reader}
    read = api.evaluate(**asked, systems=("rerank",), settings=settings).systems[0]
    reranked = next(result for result in before.systems if result.system == "rerank")
    test = paired_test(read.values["top1"], reranked.values["top1"])
    return {"model": Path(reader).name, "top1": read.metrics["top1"], "difference": test.difference,
            "ci": [test.low, test.high], "p_value": test.p_value, "wins": len(test.wins), "losses": len(test.losses),
            "cpu_ms": cpu_ms(before.dataset, ("rerank",), settings)["rerank"]}  # fmt: skip


def cpu_ms(
    dataset: Dataset, systems: Sequence[System] = SYSTEMS, settings: Mapping[str, Any] | None = None
) -> dict[str, float]:
    """Return the median CPU time of the first questions in the index that an evaluation left in the cache."""
    config = load_config(settings or {})
    embedder = factory.make_embedder(config.settings)
    reranker = factory.make_reranker(config.settings, embedder)
    medians = {}
    for system in systems:
        with open_reader(index_of(config, dataset)) as reader:
            searcher, taken = Searcher(reader, embedder, reranker), []
            for query in dataset.queries[:TIMED]:
                options = SearchOptions(system=system, instruction=query.instruction)
                start = time.process_time()
                searcher.search(query.literal, options)
                taken.append(1000 * (time.process_time() - start))
        medians[system] = round(statistics.median(taken), 1)
    return medians


def _right(evaluation: Evaluation) -> dict[str, dict[str, str]]:
    """Return of each group of each grouping the questions as digits: 1 for each system whose first hit is right."""
    groups: dict[str, dict[str, list[str]]] = {"kind": defaultdict(list), "language": defaultdict(list)}
    for query in evaluation.dataset.judged:
        digits = "".join(str(int(result.values["top1"][query.query_id])) for result in evaluation.systems)
        groups["kind"][query.kind].append(digits)
        groups["language"][query.lang].append(digits)
    return {grouping: {name: " ".join(rows) for name, rows in found.items()} for grouping, found in groups.items()}


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield the tables as Markdown."""
    sets = results["sets"]
    yield from ["# Quality on every dev set", "", "Top-1 by system; measured by `python -m benchmarks.quality`.", ""]
    yield from table(sets)
    yield from _readers(sets)
    for grouping in ("language", "kind"):
        yield from ["", f"## By {grouping}", "", f"| {grouping} | questions | {' | '.join(SYSTEMS)} |"]
        yield "|---|---:|" + "---:|" * len(SYSTEMS)
        yield from _groups(sets, grouping)
    yield ""
    yield from (machine.line(facts) for facts in _different(row["facts"] for row in sets.values()))


def table(sets: Mapping[str, Any]) -> Iterator[str]:
    """Yield the row of each set and their mean."""
    yield f"| set | questions | {' | '.join(SYSTEMS)} | rerank, 95 % | rerank - hybrid | R@50 | nDCG@10 | CPU ms |"
    yield "|---|---:|" + "---:|" * len(SYSTEMS) + "---|---|---:|---:|---:|"
    for name, row in sets.items():
        yield _row(name, row)
    yield _mean_row(sets)


def _row(name: str, row: Mapping[str, Any]) -> str:
    systems = {each["system"]: each for each in row["systems"]}
    top1 = " | ".join(f"{systems[system]['metrics']['top1']:.3f}" for system in SYSTEMS)
    low, high = systems["rerank"]["top1_ci"]
    difference, metrics = _difference(row["significance"]["rerank vs hybrid"]), systems["rerank"]["metrics"]
    return (
        f"| {name} | {row['queries']:,} | {top1} | {low:.3f}-{high:.3f} | {difference} | {metrics['r@50']:.3f} "
        f"| {metrics['ndcg@10']:.3f} | {row['cpu_ms']['rerank']:.1f} |"
    )


def _readers(sets: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a reader on top of rerank is worth, for the sets that were measured with one."""
    read = {name: row for name, row in sets.items() if "reader" in row}
    if read:
        yield from ["", "## Rerank and reader", ""]
        yield "| set | reader | rerank | rerank + reader | difference | CPU ms |"
        yield "|---|---|---:|---:|---|---:|"
    for name, row in read.items():
        found = row["reader"]
        rerank = next(each for each in row["systems"] if each["system"] == "rerank")["metrics"]["top1"]
        yield (
            f"| {name} | {found['model']} | {rerank:.3f} | {found['top1']:.3f} | {_difference(found)} "
            f"| {found['cpu_ms']:.1f} |"
        )


def _difference(test: Mapping[str, Any]) -> str:
    return (
        f"{test['difference']:+.3f} ({test['ci'][0]:+.3f} to {test['ci'][1]:+.3f}), "
        f"{test['wins']}/{test['losses']}, p {test['p_value']:.2g}"
    )


def _mean_row(sets: Mapping[str, Any]) -> str:
    """Return the means over sets, each counted once."""

    def mean(metric: str, system: str) -> float:
        found = [each["metrics"][metric] for row in sets.values() for each in row["systems"]
                 if each["system"] == system]  # fmt: skip
        return sum(found) / max(1, len(found))

    top1 = [mean("top1", system) for system in SYSTEMS]
    questions = sum(row["queries"] for row in sets.values())
    cells = " | ".join(f"{value:.3f}" for value in top1)
    return (
        f"| mean of the sets | {questions:,} | {cells} | | {top1[-1] - top1[-2]:+.3f} | {mean('r@50', 'rerank'):.3f} "
        f"| {mean('ndcg@10', 'rerank'):.3f} | |"
    )


def _groups(sets: Mapping[str, Any], grouping: str) -> Iterator[str]:
    """Yield a row for each group of questions over all sets, the largest first."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in sets.values():
        for name, digits in row["right"][grouping].items():
            found[name] += digits.split()
    for name, rows in sorted(found.items(), key=lambda each: (-len(each[1]), each[0])):
        if len(rows) >= FEW:
            shares = [sum(digits[number] == "1" for digits in rows) / len(rows) for number in range(len(SYSTEMS))]
            yield f"| {name} | {len(rows):,} | {' | '.join(f'{share:.3f}' for share in shares)} |"


def _different(facts: Iterator[dict[str, str]]) -> Iterator[dict[str, str]]:
    """Yield each command's facts once."""
    seen = {each["command"]: each for each in facts}
    yield from seen.values()


if __name__ == "__main__":
    main()
