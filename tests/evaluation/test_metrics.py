import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from rag_search.evaluation.metrics import RESAMPLES, SEED, bootstrap_interval, paired_test, per_query

QRELS = {"q1": {"a": 2, "b": 1}, "q2": {"c": 1}, "q3": {"z": 1}}
RUN = {"q1": ["b", "x", "a"], "q2": ["c"]}


def test_metrics_by_hand() -> None:
    values = per_query(RUN, QRELS)
    assert values["top1"] == {"q1": 1.0, "q2": 1.0, "q3": 0.0}
    assert values["rr@10"] == {"q1": 1.0, "q2": 1.0, "q3": 0.0}
    ideal = 2 / math.log2(2) + 1 / math.log2(3)
    assert values["ndcg@10"]["q1"] == pytest.approx((1 / math.log2(2) + 2 / math.log2(4)) / ideal)
    assert values["r@50"] == {"q1": 1.0, "q2": 1.0, "q3": 0.0}


def test_the_order_given_is_the_order_measured_whatever_the_ids() -> None:
    for ranking in (["a", "b", "c"], ["c", "b", "a"], ["b", "a", "c"]):
        assert per_query({"q": ranking}, {"q": {ranking[0]: 1}})["top1"] == {"q": 1.0}
        assert per_query({"q": ranking}, {"q": {ranking[1]: 1}})["rr@10"] == {"q": 0.5}


@given(st.integers(1, 200), st.floats(0.05, 0.95))
def test_bootstrap_interval_matches_binomial(n: int, p: float) -> None:
    """The interval of hits is that of the binomial, which resampling them is."""
    values = (np.random.default_rng(0).random(n) < p).astype(float)
    low, high = bootstrap_interval(values.tolist())
    assert 0 <= low <= values.mean() <= high <= 1
    exact = binom.ppf([0.025, 0.975], n, values.mean()) / n
    assert [low, high] == pytest.approx(exact, abs=1.5 / n)  # a quantile between two counts may fall on either


@pytest.mark.parametrize(("wins", "losses"), [(12, 2), (5, 5), (3, 0), (20, 8)])
def test_sign_flips_agree_with_the_exact_sign_test(wins: int, losses: int) -> None:
    a = {f"q{i}": 1.0 for i in range(wins)} | {f"l{i}": 0.0 for i in range(losses)}
    b = {query_id: 1.0 - value for query_id, value in a.items()}
    test = paired_test(a, b)
    assert (len(test.wins), len(test.losses)) == (wins, losses)
    assert test.difference == pytest.approx((wins - losses) / (wins + losses))
    assert test.p_value == pytest.approx(binomtest(wins, wins + losses).pvalue, abs=0.02)


def test_samples_are_drawn_one_by_one_as_all_at_once() -> None:
    for n in (1, 5, 92):
        together = np.random.default_rng(SEED).integers(0, n, size=(RESAMPLES, n))
        values = np.random.default_rng(n).random(n)
        expected = np.quantile([values[rows].mean() for rows in together], [0.025, 0.975])
        assert bootstrap_interval(values.tolist()) == tuple(expected.tolist())


@pytest.mark.parametrize("system", ["interval", "test"])
def test_resampling_thousands_of_queries_takes_little_memory(system: str) -> None:
    values = np.random.default_rng(0).choice([-1.0, 1.0], 400)
    tracemalloc.start()
    if system == "interval":
        bootstrap_interval(values.tolist())
    else:
        paired_test({str(i): value for i, value in enumerate(values)}, {str(i): 0.0 for i in range(len(values))})
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5_000_000  # all samples at once are 32 MB


def test_no_difference_is_no_evidence() -> None:
    assert paired_test({"q": 1.0}, {"q": 1.0}).p_value == 1.0
