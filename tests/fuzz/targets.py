"""What is fuzzed: each target reads one random input and raises nothing but the package's own errors."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from rag_search.chunking import chunk_document
from rag_search.documents.formats import ALL_FORMATS
from rag_search.documents.gitignore import parse_rules
from rag_search.embed.openai import read_vectors
from rag_search.engines.vllm_server.processes import RunningServer
from rag_search.errors import RagSearchError
from rag_search.records import Chunk, Document, EngineNames, Hit, SearchResult, StageScores
from rag_search.render.formats import FORMATS
from rag_search.render.paths import PathMapper
from rag_search.render.snippet import snippet
from rag_search.rerank.remote_formats import read_scores
from rag_search.runtime.foreign_json import parse_json, read_record
from rag_search.runtime.model_client import prompt_tokens_of, seconds_of, tokens_of
from rag_search.search.instructions import facets_of
from rag_search.server.codec import pack_result, unpack_result
from rag_search.server.discovery import ServerRecord
from rag_search.text.dates import parse_since
from rag_search.text.evidence import evidence_items
from rag_search.text.query import parse_query, parse_where, split_passages
from rag_search.text.sanitize import plain
from rag_search.text.sentences import split_sentences
from rag_search.text.terms import terms
from tests.chunking.counting import count_tokens
from tests.fuzz.inputs import changed, content, message, notebook, text, value

MAPPER = PathMapper(Path("/srv/p"), Path("/srv/p"))


def files(draw: random.Random) -> None:
    """Decode, parse and chunk a file; the chunks hold all of its text."""
    format_ = draw.choice(ALL_FORMATS)
    decoded = format_.decode(notebook(draw) if format_.name == "notebook" else content(draw))
    parsed = format_.parse(decoded)
    document = Document("a.md", parsed.title or "a", decoded, parsed.metadata, "", "", format_.name)
    chunks = chunk_document(document, count_tokens=count_tokens, parsed=parsed)
    assert not chunks or "".join(chunk.text for chunk in chunks) == decoded


def ignore_files(draw: random.Random) -> None:
    """Read an ignore file and ask it about paths."""
    rules = parse_rules(content(draw) if draw.random() < 0.5 else text(draw, 6).encode("utf-8", "replace"))
    for path in ("a.md", "docs/a b.md", "x/y/z", text(draw, 2).replace("\0", "").encode("utf-8", "replace").decode()):
        rules.covers(path or "a", is_folder=draw.random() < 0.5)


def questions(draw: random.Random) -> None:
    """Read a question, as typed."""
    raw = text(draw, 12)
    for read in (parse_query, facets_of, evidence_items, terms, split_passages, split_sentences, parse_since):
        with suppress(RagSearchError):
            read(raw)
    parse_where([raw])


def results(draw: random.Random) -> None:
    """Write a hit with random texts in every format: nothing of them is obeyed by a terminal."""
    found = result(draw)
    for name, render in FORMATS.items():
        written = render([found], MAPPER)
        ends = written.replace("\r\n", "\n") if name == "csv" else written
        assert plain(ends) == ends, name
        assert name not in ("files", "paths", "lines", "vimgrep", "jsonl") or len(written.splitlines()) == 1, name
    assert len(snippet(found.hits[0].chunk.text, found.query).splitlines()) <= 1


def result(draw: random.Random) -> SearchResult:
    """Return a result with one hit of random texts."""
    path = text(draw, 2).encode("utf-8", "replace").decode().replace("\0", "") or "a"
    title, body = text(draw, 3), text(draw)
    chunk = Chunk(path, title, 0, body, (title,), 0, len(body), 1, 2, body, 0)
    hit = Hit(chunk, 1, 0.5, StageScores(), same_in=(path,))
    return SearchResult(title or "q", None, (hit,), EngineNames("e", None, "i"), {})


def replies(draw: random.Random) -> None:
    """Read the answer of a model server."""
    count = draw.randint(1, 3)
    rows = [{"index": at, "relevance_score": 0.5, "embedding": [0.6, 0.8]} for at in range(count)]
    valid = {"results": rows, "data": rows, "usage": {"total_tokens": 3, "prompt_tokens": 3}, "id": "x", "model": "m"}
    answer = draw.choice(
        (lambda: parse_json(message(draw)), lambda: value(draw), *[lambda: changed(draw, valid)] * 4)
    )()
    tokens_of(answer)
    prompt_tokens_of(answer)
    seconds_of(text(draw, 2))
    with suppress(RagSearchError):
        assert np.isfinite(read_scores(answer, count, "the server")).all()
    with suppress(RagSearchError):
        assert len(read_vectors(answer, count, "the server")) == count  # a NaN is refused by their caller


def records(draw: random.Random) -> None:
    """Read a file of the cache, and the reply of our own server."""
    names = {"url": "http://127.0.0.1:1", "pid": 1, "version": "1", "index_dir": "/i", "settings_hash": "h"}
    server = {**names, "hostname": "h", "process_start": "s"}
    running = {"name": "n", "model": "m", "url": "http://127.0.0.1:1", "pid": 1, "born": "b", "log": "l"}
    valid, read = draw.choice(
        (
            (server, lambda row: read_record(ServerRecord, row)),
            (running, lambda row: read_record(RunningServer, row)),
            (json.loads(json.dumps(pack_result(result(draw)))), shown),
        )
    )
    read(changed(draw, valid) if draw.random() < 0.9 else value(draw))


def shown(reply: Any) -> None:
    """Read a result of our own server and write it in every format, as a query does."""
    found = unpack_result(reply)
    for render in FORMATS.values():
        render([found], MAPPER)


def messages(draw: random.Random) -> None:
    """Read a message over MCP; needs the extra `mcp`."""
    from rag_search.server.mcp_guard import problem_of

    call = {"name": "search", "arguments": {"query": text(draw, 4), "top_k": 3}}
    valid = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    given = json.dumps(changed(draw, valid)).encode() if draw.random() < 0.7 else message(draw)
    reply = problem_of(given)
    if reply is not None:
        json.dumps(reply, ensure_ascii=False).encode("utf-8")


TARGETS: Mapping[str, Callable[[random.Random], None]] = {
    each.__name__: each for each in (files, ignore_files, questions, results, replies, records, messages)
}
