from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rag_search.embed.builtin.convert import Converted, ensure_converted
from rag_search.embed.builtin.network import network_path
from rag_search.embed.builtin.weights import find_weights
from rag_search.errors import EngineError

CONVERT = """
import sys
from pathlib import Path
from rag_search.embed.builtin.convert import ensure_converted
from rag_search.embed.builtin.network import network_path
from rag_search.embed.builtin.weights import find_weights
print(ensure_converted(Path(sys.argv[1]), find_weights(), network_path("zero-shot")).folder)
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_processes_that_convert_at_once_share_one_result(tmp_path: Path, converted: Converted) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", CONVERT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    folders = {process.communicate(timeout=120)[0].strip() for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert [str(path) for path in tmp_path.iterdir()] == list(folders)  # one folder, nothing left over
    assert contents(Path(folders.pop())) == contents(converted.folder)  # and the same bytes every time


def test_a_finished_conversion_is_not_made_again(converted: Converted) -> None:
    before = converted.graph.stat().st_mtime_ns
    again = ensure_converted(converted.folder.parent, find_weights(), network_path("zero-shot"))
    assert again == converted
    assert again.graph.stat().st_mtime_ns == before


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    occupied = tmp_path / "cache"
    occupied.write_text("a file where the folder should be")
    with pytest.raises(EngineError, match=r"cannot write the converted builtin model to .*cache.*another cache"):
        ensure_converted(occupied, find_weights(), network_path("zero-shot"))


def test_others_may_read_what_one_has_converted(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        made = ensure_converted(tmp_path, find_weights(), network_path("zero-shot"))
    finally:
        os.umask(before)
    assert [place.stat().st_mode & 0o777 for place in (made.folder, made.graph, made.table)] == [0o755, 0o644, 0o644]


@pytest.mark.parametrize("damage", ["no table", "short table", "no graph"])
def test_a_conversion_that_lost_a_part_is_made_again(tmp_path: Path, converted: Converted, damage: str) -> None:
    copy = Converted(shutil.copytree(converted.folder, tmp_path / converted.folder.name))
    if damage == "short table":
        os.truncate(copy.table, 1000)
    else:
        (copy.table if damage == "no table" else copy.graph).unlink()
    assert ensure_converted(tmp_path, find_weights(), network_path("zero-shot")) == copy
    assert contents(copy.folder) == contents(converted.folder)
    assert list(tmp_path.iterdir()) == [copy.folder]


def test_a_conversion_that_may_not_be_read(tmp_path: Path, converted: Converted) -> None:
    """It is an error with a remedy."""
    copy = Path(shutil.copytree(converted.folder, tmp_path / converted.folder.name))
    network = network_path("zero-shot")
    user = os.geteuid()
    copy.chmod(0)
    try:
        if user == 0:
            os.seteuid(65534)  # root may read everything
        with pytest.raises(EngineError, match=r"cannot read the converted builtin model.*another cache directory"):
            ensure_converted(tmp_path, find_weights(), network)
    finally:
        os.seteuid(user)
        copy.chmod(0o755)


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    """A file size limit stands in for the disk: both make a write fail half-way."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    plain = {**os.environ, "PYTHON_COLORS": "0"}  # Python 3.13 colours a traceback where FORCE_COLOR is set
    command = [sys.executable, "-c", CONVERT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, check=False, env=plain)
    assert done.returncode == 1
    assert "EngineError: cannot write the converted builtin model" in done.stderr
    assert list(tmp_path.iterdir()) == []
