"""A reader over the best of late interaction: both judgements count, and what was not read stays behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rag_search.config import checked
from rag_search.engines.factory import make_reranker, make_standalone_reranker
from rag_search.errors import EngineError, KnownAnswerError
from rag_search.rerank.joined import JoinedReranker, joined_scores
from tests.support.onnx_models import make_reader, score
from tests.support.project import Run, indexed, model_cache, project, run

__all__ = ["indexed", "model_cache", "project", "run"]


def logits(scores: np.ndarray) -> np.ndarray:
    return np.log(scores) - np.log1p(-scores)


def test_a_score_is_the_mean_of_both_log_odds() -> None:
    """The reader's numbers, brought to mean and spread of the first ones; literal values."""
    first = np.array([2.0, 1.0, 0.0, -3.0])
    scores = (1 / (1 + np.exp(-first))).astype(np.float32)
    joined = joined_scores(scores, np.array([0, 1, 2]), np.array([10.0, 20.0, 30.0]))
    np.testing.assert_allclose(logits(joined.astype(np.float64)), [1.0, 1.0, 1.0, -1.5], atol=1e-4)
    joined = joined_scores(scores, np.array([0, 1, 2]), np.array([-0.2, 0.4, 0.1]))
    assert joined.argmax() == 1
    assert joined[3] < joined[:3].min()


def test_scale_and_shift_of_the_reader_do_not_matter() -> None:
    scores = np.array([0.9, 0.5, 0.2, 0.1], np.float32)
    best, read = np.array([0, 1, 2]), np.array([1.0, 3.0, -2.0])
    near = joined_scores(scores, best, 100 * read - 7)
    np.testing.assert_allclose(joined_scores(scores, best, read), near, atol=1e-6)
    alike = joined_scores(scores, best, np.zeros(3))  # a reader without an opinion leaves the order
    assert np.argsort(-alike, kind="stable").tolist() == [0, 1, 2, 3]


def test_certain_scores_stay_finite() -> None:
    scores = np.array([1.0, 0.0], np.float32)
    assert np.isfinite(joined_scores(scores, np.array([0, 1]), np.array([60.0, -60.0]))).all()
    assert joined_scores(scores[:1], np.array([0]), np.array([5.0])).shape == (1,)


def test_a_query_of_the_profile_quality(
    indexed: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The builtin engine finds, the reader reads, and the answer says that its scores are not calibrated."""
    folder = make_reader(tmp_path / "reader")
    monkeypatch.setenv("RAGSEARCH_RERANKER__MODEL", str(folder))
    monkeypatch.setenv("RAGSEARCH_RERANKER__CHECK", "false")
    done = run("query", "copy the dump to object storage", "--profile", "quality", "--format", "json")
    assert done.code == 0, done.err
    answer = json.loads(done.out)
    assert answer["engine"]["reranker"] == f"late interaction (builtin) + {folder} (onnx) over 10"
    assert (answer["threshold"], answer["confident"]) == (None, True)
    assert answer["hits"][0]["path"] == "docs/backup.md"
    builtin = json.loads(run("query", "copy the dump to object storage", "--format", "json").out)
    assert isinstance(builtin["threshold"], float)
    monkeypatch.setenv("RAGSEARCH_PROFILE", "quality")
    assert f"onnx ({folder}, scores not calibrated)" in run("status").out
    findings = {row["check"]: row for row in json.loads(run("doctor", "--json").out)}
    assert "puts the right passage first for" in findings["reranker"]["detail"]  # eleven words are not a model


def test_the_reader_alone_scores_passages_of_no_index(tmp_path: Path, model_cache: Path) -> None:
    section = {"backend": "onnx", "model": str(make_reader(tmp_path / "reader")), "check": False}
    settings = checked({"cache_dir": model_cache, "reranker": section})
    passages = ["redis timeout", "kafka", "redis"]
    scores = make_standalone_reranker(settings).score("redis timeout", passages)
    np.testing.assert_allclose(scores, score("redis timeout", passages), atol=1e-6)


def test_known_answers_are_asked_before_the_first_use(tmp_path: Path, model_cache: Path) -> None:
    section = {"backend": "onnx", "model": str(make_reader(tmp_path / "reader"))}
    with pytest.raises(KnownAnswerError, match="right passage first for") as caught:
        make_reranker(checked({"cache_dir": model_cache, "reranker": section}), None)
    assert "set reranker.check to false" in caught.value.remedy


def test_a_model_that_is_not_here_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the command that would get it; a hub that listens is not asked."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(EngineError, match="is not on this machine") as caught:
        make_reranker(checked({"cache_dir": tmp_path, "profile": "quality"}), None)
    assert caught.value.remedy == "Run: ragsearch models get Horizon-Labs/multilingual-reranker-small"


def test_a_project_names_a_model_folder_with_trust_only(
    indexed: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkout may bring a network; it is not run before its user has said so."""
    folder = make_reader(tmp_path / "project" / "models" / "reader")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    text = f'profile = "quality"\n[reranker]\nmodel = "{folder}"\ncheck = false\n'
    (indexed / "ragsearch.toml").write_text(text, "utf-8")
    refused = run("query", "redis")
    assert (refused.code, "is not trusted, and sets reranker.model" in refused.err) == (2, True)
    assert run("trust").code == 0
    assert run("query", "redis 连接超时").code == 0


def test_joined_facts(tmp_path: Path, model_cache: Path) -> None:
    """The joined reranker counts what its reader cuts, and has a fingerprint of its own."""
    from rag_search.engines.factory import make_embedder

    section = {"backend": "onnx", "model": str(make_reader(tmp_path / "reader")), "check": False}
    settings = checked({"cache_dir": model_cache, "reranker": section})
    embedder = make_embedder(settings)
    joined, alone = make_reranker(settings, embedder), make_reranker(settings, None)
    assert isinstance(joined, JoinedReranker)
    assert alone is not None
    assert joined.fingerprint != alone.fingerprint
    assert joined.count_truncated(["word " * 100, "redis"]) == 1
    assert joined.threshold is None
    np.testing.assert_allclose(joined.score("redis", ["redis", "kafka"]), score("redis", ["redis", "kafka"]), atol=1e-6)
