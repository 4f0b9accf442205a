"""Run systems over the questions of a dataset and measure them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rag_search.evaluation.dataset import Dataset, EvalQuery
from rag_search.evaluation.metrics import PairedTest, bootstrap_interval, mean, paired_test, per_query
from rag_search.records import SearchOptions, System
from rag_search.search.searcher import Searcher

SYSTEMS: tuple[System, ...] = ("dense", "bm25", "hybrid", "rerank")
EVERYTHING = float("-inf")  # min_score under which nothing is hidden

DocumentId = Callable[[str], str]  # stored path -> the id that the judgments use


@dataclass(frozen=True, slots=True)
class SystemResult:
    """The results of one system on one dataset.

    values: metric -> query id -> value. run: query id -> (document id, score), best first. latency_ms: per query.
    refused: ids of queries without a confident match, judged and unanswerable alike.
    """

    system: System
    values: Mapping[str, Mapping[str, float]]
    run: Mapping[str, Sequence[tuple[str, float]]]
    latency_ms: Mapping[str, float]
    refused: frozenset[str]

    @property
    def metrics(self) -> dict[str, float]:
        """Mean of each metric over the queries."""
        return {name: mean(values) for name, values in self.values.items()}

    @property
    def top1_ci(self) -> tuple[float, float]:
        """95 % bootstrap interval of Top-1."""
        return bootstrap_interval(list(self.values["top1"].values()))

    @property
    def latency(self) -> dict[str, float]:
        """Mean, median and 95 % quantile of the milliseconds per query."""
        times = list(self.latency_ms.values())
        return {
            "mean": float(np.mean(times)),
            "p50": float(np.quantile(times, 0.5)),
            "p95": float(np.quantile(times, 0.95)),
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The results of all systems on one dataset.

    significance: "A vs B" -> paired test of Top-1. absent: judged documents that the set does not have, which no search
    can find.
    """

    dataset: Dataset
    systems: tuple[SystemResult, ...]
    significance: Mapping[str, PairedTest]
    absent: Sequence[str] = ()

    def by(self, group: Callable[[EvalQuery], str]) -> dict[str, dict[str, float]]:
        """Return Top-1 of each system, and the number of queries, for each group of judged queries."""
        members: dict[str, list[str]] = defaultdict(list)
        for query in self.dataset.judged:
            members[group(query)].append(query.query_id)
        return {
            name: {
                "queries": len(ids),
                **{s.system: float(np.mean([s.values["top1"][query_id] for query_id in ids])) for s in self.systems},
            }
            for name, ids in sorted(members.items())
        }


def evaluate(
    make_searcher: Callable[[], Searcher],
    dataset: Dataset,
    *,
    document_id: DocumentId,
    systems: Sequence[System] = SYSTEMS,
    options: SearchOptions | None = None,
    on_query: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Ask every system every question, one at a time, and measure.

    Each question is asked twice: for all of its candidates, which the metrics rank, and as a user asks it, which gives
    latency (of a warm process) and confidence.

    make_searcher: called once for each system, so that none profits from data that another one has read.
    """
    options = options or SearchOptions()
    results = tuple(
        _evaluate_system(make_searcher(), dataset, document_id, replace(options, system=system), on_query)
        for system in systems
    )
    by_name: dict[str, SystemResult] = {result.system: result for result in results}
    pairs = [(a, b) for a, b in (("rerank", "dense"), ("rerank", "hybrid")) if a in by_name and b in by_name]
    return Evaluation(
        dataset=dataset,
        systems=results,
        significance={
            f"{a} vs {b}": paired_test(by_name[a].values["top1"], by_name[b].values["top1"]) for a, b in pairs
        },
    )


def _evaluate_system(
    searcher: Searcher,
    dataset: Dataset,
    document_id: DocumentId,
    options: SearchOptions,
    on_query: Callable[[], None],
) -> SystemResult:
    run: dict[str, list[tuple[str, float]]] = {}
    latency: dict[str, float] = {}
    refused = set()
    searcher.search("warm", options)  # the first query pays for lazy set-up
    for query in dataset.queries:
        asked = replace(options, instruction=query.instruction)
        result = searcher.search(query.literal, asked)
        latency[query.query_id] = result.timings_ms["total"]
        if not result.confident:
            refused.add(query.query_id)
        # ungrouped: grouping goes on until there are `top_k` documents, which would rank the whole set
        everything = replace(asked, top_k=asked.candidates, min_score=EVERYTHING, group=False)
        best: dict[str, float] = {}
        for hit in searcher.search(query.literal, everything).hits:
            best.setdefault(document_id(hit.chunk.path), hit.score)
        run[query.query_id] = list(best.items())
        on_query()
    judged = {query.query_id: dataset.qrels[query.query_id] for query in dataset.judged}
    rankings = {query_id: [document for document, _ in run[query_id]] for query_id in judged}
    return SystemResult(options.system, per_query(rankings, judged), run, latency, frozenset(refused))
