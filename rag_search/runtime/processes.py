"""Identify a process beyond its pid, which the system reuses: hostname and start time are stored with it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def hostname() -> str:
    """Return the name of this machine."""
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


def process_start(pid: int) -> str:
    """Return when a process started, in clock ticks since boot; "" if it does not exist or has ended.

    "unknown" for a live process where the system does not tell (macOS), and for any process on Windows.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "" if Path("/proc/self/stat").exists() or not _lives(pid) else "unknown"
    return "" if fields[0] == "Z" else fields[19]


def _lives(pid: int) -> bool:
    """Return whether a process with this id exists."""
    if sys.platform == "win32":  # os.kill would end it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's process
        return True
    return True
