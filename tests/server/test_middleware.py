"""The guard by itself, driven as a server drives it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

pytest.importorskip("fastapi")

from rag_search.server.middleware import AccessRules, Guard, Message, Receive, Scope, Send

RULES = AccessRules(api_key=None, hosts=None, max_body=10, body_timeout_s=5)
JSON = [(b"host", b"x"), (b"content-type", b"application/json")]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body."""
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


def receiving(parts: AsyncIterator[bytes], taken: list[bytes]) -> Receive:
    """Gives the parts; what was taken stands in `taken`."""

    async def receive() -> Message:
        part = await anext(parts, None)
        if part is not None:
            taken.append(part)
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    return receive


async def ask(guard: Guard, parts: AsyncIterator[bytes], *, headers: list[tuple[bytes, bytes]] = JSON) -> list[Message]:
    """The messages that the client gets, and below them `taken`."""
    sent: list[Message] = []
    taken: list[bytes] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers}
    await guard(scope, receiving(parts, taken), send)
    return [*sent, {"taken": taken}]


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(main())


def guarded(rules: AccessRules = RULES) -> Guard:
    return Guard(app, rules, lambda route, status, seconds: None)


def test_a_body_that_is_too_large_is_read_on_for_a_while() -> None:
    async def scenario() -> None:
        guard = guarded()
        answer = await ask(guard, pieces(*[b"12345"] * 5))
        assert (answer[0]["status"], len(answer[-1]["taken"])) == (413, 5)
        declared = [*JSON, (b"content-length", b"1000")]
        answer = await ask(guard, pieces(*[b"12345"] * 100), headers=declared)
        assert (answer[0]["status"], len(answer[-1]["taken"])) == (413, 8)  # four times the limit
        answer = await ask(guard, pieces(b"12345"), headers=[*declared, (b"expect", b"100-continue")])
        assert (answer[0]["status"], answer[-1]["taken"]) == (413, [])

    run(scenario)


def test_all_bodies_together_have_a_limit() -> None:
    async def scenario() -> None:
        guard, go = guarded(), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b"0123456789"
            await go.wait()

        waiting = [asyncio.create_task(ask(guard, slow())) for _ in range(16)]
        await asyncio.sleep(0)
        answer = await ask(guard, pieces(b"1"))
        assert answer[0]["status"] == 503
        assert (b"retry-after", b"2") in answer[0]["headers"]
        go.set()
        assert [(await each)[0]["status"] for each in waiting] == [200] * 16
        assert (await ask(guard, pieces(b"1")))[1]["body"] == b"1"

    run(scenario)


def test_a_refusal_has_the_fields_of_every_error() -> None:
    async def scenario() -> None:
        answer = await ask(guarded(), pieces(b"12345678901"))
        error = json.loads(answer[1]["body"])["error"]
        assert set(error) == {"message", "type", "code", "remedy"}

    run(scenario)


@pytest.mark.parametrize("key", ["secret", "schlüssel", "密钥"])
def test_any_key_works_in_every_header(key: str) -> None:
    raw = key.encode()
    right = [
        (b"authorization", b"Bearer " + raw),
        (b"authorization", b"Basic " + base64.b64encode(b"anybody:" + raw)),
        (b"x-api-key", raw),
    ]
    wrong = [
        (b"authorization", b"Bearer " + raw[:-1]),
        (b"authorization", b"Basic " + base64.b64encode(raw)),
        (b"authorization", b"Basic !" + raw),
        (b"x-api-key", raw + b"x"),
        (b"x-other", raw),
    ]

    async def scenario() -> None:
        guard = guarded(AccessRules(key, None, 10, 5))
        for header in right:
            assert (await ask(guard, pieces(), headers=[*JSON, header]))[0]["status"] == 200
        for header in wrong:
            assert (await ask(guard, pieces(), headers=[*JSON, header]))[0]["status"] == 401

    run(scenario)


@pytest.mark.parametrize(("method", "logged"), [("POST", "POST"), ("OPTIONS", "OPTIONS"), ("A-QUESTION", "other")])
def test_a_method_of_a_client_is_not_logged(caplog: pytest.LogCaptureFixture, method: str, logged: str) -> None:
    """HTTP takes any word for a method."""
    caplog.set_level("INFO", logger="ragsearch.access")
    guard = Guard(app, RULES, lambda *_: None)

    async def send(message: Message) -> None:
        pass

    async def scenario() -> None:
        scope = {"type": "http", "method": method, "path": "/", "headers": JSON}
        await guard(scope, receiving(pieces(b"x"), []), send)

    run(scenario)
    assert [json.loads(record.getMessage())["method"] for record in caplog.records] == [logged]
