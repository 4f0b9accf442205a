"""Compute metrics of a run by ir_measures, and their uncertainty as a sample of queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag_search.errors import MissingExtraError

try:
    from ir_measures import RR, R, Success, iter_calc, nDCG
    from ir_measures import ScoredDoc as _ScoredDoc
except ModuleNotFoundError as error:
    raise MissingExtraError("ir_measures", "eval") from error

MEASURES = {"top1": Success @ 1, "rr@10": RR @ 10, "ndcg@10": nDCG @ 10, "r@50": R @ 50}
RESAMPLES = 10_000
_AT_ONCE = 100  # resamples of one draw; all of them take 240 MB for 3,000 queries
SEED = 20240501

Qrels = Mapping[str, Mapping[str, int]]
Run = Mapping[str, Sequence[str]]  # query id -> document ids, best first


@dataclass(frozen=True, slots=True)
class PairedTest:
    """System A against B on the same queries.

    difference: mean difference. low, high: its 95 % bootstrap interval. p_value: two-sided, of a sign-flip
    randomisation test (Smucker et al. 2007). wins, losses: query ids.
    """

    difference: float
    low: float
    high: float
    p_value: float
    wins: tuple[str, ...]
    losses: tuple[str, ...]


def per_query(run: Run, qrels: Qrels) -> dict[str, dict[str, float]]:
    """Return metric -> query id -> value. A judged query that the run lacks scores 0.

    trec_eval breaks ties of scores by document id, so ranks are passed as strictly falling scores.
    """
    scored = [
        _ScoredDoc(query_id, document_id, float(-rank))
        for query_id, ranking in run.items()
        for rank, document_id in enumerate(ranking)
    ]
    names = {str(measure): name for name, measure in MEASURES.items()}
    values = {name: dict.fromkeys(qrels, 0.0) for name in MEASURES}
    for metric in iter_calc(list(MEASURES.values()), {q: dict(d) for q, d in qrels.items()}, scored):
        values[names[str(metric.measure)]][metric.query_id] = float(metric.value)
    return values


def mean(values: Mapping[str, float]) -> float:
    """Return the mean over queries, 0 without queries."""
    return float(np.mean(list(values.values()))) if values else 0.0


def bootstrap_interval(values: Sequence[float], *, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile bootstrap interval of the mean over queries (Efron 1979), with a fixed seed."""
    sample = np.asarray(values, dtype=np.float64)
    if len(sample) == 0:
        return 0.0, 0.0
    means = np.array([sample[rows].mean() for rows in _resamples(len(sample))])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_test(a: Mapping[str, float], b: Mapping[str, float]) -> PairedTest:
    """Compare two systems query by query. a, b: query id -> value, with the same ids."""
    ids = sorted(a)
    difference = np.array([a[query_id] - b[query_id] for query_id in ids])
    low, high = bootstrap_interval(difference.tolist())
    return PairedTest(
        difference=float(difference.mean()) if ids else 0.0,
        low=low,
        high=high,
        p_value=_sign_flip_p(difference),
        wins=tuple(query_id for query_id, d in zip(ids, difference, strict=True) if d > 0),
        losses=tuple(query_id for query_id, d in zip(ids, difference, strict=True) if d < 0),
    )


def _sign_flip_p(difference: NDArray[np.float64]) -> float:
    moved = difference[difference != 0]
    if len(moved) == 0:
        return 1.0
    rng = np.random.default_rng(SEED)
    observed = abs(moved.sum())
    as_extreme = 0
    for _ in range(RESAMPLES // _AT_ONCE):
        flips = rng.choice([-1.0, 1.0], size=(_AT_ONCE, len(moved)))
        as_extreme += int((np.abs(flips @ moved) >= observed - 1e-12).sum())
    return (as_extreme + 1) / (RESAMPLES + 1)


def _resamples(n: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each sample; the draws equal those of a single call for all samples."""
    rng = np.random.default_rng(SEED)
    for _ in range(RESAMPLES // _AT_ONCE):
        yield from rng.integers(0, n, size=(_AT_ONCE, n))
