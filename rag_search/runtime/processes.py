"""Identify a process beyond its pid, which the system reuses: hostname and start time are stored with it."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

_TIME_WAIT, _LISTEN = "06", "0A"  # states in /proc/net/tcp


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


def is_port_taken(host: str, port: int) -> bool:
    """Return whether another program of this machine has bound a port; it need not listen there yet.

    Connections that have ended keep a port for a minute, but a server may use it.
    """
    address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(address[0], address[1]) as probe:
        try:
            probe.bind(address[4])
        except OSError:
            return not _has_ended_connections(port)
    return False


def _has_ended_connections(port: int) -> bool:
    """Return whether Linux keeps a port for ended connections alone."""
    states = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if table.exists():
            rows = [line.split() for line in table.read_text().splitlines()[1:]]
            states |= {row[3] for row in rows if int(row[1].rpartition(":")[2], 16) == port}
    return _TIME_WAIT in states and _LISTEN not in states


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
