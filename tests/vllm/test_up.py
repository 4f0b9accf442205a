"""From nothing to an answer: `up` starts two real servers, then ingest and query as the documentation shows them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vllm.commands import ragsearch

pytestmark = pytest.mark.slow
VLLM = "--dtype float32 --max-model-len 1024 --enforce-eager --kv-cache-memory-bytes 67108864"
DOCS = {
    "redis.md": "# 连接池\n\nRedis 连接超时多半是连接池耗尽：把 maxTotal 调大，并检查慢命令。\n",
    "backup.md": "# Backups\n\nRun pg_dump every night and copy the dump to object storage.\n",
}


@pytest.fixture(scope="module")
def project(checkpoints, answers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with documents and settings; its servers are ended even when a test fails."""
    from tests.vllm.servers import free_port

    folder = tmp_path_factory.mktemp("up")
    (folder / "docs").mkdir()
    for name, text in DOCS.items():
        (folder / "docs" / name).write_text(text, "utf-8")
    settings = f'profile = "served"\ncache_dir = "{folder / "cache"}"\n'
    for part, model in (("embedder", "qwen3-embedding"), ("reranker", "qwen3-reranker")):
        settings += f'[{part}]\nurl = "http://127.0.0.1:{free_port()}/v1"\nmodel = "{checkpoints / model}"\n'
        settings += f'known_answers = "{answers[part]}"\n'
    (folder / "ragsearch.toml").write_text(settings + "max_tokens_per_doc = 800\n", "utf-8")
    yield folder
    ragsearch(folder, "down")


def test_from_nothing_to_an_answer(project: Path, checkpoints: Path, environment, findings) -> None:
    def run(line: str) -> str:
        done = ragsearch(project, *shlex.split(line), timeout_s=900, **environment)
        assert done.returncode == 0, done.stderr
        findings.said(f"ragsearch {line}", done.stdout, hidden=(project, checkpoints))
        return done.stdout

    planned = run(f"up --cpu --dry-run -- {VLLM}").strip().split("\n")
    assert ["--runner pooling" in line for line in planned] == [True, True]
    assert "--hf-overrides" in planned[1]
    assert [line.split()[0] for line in run(f"up --cpu -- {VLLM}").strip().split("\n")] == ["embedder", "reranker"]
    assert run(f"up --cpu -- {VLLM}").count("qwen3-") == 2  # those that run
    assert run("ingest docs").startswith("2 new")
    assert run("query '[for beginners] Redis 连接超时' --format table --explain").count("rerank") >= 2
    assert run("doctor").count("\nok ") >= 9
    assert run("status").count(" ready: ") == 2
    assert run("down").count("stopped") == 2
    assert " ready: " not in run("status")
    refused = ragsearch(project, "query", "Redis")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "cannot be reached" in refused.stderr
    assert "ragsearch up" in refused.stderr
