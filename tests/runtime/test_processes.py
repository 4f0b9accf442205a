"""Processes are told apart by their id and their start."""

from __future__ import annotations

import os
import subprocess
import sys

from rag_search.runtime.processes import hostname, process_start


def test_a_process_has_one_start_until_it_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert process_start(other.pid) == process_start(other.pid) != ""
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert process_start(other.pid) == ""  # ended, and nobody has asked how
    assert process_start(other.pid) == ""
    assert process_start(os.getpid()) != ""
    assert hostname() != ""
