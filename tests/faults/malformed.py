"""Malformed requests in any number, each with the statuses that are right for it; the same seed makes the same ones."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.faults.raw import request

ROUTES = ("/v1/search", "/v1/search/batch", "/v1/rerank", "/v2/rerank", "/rerank", "/v1/score", "/v1/embeddings")
READS = ("/health", "/ready", "/v1/models", "/v1/status", "/metrics", "/openapi.json")
RIGHT = {
    "/v1/search": {"query": "redis timeout", "top_k": 3, "paths": ["docs"], "where": {"a": "b"}},
    "/v1/search/batch": {"queries": ["redis", "timeout"], "group": False},
    "/v1/rerank": {"query": "redis", "documents": ["a", {"text": "b"}], "top_n": 1},
    "/v2/rerank": {"query": "redis", "documents": ["a", "b"]},
    "/rerank": {"query": "redis", "texts": ["a", "b"]},
    "/v1/score": {"text_1": "redis", "text_2": ["a", "b"]},
    "/v1/embeddings": {"input": ["a", "b"], "input_type": "query"},
}
NEEDED = {
    "/v1/search": ["query"],
    "/v1/search/batch": ["queries"],
    "/v1/rerank": ["query", "documents"],
    "/v2/rerank": ["query", "documents"],
    "/rerank": ["query", "texts"],
    "/v1/score": ["text_1", "text_2"],
    "/v1/embeddings": ["input"],
}


@dataclass(frozen=True, slots=True)
class Malformed:
    """A request, what is wrong with it, and the statuses of which one is right."""

    kind: str
    data: bytes
    right: frozenset[int]


def malformed(count: int, *, seed: int, key: str) -> Iterator[Malformed]:
    """`count` requests to a server that wants `key`, every kind as often as the others."""
    chance = random.Random(seed)
    kinds = list(KINDS.items())
    for number in range(count):
        kind, (make, right) = kinds[number % len(kinds)]
        yield Malformed(kind, make(chance, {"x-api-key": key}), frozenset(right))


Headers = dict[str, str]
Make = Callable[[random.Random, Headers], bytes]


def _cut(chance: random.Random, headers: Headers) -> bytes:
    route = chance.choice(ROUTES)
    data = json.dumps(RIGHT[route]).encode()
    return request(route, data[: chance.randrange(1, len(data))], headers=headers)


def _noise(chance: random.Random, headers: Headers) -> bytes:
    return request(chance.choice(ROUTES), b"\xff" + chance.randbytes(chance.randrange(300)), headers=headers)


def _wrong_type(chance: random.Random, headers: Headers) -> bytes:
    route = chance.choice(ROUTES)
    field = chance.choice(NEEDED[route])
    return request(route, {**RIGHT[route], field: chance.choice([None, 7, 1.5, True, [[]]])}, headers=headers)


def _no_text(chance: random.Random, headers: Headers) -> bytes:
    route = chance.choice(["/v1/rerank", "/v2/rerank", "/v1/score"])
    return request(route, {**RIGHT[route], chance.choice(NEEDED[route]): {"a": []}}, headers=headers)


def _missing(chance: random.Random, headers: Headers) -> bytes:
    route = chance.choice(ROUTES)
    body = dict(RIGHT[route])
    del body[chance.choice(NEEDED[route])]
    return request(route, body, headers=headers)


def _no_object(chance: random.Random, headers: Headers) -> bytes:
    return request(chance.choice(ROUTES), chance.choice([[], "x", 5, None, True, [[]] * 100]), headers=headers)


def _out_of_range(chance: random.Random, headers: Headers) -> bytes:
    field, value = chance.choice(
        [("top_k", 0), ("top_k", -1), ("top_k", 10**9), ("top_k", 10**400), ("candidates", 1001), ("since", "soon"),
         ("min_score", float("nan")), ("group", "maybe"), ("paths", "docs"), ("where", []), ("rerank", 2)]
    )  # fmt: skip
    return request("/v1/search", {**RIGHT["/v1/search"], field: value}, headers=headers)


def _unknown_field(chance: random.Random, headers: Headers) -> bytes:
    name = "".join(chance.choices(string.ascii_letters + "é界\ud800", k=12)) + "_"
    return request("/v1/search", {**RIGHT["/v1/search"], name: chance.random()}, headers=headers)


def _blank(chance: random.Random, headers: Headers) -> bytes:
    blank = "".join(chance.choices(" \t\n\u3000\x00", k=chance.randrange(1, 9)))
    return request("/v1/search", {"query": chance.choice([blank, f"[x]{blank}"])}, headers=headers)


def _deep(chance: random.Random, headers: Headers) -> bytes:
    depth = chance.choice([500, 2_000, 100_000])
    opened, closed = chance.choice([(b"[", b"]"), (b'{"query":', b"}")])
    return request(chance.choice(ROUTES), opened * depth + b"1" + closed * depth, headers=headers)


def _too_long(chance: random.Random, headers: Headers) -> bytes:
    return request("/v1/search", {"query": "x" * chance.randrange(20_001, 99_999)}, headers=headers)


def _too_many(chance: random.Random, headers: Headers) -> bytes:
    documents = chance.choice([["x"] * chance.randrange(1001, 5000), ["x" * chance.randrange(100_001, 200_000)]])
    return request(chance.choice(["/v1/rerank", "/v2/rerank"]), {"query": "x", "documents": documents}, headers=headers)


def _no_route(chance: random.Random, headers: Headers) -> bytes:
    letters = string.ascii_letters + string.digits + "/.%-_~;=&?"
    path = "/x" + "".join(chance.choices(letters, k=chance.randrange(1, 60)))
    return request(path + "/none", method=chance.choice(["GET", "POST", "PUT"]), headers=headers)


def _wrong_method(chance: random.Random, headers: Headers) -> bytes:
    routes, methods = chance.choice(
        [(ROUTES, ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"]), (READS, ["POST", "PUT", "DELETE"])]
    )
    return request(chance.choice(routes), method=chance.choice(methods), headers=headers)


def _wrong_key(chance: random.Random, headers: Headers) -> bytes:
    right = headers["x-api-key"]
    wrong = chance.choice([right[:-1], right + "x", right.upper() + "X", "é" * len(right), "x" * 5000])
    given = chance.choice(
        [{}, {"x-api-key": wrong}, {"authorization": f"Bearer {wrong}"}, {"authorization": "Basic !"}]
    )
    route = chance.choice([*ROUTES, *(read for read in READS if read != "/health"), "/nowhere"])
    return request(route, {}, method=chance.choice(["GET", "POST"]), headers=given)


def _wrong_host(chance: random.Random, headers: Headers) -> bytes:
    host = chance.choice(["evil.example", "127.0.0.1.evil.example", "localhost.", "127.0.0.2", "[::2]:80", "a" * 300])
    return request(chance.choice(ROUTES), {}, headers={**headers, "host": host})


def _wrong_content(chance: random.Random, headers: Headers) -> bytes:
    kind = chance.choice(["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x"])
    route = chance.choice(ROUTES)
    return request(route, RIGHT[route], headers={**headers, "content-type": kind})


def _bad_length(chance: random.Random, headers: Headers) -> bytes:
    length = chance.choice(["-1", "abc", "1e3", "0x10", "٣".encode().decode("latin-1"), "1, 2", " ", "9" * 40])
    return request("/v1/search", b"{}", headers={**headers, "content-length": length})


def _smuggled(chance: random.Random, headers: Headers) -> bytes:
    coding = chance.choice(["xchunked", "gzip", "chunked, identity", "identity"])
    return request("/v1/search", b"0\r\n\r\n", headers={**headers, "transfer-encoding": coding})


def _no_http(chance: random.Random, _: Headers) -> bytes:
    starts = [
        b"\x16\x03\x01\x02\x00\x01",  # TLS
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n\r\nGET\r\n\r\n",
        b"SSH-2.0-x\r\n",
    ]
    return chance.choice(starts) + chance.randbytes(chance.randrange(1, 200)).replace(b"\n", b"") + b"\r\n\r\n"


def _bad_header(chance: random.Random, headers: Headers) -> bytes:
    line = chance.choice([b"x y: z", b"no colon", b": empty", b"x: a\x00b", b"host: a\r\nhost: b", b"x\xff: y"])
    head, _, body = request("/health", method="GET", headers=headers).partition(b"\r\n")
    return head + b"\r\n" + line + b"\r\n" + body


def _huge_head(chance: random.Random, headers: Headers) -> bytes:
    size = chance.randrange(600_000, 1_000_000)  # more than the server takes in one piece
    if chance.random() < 0.5:
        return request("/health?" + "x" * size, method="GET", headers=headers)
    return request("/health", method="GET", headers={**headers, "x-long": "x" * size})


KINDS: dict[str, tuple[Make, set[int]]] = {
    "JSON cut off": (_cut, {422}),
    "bytes instead of JSON": (_noise, {400, 422}),
    "a field of another type": (_wrong_type, {422}),
    "an object without text": (_no_text, {400}),
    "a field missing": (_missing, {422}),
    "no JSON object": (_no_object, {422}),
    "a value out of range": (_out_of_range, {422}),
    "an unknown field": (_unknown_field, {422}),
    "a blank query": (_blank, {400}),
    "nested 500 to 100,000 deep": (_deep, {400, 422}),
    "a query that is too long": (_too_long, {422}),
    "too many or too long passages": (_too_many, {413}),
    "unknown route": (_no_route, {404}),
    "wrong method": (_wrong_method, {405}),
    "no key or a wrong one": (_wrong_key, {401}),
    "a foreign Host with the key": (_wrong_host, {422}),  # the body is read: only an open server checks names
    "another content type": (_wrong_content, {415}),
    "wrong content-length": (_bad_length, {400}),
    "wrong transfer-encoding": (_smuggled, {400}),
    "no HTTP": (_no_http, {400, 401}),  # 401: another version, without a key
    "a wrong header line": (_bad_header, {400}),
    "a head of 600 to 1,000 kB": (_huge_head, {400}),
}
