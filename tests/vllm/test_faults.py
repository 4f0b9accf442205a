"""Each way in which the field serves these models wrongly, against the real server: caught, and the flag named."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_search import wiring
from rag_search.config import Settings
from rag_search.doctor import examine
from rag_search.errors import KnownAnswerError
from rag_search.rerank.qwen3 import OVERRIDES, TEMPLATE

pytestmark = pytest.mark.slow


def settings(servers, answers, cache: Path, *, embedder: str = "embedder", reranker: str = "reranker") -> Settings:
    """Settings of the served profile for the servers named."""
    return Settings.model_validate(
        {
            "profile": "served",
            "cache_dir": cache,
            "embedder": {
                "url": servers[embedder].url,
                "model": servers[embedder].model,
                "known_answers": answers["embedder"],
            },
            "reranker": {
                "url": servers[reranker].url,
                "model": servers[reranker].model,
                "known_answers": answers["reranker"],
                "max_tokens_per_doc": 900,
            },
        }
    )


def test_right_servers_pass_once(servers, answers, tmp_path: Path) -> None:
    right = settings(servers, answers, tmp_path)
    embedder = wiring.make_embedder(right)
    wiring.make_reranker(right, embedder)
    assert len(list((tmp_path / "known-answers").iterdir())) == 2
    wiring.make_embedder(right)
    assert len(list((tmp_path / "known-answers").iterdir())) == 2


@pytest.mark.parametrize(
    ("server", "said", "remedy"),
    [
        ("no-template", "template", f"--chat-template {TEMPLATE}"),
        ("lost-newline", "last newline", f"--chat-template {TEMPLATE}"),
        ("no-overrides", "cosines", f"--hf-overrides '{OVERRIDES}'"),
        ("embedder", "embedding server", "reranker.url"),
    ],
)
def test_reranker_faults(servers, answers, tmp_path: Path, server: str, said: str, remedy: str) -> None:
    wrong = settings(servers, answers, tmp_path, reranker=server)
    if server == "embedder":  # one URL for both, the reranker's name
        wrong = wrong.model_copy(
            update={"reranker": wrong.reranker.model_copy(update={"model": "qwen3-embedding-reranker"})}
        )
    with pytest.raises(KnownAnswerError) as caught:
        wiring.make_reranker(wrong, None)
    assert said in caught.value.message
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("server", "said", "remedy"),
    [("mean-pooling", "pooling", "LAST"), ("no-end-token", "does not append <|endoftext|>", "tokenizer")],
)
def test_embedder_faults(servers, answers, tmp_path: Path, server: str, said: str, remedy: str) -> None:
    with pytest.raises(KnownAnswerError) as caught:
        wiring.make_embedder(settings(servers, answers, tmp_path, embedder=server))
    assert said in caught.value.message
    assert remedy in caught.value.remedy


def test_random_weights_fail_without_a_reference(servers, answers, tmp_path: Path) -> None:
    unreferenced = settings(servers, answers, tmp_path)
    section = unreferenced.embedder.model_copy(update={"known_answers": None})
    with pytest.raises(KnownAnswerError, match="right passage first for"):
        wiring.make_embedder(unreferenced.model_copy(update={"embedder": section}))


def test_doctor_asks_again_and_reports_each_engine(servers, answers, tmp_path: Path) -> None:
    from rag_search.config import Config

    wrong = settings(servers, answers, tmp_path, reranker="lost-newline")
    findings = {f.check: f for f in examine(Config(wrong, {}, None))}
    assert findings["embedder"].state == "ok"
    assert findings["reranker"].state == "fail"
    assert str(TEMPLATE) in findings["reranker"].remedy
