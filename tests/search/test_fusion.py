from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from rag_search.search.fusion import fuse, reciprocal_rank_fusion


def ranking(*pairs: tuple[int, float]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([i for i, _ in pairs], np.int64), np.array([s for _, s in pairs], np.float32)


EMPTY = ranking()


def naive_fuse(
    dense: dict[int, float], lexical: dict[int, float], weight: float, *, all_matches: bool = False
) -> dict[int, float]:
    def z(scores: dict[int, float]) -> dict[int, float]:
        if not scores:
            return dict.fromkeys(ids, 0.0)
        values = np.array(list(scores.values()))
        spread = values.std() or 1.0
        standard = {i: (s - values.mean()) / spread for i, s in scores.items()}
        return {i: standard.get(i, min(standard.values())) for i in ids}

    ids = sorted(set(dense) | set(lexical))
    if all_matches:
        lexical = {i: lexical.get(i, 0.0) for i in ids}
    zd, zl = z(dense), z(lexical)
    return {i: zd[i] + weight * zl[i] for i in ids}


scores = st.dictionaries(st.integers(0, 40), st.integers(-50, 50).map(float), max_size=15)


@given(scores, scores, st.sampled_from([0.0, 0.5, 1.0]), st.booleans())
def test_fuse_equals_the_formula(
    dense: dict[int, float], lexical: dict[int, float], weight: float, all_matches: bool
) -> None:
    ids, fused = fuse(ranking(*dense.items()), ranking(*lexical.items()), weight=weight, all_matches=all_matches)
    expected = naive_fuse(dense, lexical, weight, all_matches=all_matches)
    assert set(ids.tolist()) == set(expected)
    assert_allclose(fused, [expected[i] for i in ids.tolist()], atol=1e-4)
    assert all(a >= b for a, b in pairwise(fused))


def test_one_list_alone_decides() -> None:
    ids, _ = fuse(ranking((7, 0.9), (3, 0.5)), EMPTY)
    assert ids.tolist() == [7, 3]
    ids, _ = fuse(EMPTY, ranking((4, 2.0), (1, 9.0)))
    assert ids.tolist() == [1, 4]


def test_the_only_chunk_with_a_rare_name_is_first() -> None:
    dense = ranking(*((i, 0.9 - i / 1000) for i in range(100)))
    ids, _ = fuse(dense, ranking((500, 7.0)), all_matches=True)
    assert ids[0] == 500


def test_ties_go_to_the_lower_id() -> None:
    ids, _ = fuse(ranking((9, 0.5), (2, 0.5)), EMPTY)
    assert ids.tolist() == [2, 9]


def test_reciprocal_rank_fusion_adds_reciprocal_ranks() -> None:
    ids, fused = reciprocal_rank_fusion([np.array([1, 2]), np.array([2, 3])])
    assert ids.tolist() == [2, 1, 3]
    assert_allclose(fused, [1 / 62 + 1 / 61, 1 / 61, 1 / 62], rtol=1e-6)
