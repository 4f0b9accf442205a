"""Each way in which the field serves these models wrongly, against the real server: caught, and the flag named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rag_search.config import Settings, checked
from rag_search.engines import factory
from rag_search.engines.doctor import examine
from rag_search.errors import KnownAnswerError
from rag_search.rerank.qwen3 import OVERRIDES, TEMPLATE

pytestmark = pytest.mark.slow


def settings(
    servers,
    answers,
    cache: Path,
    *,
    embedder: str = "embedder",
    reranker: str = "reranker",
    max_tokens_per_doc: int = 800,
) -> Settings:
    """Settings of the served profile for the servers named."""
    name = servers[reranker].model
    return checked(
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
                "model": name if "rerank" in name else "qwen3-reranker",
                "known_answers": answers["reranker"],
                "max_tokens_per_doc": max_tokens_per_doc,
            },
        }
    )


def test_right_servers_pass_once(servers, answers, tmp_path: Path) -> None:
    right = settings(servers, answers, tmp_path)
    embedder = factory.make_embedder(right)
    factory.make_reranker(right, embedder)
    assert len(list((tmp_path / "known-answers").iterdir())) == 2
    factory.make_embedder(right)
    assert len(list((tmp_path / "known-answers").iterdir())) == 2


def test_the_published_folder_is_right_with_our_template(servers, answers, tmp_path: Path) -> None:
    right = settings(servers, answers, tmp_path, reranker="published")
    assert factory.make_reranker(right, None) is not None


@pytest.mark.parametrize(
    ("server", "fault", "said", "remedy"),
    [
        ("no-template", "no template", "template", f"--chat-template {TEMPLATE}"),
        ("published-no-template", "no template, published folder", "read 1 token ", f"--chat-template {TEMPLATE}"),
        ("published-own-template", "the published template", "ignores the instruction", f"--chat-template {TEMPLATE}"),
        ("lost-newline", "vLLM's own template", "last newline", f"--chat-template {TEMPLATE}"),
        ("no-overrides", "no overrides", "cosines", f"--hf-overrides '{OVERRIDES}'"),
        ("embedder", "rerank URL of the embedding server", "embedding server", "reranker.url"),
    ],
)
def test_reranker_faults(
    servers, answers, findings, tmp_path: Path, server: str, fault: str, said: str, remedy: str
) -> None:
    with pytest.raises(KnownAnswerError) as caught:
        factory.make_reranker(settings(servers, answers, tmp_path, reranker=server), None)
    assert said in caught.value.message
    assert remedy in caught.value.remedy
    findings.caught(fault, caught.value)


@pytest.mark.parametrize(
    ("server", "fault", "said", "remedy"),
    [
        ("mean-pooling", "wrong pooling", "pooling", "LAST"),
        ("no-end-token", "end token dropped", "does not append <|endoftext|>", "tokenizer"),
    ],
)
def test_embedder_faults(
    servers, answers, findings, tmp_path: Path, server: str, fault: str, said: str, remedy: str
) -> None:
    with pytest.raises(KnownAnswerError) as caught:
        factory.make_embedder(settings(servers, answers, tmp_path, embedder=server))
    assert said in caught.value.message
    assert remedy in caught.value.remedy
    findings.caught(fault, caught.value)


@pytest.mark.parametrize(
    ("model", "said"),
    [("mean-qwen3-embedding", "pools mean instead of the last token"), ("endless-qwen3-embedding", "does not append")],
)
def test_faults_of_an_embedder_in_this_process(checkpoints, answers, tmp_path: Path, model: str, said: str) -> None:
    section = {"backend": "sentence-transformers", "model": str(checkpoints / model)}
    section |= {"known_answers": str(answers["embedder"])}
    with pytest.raises(KnownAnswerError, match=said):
        factory.make_embedder(checked({"cache_dir": tmp_path, "embedder": section, "reranker": {"backend": "none"}}))


def test_a_server_with_too_little_room(servers, answers, findings, tmp_path: Path) -> None:
    with pytest.raises(KnownAnswerError, match="takes 1024 tokens, too few for a passage of 1000") as caught:
        factory.make_reranker(settings(servers, answers, tmp_path, max_tokens_per_doc=1000), None)
    assert "--max-model-len 1200, or set reranker.max_tokens_per_doc to 824" in caught.value.remedy
    findings.caught("server too short for a passage", caught.value)


def test_random_weights_fail_without_a_reference(servers, answers, tmp_path: Path) -> None:
    unreferenced = settings(servers, answers, tmp_path)
    section = replace(unreferenced.embedder, known_answers=None)
    with pytest.raises(KnownAnswerError, match="right passage first for"):
        factory.make_embedder(replace(unreferenced, embedder=section))


def test_doctor_asks_again_and_reports_each_engine(servers, answers, tmp_path: Path) -> None:
    from rag_search.config import Config

    wrong = settings(servers, answers, tmp_path, reranker="lost-newline")
    findings = {f.check: f for f in examine(Config(wrong, {}, None))}
    assert findings["embedder"].state == "ok"
    assert findings["reranker"].state == "fail"
    assert str(TEMPLATE) in findings["reranker"].remedy
