"""The product against two real servers: ingest, query, evaluate, doctor; and what is left when a server is killed.

The last tests of this folder end servers, so they stand in the last file and take those that nobody needs any more.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from rag_search.embed.batched import BatchedEmbedder
from rag_search.embed.openai import OpenAIBackend
from rag_search.embed.prompts import PROMPTS
from rag_search.engines.open import manifest_of
from rag_search.errors import EngineError
from rag_search.index import open_reader, open_writer
from rag_search.index import verify as verify_index
from rag_search.ingest import sync_folders
from rag_search.rerank.remote import ApiReranker
from rag_search.runtime.model_client import Remote
from tests.vllm.commands import ragsearch

pytestmark = pytest.mark.slow
Run = Callable[..., subprocess.CompletedProcess[str]]
DOCS = {
    "redis.md": "# 连接池\n\nRedis 连接超时多半是连接池耗尽：把 maxTotal 调大。\n",
    "backup.md": "# Backups\n\nRun pg_dump every night and copy the dump to object storage.\n",
    "kafka.md": "# Kafka consumer lag\n\nAdd consumers up to the number of partitions.\n"
    + "Then measure. " * 30
    + "\n",
}


@pytest.fixture(scope="module")
def project(servers, answers, checkpoints, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "docs").mkdir()
    for name, text in DOCS.items():
        (folder / "docs" / name).write_text(text, "utf-8")
    embedder, reranker = servers["embedder"], servers["reranker"]
    (folder / "ragsearch.toml").write_text(
        f'profile = "served"\ncache_dir = "{folder / "cache"}"\n'
        f'[embedder]\nurl = "{embedder.url}"\nmodel = "{embedder.model}"\n'
        f'tokenizer = "{checkpoints / embedder.model}"\n'
        f'known_answers = "{answers["embedder"]}"\n'
        f'[reranker]\nurl = "{reranker.url}"\nmodel = "{reranker.model}"\nmax_tokens_per_doc = 800\n'
        f'known_answers = "{answers["reranker"]}"\n',
        "utf-8",
    )
    return folder


@pytest.fixture(scope="module")
def run(project: Path) -> Run:
    return partial(ragsearch, project)


def test_ingest_and_query(run: Run, reference) -> None:
    ingested = run("ingest", "docs", "--json")
    assert ingested.returncode == 0, ingested.stderr
    assert json.loads(ingested.stdout)["embedded"] == 3
    question = "[for beginners] Redis 连接超时"
    answered = run("query", question, "--format", "json", "--no-group")
    assert answered.returncode == 0, answered.stderr
    hits = json.loads(answered.stdout)["hits"]
    passages = ["# 连接池", "Backups", "Kafka"]
    assert len(hits) == len(passages)
    scores = [hit["score"] for hit in hits]
    assert scores == sorted(scores, reverse=True)


def test_query_scores_are_those_of_transformers(project: Path, run: Run, reference) -> None:
    """The reranker alone decides: the question has no identifier, whose passage would be lifted."""
    assert run("ingest", "docs").returncode == 0
    with open_reader(project / "indexes" / "default") as reader:
        chunks = reader.chunks([0, 1, 2])
    wanted = reference.scores("how to copy a database at night", [chunk.passage for chunk in chunks])
    answered = run("query", "how to copy a database at night", "--format", "json")
    hits = json.loads(answered.stdout)["hits"]
    order = np.argsort(-wanted, kind="stable")
    assert [hit["path"] for hit in hits] == [chunks[i].path for i in order]
    np.testing.assert_allclose([hit["score"] for hit in hits], wanted[order], rtol=0, atol=1e-5)


def test_cut_passages_are_counted_in_explain(run: Run) -> None:
    note = "1 of 3 passages were longer than the reranker reads and were cut"
    asked = ("query", "pg_dump", "--format", "table", "--explain")
    assert note not in " ".join(run(*asked).stdout.split())
    short = run(*asked, RAGSEARCH_RERANKER__MAX_TOKENS_PER_DOC="64")
    assert note in " ".join(short.stdout.split()), short


def test_evaluate_and_doctor(project: Path, run: Run) -> None:
    folder = project / "set"
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": name, "title": "", "text": text} for name, text in DOCS.items()]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "Kafka lag"}) + "\n", "utf-8")
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tkafka.md\t1\n", "utf-8")
    evaluated = run("evaluate", "set")
    assert evaluated.returncode == 0, evaluated.stderr
    examined = run("doctor", "--json")
    findings = {row["check"]: row["state"] for row in json.loads(examined.stdout)}
    assert (findings["embedder"], findings["reranker"], findings["index"]) == ("ok", "ok", "ok")


def served(server, checkpoints: Path, name: str) -> BatchedEmbedder:
    remote = Remote(server.url, what="the embedding server", setting="embedder")
    path = str(checkpoints / "qwen3-embedding")
    return BatchedEmbedder(OpenAIBackend(remote, name, prompts=PROMPTS["qwen3"], tokenizer=path), PROMPTS["qwen3"])


def test_server_killed_during_a_query(servers) -> None:
    victim = servers["uncached-reranker"]
    remote = Remote(victim.url, what="the rerank server", setting="reranker")
    reranker = ApiReranker(remote, victim.model, max_tokens_per_doc=700)
    killer = threading.Thread(target=lambda: (time.sleep(0.3), victim.stop()))
    killer.start()
    with pytest.raises(EngineError, match=r"the rerank server at .* cannot be reached") as caught:
        for _ in range(1000):
            reranker.score("a question", ["word " * 500] * 64)
    killer.join()
    assert "ragsearch up" in caught.value.remedy


def test_server_killed_during_an_ingest(servers, checkpoints: Path, tmp_path: Path) -> None:
    """What was committed stays and is sound, and the next run, on another server of the model, does only the rest."""
    victim = servers["uncached-embedder"]
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(600):
        (docs / f"{number:03}.md").write_text(f"# Note {number}\n\nNumber {number} of six hundred notes.\n", "utf-8")
    place = tmp_path / "index"
    dying = served(victim, checkpoints, "qwen3-embedding")

    def on_step(step) -> None:
        if step.documents == 256:  # the first group is committed, the second one is next
            victim.stop()

    with pytest.raises(EngineError, match=r"the embedding server at .* cannot be reached"):  # noqa: SIM117
        with open_writer(place, manifest_of(dying)) as writer:
            sync_folders(writer, dying, [docs], base=docs, on_step=on_step)
    assert verify_index(place) == []
    with open_reader(place) as reader:
        assert reader.counts.documents == 256
    alive = served(servers["embedder"], checkpoints, "qwen3-embedding")
    with open_writer(place, manifest_of(alive)) as writer:
        report = sync_folders(writer, alive, [docs], base=docs)
    assert (report.unchanged, report.new, report.embedded) == (256, 344, 344)
    assert verify_index(place) == []
