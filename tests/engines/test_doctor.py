"""What doctor says of cards, drivers, ports and versions. The card is a small `nvidia-smi`; the servers are real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag_search.config import Config, checked
from rag_search.engines.doctor import Finding, check_gpu, check_ports, examine
from rag_search.engines.vllm_server.gpus import driver_too_old
from tests.support.http_server import QuietHandler, listening


@contextmanager
def model_server(answer: bytes) -> Iterator[str]:
    """The address of a server that gives `answer` to everything."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

    with listening(Handler) as address:
        yield f"{address}/v1"


def config(cache: Path, embedder: str, reranker: str, *, profile: str = "served") -> Config:
    sections = {"embedder": {"url": embedder}, "reranker": {"url": reranker}}
    return Config(checked({"profile": profile, "cache_dir": cache, **sections}), {}, None)


def put_card(folder: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """A machine with one card: an nvidia-smi that prints `line`."""
    command = folder / "nvidia-smi"
    command.write_text(f"#!/bin/sh\necho '{line}'\n", "utf-8")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_ports(tmp_path: Path) -> None:
    vllm, other = json.dumps({"version": "0.33.0"}).encode(), b"hello"
    with model_server(vllm) as embedder, model_server(other) as reranker:
        assert list(check_ports(config(tmp_path, embedder, reranker))) == [
            Finding("port", "ok", f"embedder: vLLM 0.33.0 at {embedder}"),
            Finding("port", "ok", f"reranker: a server that is not vLLM answers at {reranker}"),
        ]
        (alike,) = check_ports(config(tmp_path, embedder, embedder))
        assert (alike.state, alike.remedy) == ("fail", "Set reranker.url.")
    states = [finding.state for finding in check_ports(config(tmp_path, embedder, reranker))]  # both have ended
    assert states == ["warn", "warn"]


def test_an_old_server(tmp_path: Path) -> None:
    with model_server(b'{"version": "0.11.2"}') as embedder:
        old, _ = check_ports(config(tmp_path, embedder, "http://127.0.0.1:9/v1"))
    assert (old.state, old.detail) == ("warn", f"embedder: vLLM 0.11.2 at {embedder}")
    assert "0.32" in old.remedy


def test_nobody_speaks_of_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    builtin = config(tmp_path, "http://127.0.0.1:9/v1", "http://127.0.0.1:8/v1", profile="builtin")
    assert [*check_ports(builtin), *check_gpu(builtin)] == []


def test_a_card_and_ports_for_its_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_card(tmp_path, monkeypatch, "0, NVIDIA H100 80GB HBM3, 81559, 580.95.05")
    builtin = config(tmp_path, "http://127.0.0.1:9/v1", "http://127.0.0.1:8/v1", profile="builtin")
    findings = list(check_gpu(builtin))
    assert findings[0] == Finding("gpu", "ok", "NVIDIA H100 80GB HBM3, 80 GB, driver 580.95.05")
    assert findings[-1].detail.startswith("4B + 4B: 0.40 of the memory for the embedder")
    assert [finding.state for finding in check_ports(builtin)] == ["ok", "ok"]
    with model_server(b"hello") as taken:
        states = [
            finding.state
            for finding in check_ports(config(tmp_path, taken, "http://127.0.0.1:9/v1", profile="builtin"))
        ]
    assert states == ["warn", "ok"]


def test_a_small_card_and_a_broken_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = config(tmp_path, "http://127.0.0.1:9/v1", "http://127.0.0.1:8/v1", profile="builtin")
    put_card(tmp_path, monkeypatch, "0, NVIDIA GeForce RTX 4070, 12282, 580.95.05")
    assert [(f.check, f.state, f.remedy) for f in check_gpu(here)][-1] == (
        "shares", "warn", "Use smaller models: ragsearch up --size 0.6B",
    )  # fmt: skip
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n", "utf-8")
    (broken,) = examine(here, checks=[check_gpu])
    assert (broken.state, "nvidia-smi fails" in broken.detail) == ("fail", True)


def test_a_check_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    def broken(_: Config) -> Iterator[Finding]:
        yield Finding("broken", "ok", "so far")
        raise AttributeError("'list' object has no attribute 'get'")

    def sound(_: Config) -> Iterator[Finding]:
        yield Finding("sound", "ok", "here")

    here = config(tmp_path, "http://127.0.0.1:9/v1", "http://127.0.0.1:8/v1")
    findings = list(examine(here, checks=[broken, sound]))
    assert [(f.check, f.state) for f in findings] == [("broken", "ok"), ("broken", "fail"), ("sound", "ok")]
    assert "AttributeError: 'list' object has no attribute 'get'" in findings[1].detail


@pytest.mark.parametrize(
    ("driver", "cuda", "oldest"),
    [
        ("570.86.15", "13.0.96", 580),
        ("580.65.06", "13.0.96", None),
        ("520.1", "12.9.79", 525),
        ("570.86", "12.9.79", None),
    ],
)
def test_drivers(driver: str, cuda: str, oldest: int | None) -> None:
    assert driver_too_old(driver, cuda) == oldest
