"""Requests as bytes on a socket, so that they can be as wrong as one likes."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

Address = tuple[str, int]
Answer = TypeVar("Answer")
JSON = {"content-type": "application/json"}
GONE = 0  # instead of a status: the server hung up without an answer


def request(path: str, body: object = None, *, method: str = "POST", headers: dict[str, str] | None = None) -> bytes:
    """A whole request; `body` is JSON unless it is bytes. A header in `headers` replaces the usual one of its name,
    and "" leaves it out."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    usual = {"host": "127.0.0.1", "connection": "close", "content-length": str(len(data)), **JSON}
    lines = [f"{name}: {value}" for name, value in {**usual, **(headers or {})}.items() if value]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1") + data


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; status GONE without one."""

    status: int
    head: bytes
    body: bytes


def status_of(address: Address, parts: bytes | Iterable[bytes]) -> int:
    """The status alone."""
    return ask(address, parts).status


def ask(address: Address, parts: bytes | Iterable[bytes], *, timeout_s: float = 60) -> Reply:
    """Send the parts and read the answer. A server may answer, and hang up, before everything is sent."""
    with socket.create_connection(address, timeout=timeout_s) as connection:
        try:
            for part in [parts] if isinstance(parts, bytes) else parts:
                connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
        head, _, body = _read(connection).partition(b"\r\n\r\n")
        return Reply(int(head.split()[1]) if head.startswith(b"HTTP/1.1 ") else GONE, head.lower(), body)


def _read(connection: socket.socket) -> bytes:
    data = b""
    try:
        while part := connection.recv(65_536):
            data += part
    except ConnectionResetError:
        pass
    return data


def dripping(data: bytes, *, pause_s: float = 0.1) -> Iterable[bytes]:
    """One byte after the other."""
    for byte in data:
        yield bytes([byte])
        time.sleep(pause_s)


def at_once(call: Callable[[int], Answer], times: int, *, threads: int = 8) -> Sequence[Answer]:
    """call(0), call(1), ... from several threads."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(call, range(times)))
