"""Faults of clients, on a running server that wants a key."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import defaultdict
from collections.abc import Iterator

from tests.faults.malformed import malformed
from tests.faults.raw import GONE, Address, ask, at_once, dripping, request, status_of
from tests.faults.table import Row, row

MIB = 2**20
SEARCH = {"query": "redis timeout"}


def client_faults(address: Address, *, key: str, times: int, body_limit: int) -> list[Row]:
    """Every kind of fault, `times` each (slow and giant ones fewer). body_limit: bytes."""
    headers = {"x-api-key": key}
    right = request("/v1/search", SEARCH, headers=headers)
    few = max(2, times // 10)

    def each(fault: str, expected: set[int], data: bytes, count: int = times) -> Row:
        return row(fault, expected, at_once(lambda _: status_of(address, data), count))

    return [
        each("none", {200}, right),
        _slow(address, "slow head, a byte every 0.1 s", right[:-1], few),
        _slow(address, "slow body, a byte every 0.1 s", right.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + b" " * 40, few),
        row("body over the limit, length declared", {413}, _giant(address, headers, body_limit, few)),
        row("body over the limit, chunked", {413}, _giant(address, headers, body_limit, few, chunked=True)),
        each("10 GB announced, waits for 100 Continue", {413}, _announced(headers, expect="100-continue")),
        each("10 GB announced, then silence", {413}, _announced(headers), few),
        row(
            "the client hangs up in the middle of the body",
            {GONE},
            at_once(lambda _: _leave(address, right[:-5]), times),
        ),
        row("the client hangs up before the answer", {GONE}, at_once(lambda _: _leave(address, right), times)),
        row("1,000 connections that ask nothing", {GONE, 503}, _crowd(address, 1000)),
        each("the same as the first line, after all that", {200}, right),
    ]


def flood(address: Address, *, key: str, clients: int) -> Row:
    """More requests at the same time than may wait."""
    data = request(
        "/v1/search/batch", {"queries": [f"redis timeout {n}" for n in range(20)]}, headers={"x-api-key": key}
    )
    replies = at_once(lambda _: ask(address, data), clients, threads=clients)
    told = [reply.status if reply.status == 200 or b"\r\nretry-after: " in reply.head else GONE for reply in replies]
    return row(f"20 questions from each of {clients} clients at once", {200, 429}, told)


def malformed_requests(address: Address, *, key: str, count: int, seed: int) -> list[Row]:
    """One row per kind."""
    requests = list(malformed(count, seed=seed, key=key))
    statuses = at_once(lambda number: status_of(address, requests[number].data), count)
    got: dict[tuple[str, frozenset[int]], list[int]] = defaultdict(list)
    for each, status in zip(requests, statuses, strict=True):
        got[each.kind, each.right].append(status)
    return [row(f"malformed: {kind}", right, answers) for (kind, right), answers in got.items()]


def _slow(address: Address, fault: str, data: bytes, count: int) -> Row:
    return row(fault, {408}, at_once(lambda _: status_of(address, dripping(data)), count, threads=count))


def _giant(address: Address, headers: dict[str, str], limit: int, count: int, *, chunked: bool = False) -> list[int]:
    """Two and a half times the limit."""
    size = limit * 5 // 2
    framing = {"content-length": "", "transfer-encoding": "chunked"} if chunked else {"content-length": str(size)}
    head = request("/v1/search", headers={**headers, **framing})

    def parts() -> Iterator[bytes]:
        yield head
        for _ in range(0, size, MIB // 4):
            yield b"%x\r\n%s\r\n" % (MIB // 4, b" " * (MIB // 4)) if chunked else b" " * (MIB // 4)

    return list(at_once(lambda _: status_of(address, parts()), count, threads=2))


def _announced(headers: dict[str, str], *, expect: str = "") -> bytes:
    return request("/v1/search", headers={**headers, "content-length": str(10 * 1024 * MIB), "expect": expect})


def _leave(address: Address, data: bytes) -> int:
    with socket.create_connection(address) as connection:
        connection.sendall(data)
    return GONE


def _crowd(address: Address, count: int) -> list[int]:
    """What each of many silent connections gets."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(socket.create_connection(address, timeout=60)) for _ in range(count)]
        time.sleep(0.5)
        got = []
        for connection in opened:
            try:
                head = connection.recv(4096)
            except ConnectionResetError:
                head = b""
            got.append(int(head.split()[1]) if head else GONE)
    return got
