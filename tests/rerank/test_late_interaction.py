from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rag_search.embed.token_quantizer import dequantize, quantize, rotate
from rag_search.errors import EngineError
from rag_search.records import (
    Chunk,
    Encoded,
    EncodedQueries,
    EncodedQuery,
    FloatMatrix,
    FloatVector,
    Hit,
    StageScores,
    TokenVectors,
    packed_bytes,
)
from rag_search.rerank.base import Reranker, TokenVectorReranker
from rag_search.rerank.calibration import Calibration, load_calibration, rival_level
from rag_search.rerank.features import (
    AGREEMENT,
    agreement,
    columns,
    features,
    is_foreign,
    is_of_another_year,
    match_tokens,
    readability,
)
from rag_search.rerank.late_interaction import LateInteractionReranker, late_interaction
from rag_search.rerank.pieces import cut_passages

DIM = 16
AXES = rotate(np.eye(DIM, dtype=np.float32))
CALIBRATION = Calibration(
    late=6.0, dense=2.0, lexical=1.0, length=-0.5, untranslated=0.75, edition=4.0, translation=0.7,
    slope=0.5, rivals=0.25, typical=3.0, bias=-1.0, threshold=0.3,
)  # fmt: skip


def units(rng: np.random.Generator, count: int) -> FloatMatrix:
    vectors = rng.normal(size=(count, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def stored(vectors: FloatMatrix, lengths: Sequence[int]) -> TokenVectors:
    return TokenVectors(quantize(vectors), np.array(lengths, np.int64))


def naive(query: FloatMatrix, tokens: TokenVectors) -> list[float]:
    scores, start = [], 0
    for length in tokens.lengths.tolist():
        rows = dequantize(tokens.rows[start : start + length]).astype(float)
        best = [max((float(q @ row) for row in rows), default=0.0) for q in query]
        scores.append(sum(best) / len(best))
        start += length
    return scores


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=12), st.integers(1, 9), st.integers(0, 1000))
def test_passages_agree_with_loops(lengths: list[int], query_tokens: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    query, tokens = units(rng, query_tokens), stored(units(rng, sum(lengths)), lengths)
    np.testing.assert_allclose(late_interaction(query, tokens), naive(query, tokens), atol=1e-5)


def test_long_passages_agree_with_loops() -> None:
    """Many thousand tokens, and passages without any between them, are scored as a naive loop does."""
    rng = np.random.default_rng(1)
    lengths = [3000, 0, 3000, 9000, 1, 0, 200, 4096]
    query, tokens = units(rng, 3), stored(units(rng, sum(lengths)), lengths)
    np.testing.assert_allclose(late_interaction(query, tokens), naive(query, tokens), atol=1e-5)


def test_features_of_candidates() -> None:
    made = features(
        np.array([0.5, 0.25], np.float32),
        np.array([0.8, 0.9], np.float32),
        np.array([4, 2], np.float32),
        np.array([3, 256]),
        np.array([1, 0.5], np.float32),
        np.array([1, 0], np.float32),
        exact=np.array([0, 0.75], np.float32),
    )
    agreed = np.array([1 / 2 + 1 / 3 + 1 / 3, 1 / 3 + 1 / 2 + 1 / 2])  # by late interaction, cosine, and both
    wanted = np.array([[0.5, 0.8, 1.0, math.log(64), 1, 1, 0, 0], [0.25, 0.9, 0.5, math.log(256), 0.5, 0, 0.75, 0]])
    wanted[:, AGREEMENT] = agreed
    np.testing.assert_allclose(made, wanted, rtol=1e-6)
    np.testing.assert_allclose(columns(made, 0.7)[:, :4], wanted[:, :4], rtol=1e-6)
    assert columns(made, 0.7)[:, 4].tolist() == [0, 1]
    assert columns(made, 0.4)[:, 4].tolist() == [0, 0]
    np.testing.assert_allclose(columns(made, 0.4)[:, 5:], wanted[:, 5:], rtol=1e-6)
    nothing = np.empty(0, np.float32)
    assert features(nothing, nothing, nothing, np.empty(0, np.int64), nothing, nothing).shape == (0, 8)


def test_agreement_ranks_among_the_reference() -> None:
    """Equal scores share a rank; a candidate beyond the reference takes no rank from the others."""
    late = np.array([0.9, 0.5, 0.5, 0.7], np.float32)
    dense = np.array([0.1, 0.3, 0.2, 0.9], np.float32)
    share = np.zeros(4, np.float32)  # so that cosine alone decides the third ranking
    wanted = [1 / 2 + 2 / 5, 1 / 4 + 2 / 3, 1 / 4 + 2 / 4, 1 / 3 + 2 / 2]
    np.testing.assert_allclose(agreement(late, dense, share), wanted, rtol=1e-6)
    among_three = agreement(late, dense, share, reference=3)
    np.testing.assert_allclose(among_three, [1 / 2 + 2 / 4, 1 / 3 + 2 / 2, 1 / 3 + 2 / 3, 1 / 3 + 2 / 2], rtol=1e-6)


def test_agreement_ranks_cosine_and_bm25_together() -> None:
    """Both in standard deviations, BM25 with half the weight: 1.41, -0.71 + 0.71 and -0.71 - 0.35 here."""
    late, dense = np.zeros(3, np.float32), np.array([0.9, 0.3, 0.3], np.float32)
    share = np.array([0.0, 1.0, 0.0], np.float32)
    np.testing.assert_allclose(
        agreement(late, dense, share), [3 / 2, 1 / 2 + 1 / 3 + 1 / 3, 1 / 2 + 1 / 3 + 1 / 4], rtol=1e-6
    )


class SignEncoder:
    """Encodes a text as one unit vector per word: the axis numbered by the word's length."""

    model = "zero-shot"
    fingerprint = "sign"

    def encode_queries(self, queries: Sequence[str]) -> EncodedQueries:
        pairs = [self._encode(query) for query in queries]
        return EncodedQueries(np.array([vector for vector, _ in pairs]), tuple(tokens for _, tokens in pairs))

    def encode_documents(self, passages: Sequence[str]) -> Encoded:
        made = [self._encode(passage) for passage in passages]
        rows = np.concatenate([np.empty((0, DIM), np.float32), *(tokens for _, tokens in made)])
        vectors = np.array([vector for vector, _ in made], np.float32).reshape(-1, DIM)
        return Encoded(vectors, stored(rows, [len(tokens) for _, tokens in made]))

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        return np.array([len(text.split()) for text in texts], np.int64)

    def _encode(self, text: str) -> tuple[FloatVector, FloatMatrix]:
        tokens = AXES[[len(word) for word in text.split()]]
        mean = tokens.sum(axis=0)
        return (mean / np.linalg.norm(mean)).astype(np.float32), tokens


def encoded(text: str) -> EncodedQuery:
    (query,) = SignEncoder().encode_queries([text]).each([text])
    return query


def hit(dense: float | None, lexical: float | None, *, path: str = "a.md") -> Hit:
    chunk = Chunk(path, "A", 0, "text", (), 0, 4, 1, 1, "A\ntext")
    return Hit(chunk, 1, 0.0, StageScores(dense=dense, lexical=lexical))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.fixture
def reranker() -> LateInteractionReranker:
    return LateInteractionReranker(SignEncoder(), CALIBRATION)


def test_it_is_both_kinds_of_reranker(reranker: LateInteractionReranker) -> None:
    assert isinstance(reranker, Reranker)
    assert isinstance(reranker, TokenVectorReranker)
    assert reranker.threshold == 0.3
    assert not reranker.follows_instructions


def test_probabilities_of_stored_tokens(reranker: LateInteractionReranker) -> None:
    tokens = stored(AXES[[1, 2, 3, 1]], [2, 1, 1])
    hits = [hit(0.5, 10.0, path="a.md"), hit(0.9, None, path="b.md"), hit(None, 5.0, path="c.md")]
    scores = reranker.score_token_vectors(encoded("a bb"), hits, tokens)  # the query is the axes 1 and 2
    blends = [
        6 + 2 * 0.5 + 1.0 - 0.5 * math.log(64),
        6 * 0.0 + 2 * 0.9 - 0.5 * math.log(64),
        6 / 2 + 2 * 0.5 + 0.5 - 0.5 * math.log(64),  # without a dense score it counts as the lowest known one
    ]
    level = (blends[1] + blends[2] + 8 * 3.0) / 10  # two rivals, eight stand-ins
    expected = [sigmoid(0.5 * blend - 0.25 * level - 1) for blend in blends]
    np.testing.assert_allclose(scores, expected, rtol=1e-4)
    assert scores.dtype == np.float32


def test_probabilities_of_texts(reranker: LateInteractionReranker) -> None:
    scores = reranker.score("a bb", ["a bb", "ccc", "bb ccc"])
    blends = [x - 0.5 * math.log(64) for x in (6 + 2, 0, 3 + 2 * 0.5)]
    level = (blends[1] + blends[2] + 8 * 3.0) / 10
    np.testing.assert_allclose(scores, [sigmoid(0.5 * blend - 0.25 * level - 1) for blend in blends], rtol=1e-4)


def test_a_passage_in_another_script_is_weighed(reranker: LateInteractionReranker) -> None:
    scores = reranker.score("a bb", ["中文字", "a bb"])  # the axis 3; the axes 1 and 2
    blends = [0.75 - 0.5 * math.log(64), 6 + 2 - 0.5 * math.log(64)]
    level = (blends[0] + 9 * 3.0) / 10
    np.testing.assert_allclose(scores, [sigmoid(0.5 * blend - 0.25 * level - 1) for blend in blends], rtol=1e-4)


def readable(query: str, passages: Sequence[str], tokens: TokenVectors) -> FloatVector:
    return readability(is_foreign(query, passages), match_tokens(AXES[:1], tokens).directions)


def test_how_far_a_passage_can_be_read() -> None:
    passages = ["english", "中文", "другое", "also english"]
    tokens = stored(AXES[[1, 2, 1, 2, 2, 3, 5]], [2, 3, 1, 1])  # the second leans to the first, the third to none
    leaning = 3 / np.sqrt(2 * 5)
    np.testing.assert_allclose(readable("a question", passages, tokens), [1, leaning, 0, 1], atol=1e-6)
    np.testing.assert_allclose(readable("问题", passages, tokens), [leaning, 1, 0, 0], atol=1e-6)
    assert readable("вопрос", passages[:2], stored(AXES[[1, 2]], [1, 1])).tolist() == [0, 0]
    assert readable("a question", ["english", "中文"], stored(AXES[:0], [0, 0])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("query", "other"),
    [("2021 年那版流水线", [0, 1, 0, 0, 0]), ("the 2019 or 2024 edition", [1, 0, 0, 0, 0]), ("pipeline", [0] * 5),
     ("2000 connections, port 20210", [0] * 5)],
)  # fmt: skip
def test_passages_of_another_year(query: str, other: list[int]) -> None:
    passages = [
        "规范（2021）\n1 环境\n2024",
        "规范（2024）\n骨架\n2021",
        "规范\n2021 > 2024\ntext",
        "A\nB\n2024",
        "Port 20240",
    ]
    assert is_of_another_year(query, passages).tolist() == other


def test_a_passage_of_another_year_loses(reranker: LateInteractionReranker) -> None:
    first, second = reranker.score("aa 2021", ["2024 aa", "2021 aa"])
    assert first < second


def test_probabilities_keep_the_order_of_the_blend() -> None:
    made = np.random.default_rng(2).normal(size=(50, 8)).astype(np.float32)  # some readable, some not
    order = np.argsort(-CALIBRATION.blend(made))
    assert np.argsort(-CALIBRATION.probability(made)).tolist() == order.tolist()


def test_a_rival_makes_the_best_one_less_sure() -> None:
    alone = np.array([[1.0, 0.9, 1.0, 4.2, 1.0, 0, 0, 0]] + [[0.1, 0.7, 0.0, 4.2, 1.0, 0, 0, 0]] * 10, np.float32)
    rivalled = alone.copy()
    rivalled[1:] = [0.95, 0.89, 0.9, 4.2, 1.0, 0, 0, 0]
    assert CALIBRATION.probability(rivalled)[0] < CALIBRATION.probability(alone)[0]


@pytest.mark.parametrize(("blend", "level"), [([], 3.0), ([9.0], 3.0), ([1.0, 9.0], 2.8), ([5.0] + [4.0] * 30, 4.0)])
def test_rival_level(blend: list[float], level: float) -> None:
    assert rival_level(np.array(blend), 3.0) == pytest.approx(level)


def test_chunks_of_one_document_are_no_rivals() -> None:
    blend = np.array([9.0, 8.0, 7.0, 1.0, 2.0])
    assert rival_level(blend, 3.0, ["a", "a", "a", "b", "b"]) == pytest.approx((2.0 + 9 * 3.0) / 10)
    assert rival_level(blend, 3.0, ["a", "b", "a", "c", "c"]) == pytest.approx((8.0 + 2.0 + 8 * 3.0) / 10)


@pytest.mark.parametrize(
    ("strengths", "hint"), [([0, 0.4, 0], 0.0), ([0.4, 0, 0], 0.4), ([1, 0, 0], 0.0), ([0.75, 0.5, 0], 0.25)]
)
def test_a_term_of_a_longer_question_is_one_hint(strengths: list[float], hint: float) -> None:
    """Only evidence in the best candidate counts, and not if it is the whole question; the order stays."""
    candidates = np.zeros((3, 8), np.float32)
    candidates[:, 0], candidates[:, 4], candidates[:, 6] = (0.9, 0.5, 0.3), 1, strengths
    plain, careful = CALIBRATION, replace(CALIBRATION, partial=2.0)
    logits = [np.log(p / (1 - p)) for p in (plain.probability(candidates), careful.probability(candidates))]
    np.testing.assert_allclose(logits[0] - logits[1], 2.0 * hint, atol=1e-5)


def test_nothing_to_score(reranker: LateInteractionReranker) -> None:
    nothing = TokenVectors(np.empty((0, packed_bytes(DIM)), np.uint8), np.empty(0, np.int64))
    assert reranker.score_token_vectors(encoded("a"), [], nothing).shape == (0,)
    assert reranker.score("a", []).shape == (0,)


def test_the_fingerprint_covers_embedder_and_calibration(reranker: LateInteractionReranker) -> None:
    other = replace(CALIBRATION, lexical=1.5)
    assert LateInteractionReranker(SignEncoder(), CALIBRATION).fingerprint == reranker.fingerprint
    assert LateInteractionReranker(SignEncoder(), other).fingerprint != reranker.fingerprint


def test_a_query_without_tokens_matches_nothing() -> None:
    tokens = stored(AXES[:2], [1, 1])
    assert late_interaction(np.empty((0, DIM), np.float32), tokens).tolist() == [0.0, 0.0]


def test_a_model_without_calibration_is_an_error() -> None:
    with pytest.raises(EngineError, match="no calibration for the model 'other'"):
        load_calibration("other")


def test_the_packaged_calibration_is_sound() -> None:
    calibration = load_calibration("zero-shot")
    assert calibration.late > 0
    assert calibration.lexical >= 0
    assert 0 < calibration.threshold < 1


def test_a_long_passage_has_the_score_of_its_best_piece(reranker: LateInteractionReranker) -> None:
    """What is asked for is in the last of 1,200 words; alone it would be one of the pieces."""
    long = "aaa " * 1199 + "bb"
    pieces, owners = cut_passages([long, "c"], SignEncoder().count_tokens)
    assert owners.tolist() == [0] * 6 + [1]
    scores = reranker.score("bb", [long, "aaa", "c"])
    assert scores.argmax() == 0
    alone = reranker.score("bb", [pieces[5], "aaa", "c"])
    assert scores[0] == pytest.approx(alone[0], abs=0.05)  # the other pieces are no rivals
