"""Measure how long a person waits: whole processes beside `python -c pass`, and a warm query in a library.

    python -m benchmarks.start_up            (after `make demo`; writes benchmarks/results/start_up.md and .json)

Every command runs once to warm the file cache and then REPEATS times, in turn with the others, so a machine whose speed
drifts is fair to all. The median is the figure to quote.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

from rag_search import searching
from rag_search.errors import RagSearchError
from rag_search.records import SearchOptions
from tests.support.machine import facts, line, timed_in_turn

REPEATS = 15
QUESTION = "如何解决Redis连接超时"
QUERIES = Path(__file__).parents[1] / "corpus" / "queries.jsonl"
RESULTS = Path(__file__).with_name("results")
RAGSEARCH = Path(sys.executable).with_name("ragsearch")
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "ragsearch --help": [str(RAGSEARCH), "--help"],
    "ragsearch query (cold process)": [str(RAGSEARCH), "query", "--no-server", QUESTION],
}


def main() -> None:
    """Measure and write the table. Ends with a message where the working folder has no index that can be asked."""
    _require_index()
    rows = {name: _summary(times) for name, times in timed_in_turn(COMMANDS, REPEATS).items()}
    rows["library query, warm, reranked"] = _summary(_warm_queries(SearchOptions()))
    rows["library query, warm, not reranked"] = _summary(_warm_queries(SearchOptions(system="hybrid")))
    _write(rows)


def _require_index() -> None:
    """End the program unless the index of the working folder answers."""
    try:
        with searching() as searcher:
            searcher.search(QUESTION)
    except RagSearchError as error:
        raise SystemExit(f"{error.message} Run: make demo") from error


def _warm_queries(options: SearchOptions) -> list[float]:
    with searching() as searcher:
        searcher.search("warm", options)
        return [searcher.search(question, options).timings_ms["total"] for question in _distinct_questions()]


def _distinct_questions() -> list[str]:
    """Return each question once: the engine caches the vectors of the last queries."""
    lines = QUERIES.read_text("utf-8").split("\n")
    return [json.loads(line)["text"].lstrip("[") for line in lines if line]


def _summary(times: list[float]) -> dict[str, float]:
    return {"median_ms": statistics.median(times), "min_ms": min(times), "max_ms": max(times)}


def _write(rows: dict[str, dict[str, float]]) -> None:
    where = facts()
    lines = ["| what | median | min | max |", "|---|---:|---:|---:|"]
    lines += [
        f"| {name} | {row['median_ms']:.1f} ms | {row['min_ms']:.1f} ms | {row['max_ms']:.1f} ms |"
        for name, row in rows.items()
    ]
    lines += ["", line(where)]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "start_up.md").write_text("\n".join(lines) + "\n", "utf-8")
    (RESULTS / "start_up.json").write_text(json.dumps({"rows": rows, "where": where}, indent=2) + "\n", "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
