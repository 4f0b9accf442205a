"""Which flags for which card, and processes that are really started and ended."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from rag_search.config import Settings
from rag_search.errors import ConfigError, EngineError
from rag_search.rerank.qwen3 import OVERRIDES, TEMPLATE
from rag_search.serving.cards import Card, Size, parse_cards, shares_for
from rag_search.serving.commands import ServerCommand, plan_servers
from rag_search.serving.processes import read_servers, start_all, state_of, stop_all

FAKE = Path(__file__).with_name("fake_server.py")


def card(memory_gb: float) -> Card:
    return Card(0, f"a card of {memory_gb} GB", memory_gb, "580.1")


def value(args: tuple[str, ...], flag: str) -> str:
    return args[args.index(flag) + 1]


def test_cards_from_nvidia_smi() -> None:
    text = "0, NVIDIA H100 80GB HBM3, 81559, 570.86.15\n1, NVIDIA L4, 23034, 570.86.15\n"
    assert parse_cards(text) == [
        Card(0, "NVIDIA H100 80GB HBM3", 81559 / 1024, "570.86.15"),
        Card(1, "NVIDIA L4", 23034 / 1024, "570.86.15"),
    ]


@pytest.mark.parametrize("memory_gb", [24, 40, 48, 80, 141])
@pytest.mark.parametrize("size", ["0.6B", "4B", "8B"])
def test_both_models_fit_where_the_table_says_so(memory_gb: int, size: Size) -> None:
    weights = {"0.6B": 1.2, "4B": 7.5, "8B": 15.2}[size]
    if (memory_gb, size) == (24, "8B"):
        with pytest.raises(ConfigError, match="do not fit") as caught:
            shares_for(size, [card(memory_gb)])
        assert "--size 4B" in caught.value.remedy
        return
    shares = shares_for(size, [card(memory_gb * 0.98)])
    assert shares.embedder + shares.reranker <= 0.92
    cache_gb = 1.3
    assert min(shares.embedder, shares.reranker) * memory_gb * 0.98 > weights + cache_gb


def test_commands_carry_every_flag() -> None:
    embedder, reranker = plan_servers(Settings(), [card(80)])
    assert value(embedder.args, "--port") == "8101"
    assert value(reranker.args, "--port") == "8100"
    assert value(reranker.args, "--hf-overrides") == OVERRIDES
    assert value(reranker.args, "--chat-template") == str(TEMPLATE)
    assert (value(embedder.args, "--gpu-memory-utilization"), value(reranker.args, "--gpu-memory-utilization")) == (
        "0.40",
        "0.50",
    )
    assert {value(c.args, "--host") for c in (embedder, reranker)} == {"127.0.0.1"}
    assert embedder.environment == {}


def test_two_cards_take_one_model_each() -> None:
    commands = plan_servers(Settings(), [card(24), card(24)], size="8B")
    assert [c.environment["CUDA_VISIBLE_DEVICES"] for c in commands] == ["0", "1"]
    assert str(commands[1]).startswith("CUDA_VISIBLE_DEVICES=1 ")


def test_a_server_elsewhere_is_not_started_here() -> None:
    settings = Settings.model_validate({"reranker": {"url": "http://gpu-box:8100/v1"}})
    with pytest.raises(ConfigError, match="not on this machine"):
        plan_servers(settings, [card(80)])


def command(name: str, *more: str) -> ServerCommand:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return ServerCommand(name, "model", f"http://127.0.0.1:{port}/v1", (sys.executable, str(FAKE), str(port), *more))


def test_start_status_stop(tmp_path: Path) -> None:
    commands = [command("embedder"), command("reranker")]
    started = start_all(commands, tmp_path)
    try:
        assert [state_of(server) for server in read_servers(tmp_path)] == ["ready", "ready"]
        assert [s.pid for s in start_all(commands, tmp_path)] == [s.pid for s in started]  # left alone
    finally:
        assert [server.name for server in stop_all(tmp_path)] == ["embedder", "reranker"]
    assert [state_of(server) for server in started] == ["ended", "ended"]
    assert read_servers(tmp_path) == []


def test_a_server_that_dies_takes_the_other_along_and_shows_its_log(tmp_path: Path) -> None:
    commands = [command("embedder"), command("reranker", "--crash")]
    with pytest.raises(EngineError, match="CUDA out of memory"):
        start_all(commands, tmp_path)
    assert read_servers(tmp_path) == []


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    first = command("embedder")
    start_all([first], tmp_path / "a")
    try:
        with pytest.raises(EngineError, match="another server answers"):
            start_all([first], tmp_path / "b")
    finally:
        stop_all(tmp_path / "a")
