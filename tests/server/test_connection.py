"""Connections that are slow, idle or too many, on a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

pytest.importorskip("fastapi")

import uvicorn
from uvicorn.server import ServerState

from rag_search.server.access import Scope
from rag_search.server.connection import BoundedProtocol
from rag_search.server.middleware import Message, Receive, Send

BIG = 8 * 2**20  # more than the buffers of both sockets hold
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Client]]


class Quick(BoundedProtocol):
    head_timeout_s = 0.2
    write_timeout_s = 0.2
    max_connections = 2


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers BIG bytes for /big, else two."""
    body = b"x" * BIG if scope["path"] == "/big" else b"ok"
    length = [(b"content-length", str(len(body)).encode())]
    start: Message = {"type": "http.response.start", "status": 200, "headers": length}
    await send(start)
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Connect, ServerState]]:
    state = ServerState()
    config = uvicorn.Config(app, timeout_keep_alive=5, log_config=None)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Quick(config, state, {}), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    opened: list[asyncio.StreamWriter] = []

    async def connect() -> Client:
        client = await asyncio.open_connection("127.0.0.1", port)
        opened.append(client[1])
        return client

    try:
        yield connect, state
    finally:
        for writer in opened:
            writer.close()
        server.close()
        while state.connections:
            await asyncio.sleep(0.01)


def run(scenario: Callable[[Connect, ServerState], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), listening() as (connect, state):
            await scenario(connect, state)

    asyncio.run(main())


def test_a_head_that_never_ends_gets_408() -> None:
    async def scenario(connect: Connect, _: ServerState) -> None:
        reader, writer = await connect()
        writer.write(GET)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        writer.write(GET[:10])  # also on a connection that was used before
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408")
        assert json.loads(body)["error"]["code"] == 408

    run(scenario)


def test_a_head_byte_by_byte_does_not_win_time() -> None:
    async def scenario(connect: Connect, _: ServerState) -> None:
        reader, writer = await connect()
        for byte in GET[:-1]:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.03)
            if reader.at_eof():
                break
        assert (await reader.read()).startswith(b"HTTP/1.1 408")

    run(scenario)


def test_who_asks_nothing_is_hung_up_on_and_who_asked_may_stay() -> None:
    async def scenario(connect: Connect, _: ServerState) -> None:
        reader, _ = await connect()
        asked, writer = await connect()
        writer.write(GET)
        await asked.readuntil(b"ok")
        assert await reader.read() == b""
        writer.write(GET)  # later than head_timeout_s after it connected
        assert await asked.readuntil(b"ok")

    run(scenario)


def test_a_body_that_nobody_read_must_end_in_time() -> None:
    async def scenario(connect: Connect, state: ServerState) -> None:
        reader, writer = await connect()
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n")
        await reader.readuntil(b"ok")
        while state.connections:  # until the test's own time is over
            writer.write(b"x")
            await asyncio.sleep(0.05)

    run(scenario)


def test_who_does_not_read_its_answer_is_cut_off() -> None:
    async def scenario(connect: Connect, state: ServerState) -> None:
        _, writer = await connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(GET.replace(b"/ ", b"/big "))
        await asyncio.sleep(0.05)
        assert len(state.connections) == 1
        while state.connections:
            await asyncio.sleep(0.02)

    run(scenario)


def test_one_connection_too_many_gets_503_and_the_others_go_on() -> None:
    async def scenario(connect: Connect, _: ServerState) -> None:
        others = [await connect(), await connect()]
        for reader, writer in others:
            writer.write(GET)
            await reader.readuntil(b"ok")
        reader, writer = await connect()
        writer.write(GET)
        head = (await reader.read()).partition(b"\r\n\r\n")[0].lower()
        assert head.startswith(b"http/1.1 503")
        assert b"retry-after: 2" in head
        writer.close()
        for reader, writer in others:
            writer.write(GET)
            assert await reader.readuntil(b"ok")

    run(scenario)
