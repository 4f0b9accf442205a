"""A stopping server answers every request in flight, or says in the documented form that it stops."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("fastapi")

# one route answers after a second, the other never
PROGRAM = """
import asyncio, sys
from rag_search.server.access import AccessRules
from rag_search.server.middleware import Guard
from rag_search.server.run import listen, run_app

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    print("a question that must not be printed", file=sys.stderr)
    await asyncio.sleep(1 if scope["path"] == "/slow" else 60)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})

listener, url = listen("127.0.0.1", 0)
print(url, flush=True)
run_app(Guard(app, AccessRules(None, None, 2**20, 60.0), lambda *_: None), listener, shutdown_s=3)
"""
WHOLE = b"GET /%b HTTP/1.1\r\nhost: x\r\n\r\n"
HALF_A_BODY = b"POST /slow HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"


@contextmanager
def stopping() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run the program; give it and its port."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline().rpartition(":")[2])


def test_every_request_in_flight_is_answered() -> None:
    """What is ready in time is sent; a hanging request, half a body and half a head get a 503."""
    sent = {"slow": WHOLE % b"slow", "never": WHOLE % b"never", "body": HALF_A_BODY, "head": b"GET /slow HT"}
    with stopping() as (process, port):
        connections = {name: socket.create_connection(("127.0.0.1", port), 30) for name in sent}
        for name, request in sent.items():
            connections[name].sendall(request)
        with socket.create_connection(("127.0.0.1", port), 30) as done:  # all of them are read after this one
            done.sendall(WHOLE % b"slow")
            assert done.recv(9999).startswith(b"HTTP/1.1 200")
        process.send_signal(signal.SIGTERM)
        replies = {name: read_all(connection) for name, connection in connections.items()}
        _, printed = process.communicate(timeout=30)
    assert replies["slow"].startswith(b"HTTP/1.1 200")
    for name in ("never", "body", "head"):
        head, _, body = replies[name].partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503"), name
        assert b"retry-after: 2" in head.lower()
        assert json.loads(body)["error"]["type"] == "stopping"
    assert "question" not in printed


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    with connection:
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)
