"""What another user puts into a shared cache is not believed, and what we write there does not follow their links."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_search.config import Config, load_config
from rag_search.engines.known_answers import once
from rag_search.engines.vllm_server.processes import RunningServer, read_servers, servers_folder, stop_all
from rag_search.errors import EngineError, ForeignFileError
from rag_search.runtime.files import create_own, read_own, write_atomically
from rag_search.runtime.foreign_json import parse_json, read_record
from rag_search.server.discovery import ServerRecord, advertise, find_server, record_path
from tests.runtime.test_foreign_json import ANYTHING

ROOT = getattr(os, "geteuid", lambda: -1)() == 0
STRANGER = 12345
as_root = pytest.mark.skipif(not ROOT, reason="only root gives a file to another user")


def foreign(path: Path) -> None:
    os.chown(path, STRANGER, -1)


def public(path: Path) -> None:
    path.chmod(0o666)


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def piped(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


NOT_OURS = [pytest.param(foreign, marks=as_root), public, linked, piped]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "ragsearch.toml").write_text("", "utf-8")
    return load_config({"cache_dir": str(tmp_path / "cache")}, cwd=tmp_path)


@pytest.mark.parametrize("spoil", NOT_OURS)
def test_only_our_own_plain_file_is_read(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """A pipe does not make the reader wait, either."""
    file = tmp_path / "file"
    write_atomically(file, b"content")
    assert read_own(file) == b"content"
    spoil(file)
    with pytest.raises((ForeignFileError, OSError)):
        read_own(file)


def test_the_message_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    public(file)
    with pytest.raises(ForeignFileError, match="everybody may write") as caught:
        read_own(file)
    assert "RAGSEARCH_CACHE_DIR" in caught.value.remedy


def test_a_new_file_follows_no_link(tmp_path: Path) -> None:
    """What lies behind the link stays as it is."""
    (tmp_path / "precious").write_text("kept", "utf-8")
    (tmp_path / "log").symlink_to(tmp_path / "precious")
    with create_own(tmp_path / "log") as file:
        file.write(b"new")
    assert (tmp_path / "precious").read_text("utf-8") == "kept"
    assert (tmp_path / "log").read_bytes() == b"new"
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("spoil", [pytest.param(foreign, marks=as_root), public])
def test_a_foreign_announcement_is_none(config: Config, spoil: Callable[[Path], None]) -> None:
    """Else another user's program would receive the question and the key."""
    with advertise(config, "http://127.0.0.1:9"):
        assert find_server(config) is not None
        spoil(record_path(config))
        assert find_server(config) is None


@pytest.mark.parametrize("spoil", [pytest.param(foreign, marks=as_root), public])
def test_foreign_servers_are_not_stopped(config: Config, spoil: Callable[[Path], None]) -> None:
    """A record of another user would let `ragsearch down` end any process of this one."""
    folder = servers_folder(config.settings.cache_dir)
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        row = {"name": "x", "model": "m", "url": "http://127.0.0.1:9", "pid": sleeper.pid, "born": "1", "log": "/l"}
        write_atomically(folder / "servers.json", json.dumps([row]).encode(), mode=0o600)
        assert [server.pid for server in read_servers(folder)] == [sleeper.pid]
        spoil(folder / "servers.json")
        with pytest.raises(ForeignFileError):
            stop_all(folder)
        assert sleeper.poll() is None
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.mark.parametrize("spoil", [pytest.param(foreign, marks=as_root), public])
def test_a_foreign_note_of_known_answers_counts_for_nothing(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    asked: list[int] = []
    once(tmp_path, "engine", lambda: asked.append(1))
    once(tmp_path, "engine", lambda: asked.append(2))
    (note,) = (tmp_path / "known-answers").iterdir()
    spoil(note)
    once(tmp_path, "engine", lambda: asked.append(3))
    assert asked == [1, 3]


@given(ANYTHING | st.fixed_dictionaries({}, optional={"name": ANYTHING, "pid": ANYTHING, "url": ANYTHING}))
def test_records_of_any_json(value: Any) -> None:
    """A record has all its fields, of their types, or there is a ValueError or KeyError."""
    for kind in (ServerRecord, RunningServer):
        with pytest.raises((ValueError, KeyError)):
            read_record(kind, value)


@pytest.mark.parametrize("text", ["", "[", "[1]", '[{"pid": true}]', "[" * 100_000, "null", '"x"', "\xff"])
def test_a_broken_record_of_servers_is_an_error(config: Config, text: str) -> None:
    folder = servers_folder(config.settings.cache_dir)
    write_atomically(folder / "servers.json", text.encode("latin-1"), mode=0o600)
    with pytest.raises(EngineError, match=r"servers\.json cannot be read"):
        read_servers(folder)


def test_what_was_written_is_read() -> None:
    row: Mapping[str, Any] = {"name": "e", "model": "m", "url": "u", "pid": 1, "born": "2", "log": "l", "new": None}
    assert read_record(RunningServer, parse_json(json.dumps(row))) == RunningServer("e", "m", "u", 1, "2", "l")
