"""The known-answer check on engines whose faults are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rag_search.embed.batched import BatchedEmbedder
from rag_search.embed.prompts import PROMPTS
from rag_search.engines.known_answers import Answers, check_embedder, check_reranker, load_answers, once
from rag_search.errors import ConfigError, EngineError, KnownAnswerError
from rag_search.records import FloatMatrix, FloatVector
from rag_search.rerank.qwen3 import TEMPLATE
from tests.support.fakes import OverlapReranker, WordEmbedder, word_vector

WORDS = Answers(tuple((f"topic{i} word{i}", f"topic{i} word{i} other{i}") for i in range(12)))
UNRELATED = Answers(tuple(zip("abcdefghijkl", "mnopqrstuvwx", strict=True)))


@dataclass(frozen=True)
class WordBackend:
    """A batch of bags of words; `pool` may spoil them."""

    pool: Callable[[FloatMatrix], FloatMatrix] = lambda rows: rows
    name = model = identity = "words"
    max_rows = 4
    concurrency = 1

    def count_tokens(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([len(text.split()) for text in texts], np.int64)

    def embed(self, texts: Sequence[str]) -> FloatMatrix:
        return self.pool(np.array([word_vector(text) for text in texts], np.float32))

    def check_structure(self) -> None:
        pass


def words(pool: Callable[[FloatMatrix], FloatMatrix] = lambda rows: rows) -> BatchedEmbedder:
    return BatchedEmbedder(WordBackend(pool), PROMPTS["qwen3"])


def test_ours_are_a_dozen_in_two_languages() -> None:
    pairs = load_answers().pairs
    assert len(pairs) == len(set(pairs)) == 12
    assert sum(any("\u4e00" <= c <= "\u9fff" for c in query) for query, _ in pairs) == 6


def test_a_sound_embedder_and_reranker_pass() -> None:
    check_embedder(words(), WORDS)
    check_embedder(WordEmbedder(), WORDS)
    check_reranker(OverlapReranker(), WORDS)


def test_vectors_that_say_nothing_fail() -> None:
    with pytest.raises(KnownAnswerError, match="puts the right passage first for"):
        check_embedder(WordEmbedder(), UNRELATED)


def test_a_batch_that_leaks_into_its_rows_fails() -> None:
    def leak(rows: FloatMatrix) -> FloatMatrix:
        mixed = rows + rows.mean(axis=0)
        return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)

    with pytest.raises(KnownAnswerError, match="scores differ between a batch and single texts"):
        check_embedder(words(leak), WORDS)


def test_vectors_that_are_not_normalised_fail() -> None:
    with pytest.raises(EngineError, match="not of length 1"):
        check_embedder(words(lambda rows: rows * 3), WORDS)


def test_published_figures_of_the_model_card() -> None:
    with pytest.raises(KnownAnswerError, match=r"off by 0\.\d+ from the known answers"):
        check_embedder(words(), WORDS, model="Qwen/Qwen3-Embedding-4B")


class Deaf(OverlapReranker):
    """Says that it follows instructions, and does not."""

    def score(self, query: str, passages: Sequence[str], *, instruction: str | None = None) -> FloatVector:
        return super().score(query, passages)


def test_a_reranker_that_ignores_the_instruction_fails() -> None:
    with pytest.raises(KnownAnswerError, match="ignores the instruction") as caught:
        check_reranker(Deaf(), WORDS)
    assert f"--chat-template {TEMPLATE}" in caught.value.remedy


def test_reference_file(tmp_path: Path) -> None:
    matrix = [
        [float(word_vector(q) @ word_vector(p)) for _, p in load_answers().pairs] for q, _ in load_answers().pairs
    ]
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({"matrix": matrix}), "utf-8")
    check_embedder(WordEmbedder(), load_answers(file))
    matrix[3][4] += 0.1
    file.write_text(json.dumps({"matrix": matrix}), "utf-8")
    with pytest.raises(KnownAnswerError, match=r"off by 0\.100"):
        check_embedder(WordEmbedder(), load_answers(file))
    for text in ("{}", "[1]", '{"matrix": null}', '{"matrix": [{}]}', "nonsense"):
        file.write_text(text, "utf-8")
        with pytest.raises(ConfigError, match=r"contain(s a matrix of|.*known answers)"):
            load_answers(file)


def test_once_remembers_success_only(tmp_path: Path) -> None:
    calls: list[str] = []

    def fail() -> None:
        calls.append("fail")
        raise KnownAnswerError("wrong")

    for _ in range(2):
        with pytest.raises(KnownAnswerError):
            once(tmp_path, "engine", fail)
    for _ in range(2):
        once(tmp_path, "engine", lambda: calls.append("pass"))
    once(tmp_path, "another run of the server", lambda: calls.append("pass"))
    assert calls == ["fail", "fail", "pass", "pass"]
