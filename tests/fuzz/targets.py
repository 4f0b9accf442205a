"""What is fuzzed: each target reads one random input and raises nothing but the package's own errors."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path

from rag_search.chunking import chunk_document
from rag_search.documents.formats import ALL_FORMATS
from rag_search.documents.gitignore import parse_rules
from rag_search.embed.openai import read_vectors
from rag_search.engines.vllm_server.processes import RunningServer
from rag_search.records import Chunk, Document, EngineNames, Hit, SearchResult, StageScores
from rag_search.render.formats import FORMATS
from rag_search.render.paths import PathMapper
from rag_search.render.snippet import snippet
from rag_search.rerank.remote_formats import read_scores
from rag_search.runtime.foreign_json import parse_json, read_record
from rag_search.runtime.model_client import prompt_tokens_of, seconds_of, tokens_of
from rag_search.search.instructions import facets_of
from rag_search.server.codec import unpack_result
from rag_search.server.discovery import ServerRecord
from rag_search.text.evidence import evidence_items
from rag_search.text.query import parse_query, parse_where, split_passages
from rag_search.text.sanitize import plain
from rag_search.text.terms import terms
from tests.chunking.counting import count_tokens
from tests.fuzz.inputs import content, message, text, value

MAPPER = PathMapper(Path("/srv/p"), Path("/srv/p"))


def files(draw: random.Random) -> None:
    """Decode, parse and chunk a file; the chunks hold all of its text."""
    format_ = draw.choice(ALL_FORMATS)
    decoded = format_.decode(content(draw))
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
    parse_query(raw)
    facets_of(raw)
    evidence_items(raw)
    terms(raw)
    split_passages(raw)
    parse_where([raw])


def results(draw: random.Random) -> None:
    """Write a hit with random texts in every format: nothing of them is obeyed by a terminal."""
    path = text(draw, 2).encode("utf-8", "replace").decode().replace("\0", "") or "a"
    title, body = text(draw, 3), text(draw)
    chunk = Chunk(path, title, 0, body, (title,), 0, len(body), 1, 2, body, 0)
    found = SearchResult(
        title or "q", None, (Hit(chunk, 1, 0.5, StageScores(), same_in=(path,)),), EngineNames("e", None, "i"), {}
    )
    for name, render in FORMATS.items():
        written = render([found], MAPPER)
        ends = written.replace("\r\n", "\n") if name == "csv" else written
        assert plain(ends) == ends, name
        assert name not in ("files", "paths", "lines", "vimgrep", "jsonl") or len(written.splitlines()) == 1, name
    assert len(snippet(body, title).splitlines()) <= 1


def replies(draw: random.Random) -> None:
    """Read the answer of a model server."""
    answer = parse_json(message(draw)) if draw.random() < 0.5 else value(draw)
    tokens_of(answer)
    prompt_tokens_of(answer)
    seconds_of(text(draw, 2))
    draw.choice((read_scores, read_vectors))(answer, draw.randint(0, 3), "the server")


def records(draw: random.Random) -> None:
    """Read a file of the cache, and the reply of our own server."""
    draw.choice(
        (lambda row: read_record(ServerRecord, row), lambda row: read_record(RunningServer, row), unpack_result)
    )(value(draw))


def messages(draw: random.Random) -> None:
    """Read a message over MCP; needs the extra `mcp`."""
    from rag_search.server.mcp_guard import problem_of

    problem_of(message(draw))


TARGETS: Mapping[str, Callable[[random.Random], None]] = {
    each.__name__: each for each in (files, ignore_files, questions, results, replies, records, messages)
}
