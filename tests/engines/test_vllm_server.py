"""Which flags for which card, and processes that are really started and ended."""

from __future__ import annotations

import re
import socket
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from rag_search.config import Settings, checked
from rag_search.engines.vllm_server.commands import ServerCommand, plan_servers
from rag_search.engines.vllm_server.gpus import Card, Size, needed_gb, parse_cards, shares_for
from rag_search.engines.vllm_server.processes import read_servers, start_all, state_of, stop_all
from rag_search.errors import ConfigError, EngineError
from rag_search.rerank.qwen3 import OVERRIDES, TEMPLATE
from rag_search.runtime.processes import is_port_taken

DOCS = Path(__file__).parents[2] / "docs"
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


@pytest.mark.parametrize("line", ["0, NVIDIA GB10, [N/A], 580.95.05", "No devices were found"])
def test_a_card_that_does_not_tell_its_memory(line: str) -> None:
    with pytest.raises(EngineError, match="does not report the memory") as caught:
        parse_cards(f"{line}\n")
    assert "ragsearch up --cpu --dry-run" in caught.value.remedy


# GiB that nvidia-smi reports: RTX 4060, RTX 4060 Ti 16 GB, L4, A100 40 GB, L40S, H100, H200
CARDS = [8.0, 16.0, 22.5, 40.0, 45.0, 79.6, 140.4]
FITS: dict[Size, list[float]] = {"0.6B": CARDS, "4B": CARDS[2:], "8B": CARDS[3:]}


def test_memory_that_a_server_needs() -> None:
    """Weights 2 bytes a parameter; 8,192 tokens of cache: 0.9 GiB (28 layers), 1.1 GiB (36)."""
    needed = [needed_gb(size) for size in ("0.6B", "4B", "8B")]
    np.testing.assert_allclose(needed, [1.12 + 0.875 + 1, 7.49 + 1.125 + 1, 15.26 + 1.125 + 1], atol=0.01)


@pytest.mark.parametrize("memory_gb", CARDS)
@pytest.mark.parametrize("size", ["0.6B", "4B", "8B"])
def test_both_models_fit_where_the_table_says_so(memory_gb: float, size: Size) -> None:
    if memory_gb not in FITS[size]:
        with pytest.raises(ConfigError, match="do not fit") as caught:
            shares_for(size, [card(memory_gb)])
        assert f"--size {'4B' if memory_gb > 20 else '0.6B'}" in caught.value.remedy
        return
    shares = shares_for(size, [card(memory_gb)])
    assert shares.embedder + shares.reranker <= 0.92
    assert min(shares.embedder, shares.reranker) * memory_gb > needed_gb(size)


def test_the_table_in_the_documentation() -> None:
    text = (DOCS / "gpu.md").read_text("utf-8")
    rows = re.findall(r"^\| [\w ]+, ([\d.]+) \| (.+) \| (.+) \| (.+) \|$", text, re.M)
    assert len(rows) == 8
    for memory_gb, *cells in rows:
        for size, cell in zip(FITS, cells, strict=True):
            if cell == "-":
                with pytest.raises(ConfigError):
                    shares_for(size, [card(float(memory_gb))])
            else:
                shares = shares_for(size, [card(float(memory_gb))])
                assert cell == f"{shares.embedder:.2f} + {shares.reranker:.2f}"


def test_no_card_is_too_small_for_the_builtin_engine() -> None:
    with pytest.raises(ConfigError, match="do not fit") as caught:
        shares_for("0.6B", [card(4)])
    assert "builtin" in caught.value.remedy


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
    assert value(commands[0].args, "--gpu-memory-utilization") == "0.90"
    with pytest.raises(ConfigError, match="do not fit"):
        plan_servers(Settings(), [card(16), card(16)], size="8B")


def test_the_compose_file_has_the_flags_of_up() -> None:
    compose = yaml.safe_load((DOCS / "compose.yaml").read_text("utf-8"))
    for wanted in plan_servers(Settings(), [card(80)]):
        service = compose["services"][wanted.name]
        flags = service["command"]
        assert flags[0] == wanted.model
        given = dict(flag.split("=", 1) for flag in flags[1:])
        for flag in ("--runner", "--max-model-len", "--gpu-memory-utilization", "--max-num-batched-tokens"):
            assert given[flag] == value(wanted.args, flag)
        assert service["ports"] == [f"127.0.0.1:{value(wanted.args, '--port')}:8000"]
    assert given["--hf-overrides"] == OVERRIDES
    assert Path(given["--chat-template"]).name == TEMPLATE.name


def test_a_server_elsewhere_is_not_started_here() -> None:
    settings = checked({"reranker": {"url": "http://gpu-box:8100/v1"}})
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
        with pytest.raises(EngineError, match="runs already, with model") as caught:
            start_all([replace(commands[0], model="another")], tmp_path)
        assert caught.value.remedy == "Run: ragsearch down"
    finally:
        assert [server.name for server in stop_all(tmp_path)] == ["embedder", "reranker"]
    assert [state_of(server) for server in started] == ["ended", "ended"]
    assert read_servers(tmp_path) == []


def test_a_server_that_dies(tmp_path: Path) -> None:
    """It takes the other one along, and the error shows its log."""
    commands = [command("embedder"), command("reranker", "--crash")]
    with pytest.raises(EngineError, match="CUDA out of memory"):
        start_all(commands, tmp_path)
    assert read_servers(tmp_path) == []


def test_a_port_that_is_bound_and_silent_is_refused(tmp_path: Path) -> None:
    """Another server binds its port minutes before it listens: started beside it, ours would die at the end."""
    wanted = command("embedder")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", int(wanted.args[2])))
        with pytest.raises(EngineError, match=f"another program has port {wanted.args[2]}") as caught:
            start_all([wanted], tmp_path)
    assert "embedder.url" in caught.value.remedy
    assert read_servers(tmp_path) == []


def test_a_port_of_ended_connections_is_free(tmp_path: Path) -> None:
    """`down` ends connections from the server's side, and `up` right after it must not wait a minute."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert is_port_taken("127.0.0.1", port)
        client = socket.create_connection(("127.0.0.1", port))
        server.accept()[0].close()
        client.close()
    assert not is_port_taken("127.0.0.1", port)


def test_two_servers_on_one_port(tmp_path: Path) -> None:
    """Two names of this machine are one port."""
    urls = {"embedder": {"url": "http://localhost:8100/v1"}, "reranker": {"url": "http://127.0.0.1:8100/v1"}}
    with pytest.raises(ConfigError, match="same port"):
        plan_servers(checked(urls), [card(80)])


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    first = command("embedder")
    start_all([first], tmp_path / "a")
    try:
        with pytest.raises(EngineError, match="another server answers"):
            start_all([first], tmp_path / "b")
    finally:
        stop_all(tmp_path / "a")
