"""Is it still the process that wrote its id down? Ids are given again, so host and start are written with them."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def hostname() -> str:
    """The name of this machine."""
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


def process_start(pid: int) -> str:
    """Start of a process in clock ticks since boot; "" for none and for one that has ended.

    "unknown" for a living one where the system does not tell (macOS); on Windows for any.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "" if Path("/proc/self/stat").exists() or not _lives(pid) else "unknown"
    return "" if fields[0] == "Z" else fields[19]


def _lives(pid: int) -> bool:
    if sys.platform == "win32":  # os.kill would end it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
