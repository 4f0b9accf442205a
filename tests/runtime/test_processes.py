"""Processes are told apart by their id and their start."""

from __future__ import annotations

import os
import subprocess
import sys

from rag_search.runtime.processes import born, host


def test_a_process_has_one_start_until_it_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert born(other.pid) == born(other.pid) != ""
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert born(other.pid) == ""  # ended, and nobody has asked how
    assert born(other.pid) == ""
    assert born(os.getpid()) != ""
    assert host() != ""
