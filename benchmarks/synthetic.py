"""Make chunks for indexes of any size from real ones, for vectors_million.py and growth.py.

Passages of a folder are embedded. Each synthetic vector is one of them plus part of the difference of two others plus
noise, which keeps the clusters and covariance of real text. The terms of a chunk are drawn half from a real passage and
half from the whole folder. Token vectors are random rows: only their number matters here. Questions are the beginnings
of passages that were held out.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rag_search.embed.base import Embedder
from rag_search.embed.builtin.network import TOKEN_DIM
from rag_search.embed.token_pooling import FACTOR
from rag_search.index import FileState, IndexWriter
from rag_search.ingest.prepare import GROUP_CHUNKS
from rag_search.records import Chunk, Document, Encoded, FloatMatrix, TokenVectors, packed_bytes
from rag_search.text.terms import terms

SEEDS, QUESTIONS = 1900, 200
QUESTION_CHARS = 60
CHUNKS_PER_DOCUMENT, TERMS_PER_CHUNK = 8, 80
TOKENS = 32  # of a chunk; real ones have about 160
TOKEN_ROWS = -(-TOKENS // FACTOR)
MTIME_NS = 1_700_000_000 * 10**9

Part = tuple[Document, list[Chunk], Encoded, list[str]]


@dataclass(frozen=True)
class Seeds:
    """Real passages: their vectors (n, dim) and terms, and questions about held-out passages."""

    vectors: FloatMatrix
    terms: list[list[str]]
    questions: list[str]


def load_seeds(folder: Path, work: Path, embedder: Embedder) -> Seeds:
    """Embed the passages once, then read them from the work folder."""
    passages = _passages(folder)
    held_out, kept = passages[:QUESTIONS], passages[QUESTIONS:]
    cache = work / "seeds.npy"
    if not cache.exists():
        np.save(cache, embedder.encode_documents(kept).vectors)
    return Seeds(np.load(cache), [terms(p) for p in kept], [" ".join(p[:QUESTION_CHARS].split()) for p in held_out])


def with_files(documents: Iterable[Part], base: Path) -> Iterator[Part]:
    """Write the Markdown file that each document would come from, with the stored mtime."""
    for part in documents:
        file = base / part[0].path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(part[0].text)
        os.utime(file, ns=(MTIME_NS, MTIME_NS))
        yield part


def store(writer: IndexWriter, documents: Iterable[Part]) -> float:
    """Put and commit in groups, as an ingest does; return the seconds of the writer."""
    seconds = 0.0
    for done, (document, chunks, encoded, lines) in enumerate(documents, 1):
        state = FileState(len(document.text.encode()), MTIME_NS, document.content_hash)
        start = time.perf_counter()
        writer.put(document, chunks, encoded, lines, state=state)
        if done * CHUNKS_PER_DOCUMENT % GROUP_CHUNKS == 0:
            writer.commit()
        seconds += time.perf_counter() - start
    start = time.perf_counter()
    writer.commit()
    return seconds + time.perf_counter() - start


def documents(seeds: Seeds, chunks: int, *, seed: int = 1, name: str = "docs") -> Iterator[Part]:
    """Yield documents of CHUNKS_PER_DOCUMENT chunks, the same ones for the same `seed`."""
    random = np.random.default_rng(seed)
    everything = np.array([term for own in seeds.terms for term in own])
    pool = random.integers(0, 256, (4096 + TOKEN_ROWS, packed_bytes(TOKEN_DIM))).astype(np.uint8)
    for number in range(chunks // CHUNKS_PER_DOCUMENT):
        picks = random.integers(0, len(seeds.vectors), (3, CHUNKS_PER_DOCUMENT))
        lines = [_line(random, seeds.terms[i], everything) for i in picks[0]]
        path = f"{name}/{number // 1000:03d}/{number:07d}.md"
        chunks_made, position = [], 0
        for i, line in enumerate(lines):
            end = position + len(line)
            chunks_made.append(Chunk(path, path, i, line, ("Heading",), position, end, i + 1, i + 1, f"{path}\n{line}"))
            position = end
        text = "".join(lines)
        document = Document(path, path, text, {}, "2026-01-01", hashlib.sha256(text.encode()).hexdigest())
        yield document, chunks_made, Encoded(_vectors(random, seeds.vectors, picks), _tokens(random, pool)), lines


def _vectors(random: np.random.Generator, real: FloatMatrix, picks: np.ndarray[Any, Any]) -> FloatMatrix:
    base, one, other = real[picks]
    noise = random.standard_normal(base.shape, dtype=np.float32) / np.sqrt(base.shape[1], dtype=np.float32)
    made = base + 0.4 * (one - other) + 0.1 * noise
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made.astype(np.float32)


def _line(random: np.random.Generator, own: Sequence[str], everything: np.ndarray[Any, Any]) -> str:
    half = TERMS_PER_CHUNK // 2
    start = int(random.integers(0, max(1, len(own) - half)))
    return " ".join([*own[start : start + half], *everything[random.integers(0, len(everything), half)]]) + "\n"


def _tokens(random: np.random.Generator, pool: np.ndarray[Any, Any]) -> TokenVectors:
    starts = random.integers(0, len(pool) - TOKEN_ROWS, CHUNKS_PER_DOCUMENT)
    parts = np.concatenate([pool[start : start + TOKEN_ROWS] for start in starts])
    lengths, counts = (np.full(CHUNKS_PER_DOCUMENT, number, np.int64) for number in (TOKEN_ROWS, TOKENS))
    return TokenVectors(parts, lengths, counts)


def _passages(folder: Path) -> list[str]:
    """Return paragraphs of a fair length from all over the folder, in random order."""
    found = [
        paragraph
        for file in sorted(folder.rglob("*.md"))
        for paragraph in file.read_text(errors="replace").split("\n\n")
        if 120 < len(paragraph) < 800
    ]
    if len(found) < SEEDS:
        raise SystemExit(f"{folder} has only {len(found)} paragraphs, {SEEDS} are needed")
    chosen = np.random.default_rng(0).choice(len(found), SEEDS, replace=False)
    return [found[i] for i in chosen]
