"""Measure the parts of an ingest one after the other, in CPU seconds."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from rag_search.chunking import chunk_document
from rag_search.documents import read_document, walk
from rag_search.embed.builtin.embedder import BuiltinEmbedder, physical_cores
from rag_search.embed.builtin.network import load_network, network_path
from rag_search.embed.builtin.onnx_graph import build_graph
from rag_search.embed.builtin.weights import E5File, dequantize_blocks, find_weights
from rag_search.embed.token_pooling import pooled
from rag_search.engines.open import manifest_of
from rag_search.index import FileState, open_writer
from rag_search.index.store.disk import Disk
from rag_search.records import Chunk, Document, Encoded, FloatMatrix, TokenVectors
from rag_search.text.terms import terms

Prepared = tuple[Document, list[Chunk]]
PROFILED_RUNS, SKIPPED_RUNS = 20, 5


@dataclass
class Parts:
    """Parts of an ingest with their CPU seconds; network_tokens_per_s: with one thread per core."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    passages: list[str] = field(default_factory=list)
    mean_tokens: float = 0.0
    network_tokens_per_s: float = 0.0

    @contextmanager
    def part(self, name: str, *, clock: Callable[[], float] = time.process_time) -> Iterator[None]:
        """Time the block and record it under `name`."""
        start = clock()
        yield
        self.rows.append({"part": name, "cpu_s": clock() - start})


class SlowSync(Disk):
    """Adds up the seconds that the disk takes to make the segments durable."""

    seconds = 0.0

    def sync(self, fd: int) -> None:
        """Sync a file and add the time that it took."""
        start = time.perf_counter()
        super().sync(fd)
        self.seconds += time.perf_counter() - start


def measure(folder: Path, index: Path, embedder: BuiltinEmbedder) -> Parts:
    """Measure every part over the whole folder, and leave the resulting index in `index`."""
    parts = Parts()
    with parts.part("load the Rust tokenizer"):
        embedder.count_tokens(["warm " * 1000])  # more than the tokenizer in Python takes
    with parts.part("walk, read, front matter"):
        documents = [read_document(source) for source in walk([folder], base=folder, on_problem=lambda _: None)]
    prepared = _chunked(documents, embedder, parts)
    parts.passages = [chunk.passage for _, chunks in prepared for chunk in chunks]
    with parts.part("terms for BM25"):
        lines = [[" ".join(terms(chunk.passage)) for chunk in chunks] for _, chunks in prepared]
    with parts.part("tokenise the passages"):
        ids = embedder.token_ids(parts.passages, kind="passage")
    with parts.part("word embeddings"):
        words = E5File(find_weights()).word_blocks()
        for row in ids:
            dequantize_blocks(words[row])
    parts.mean_tokens = sum(map(len, ids)) / len(ids)
    network = _network(embedder, ids, parts)
    with parts.part("pool and quantise the token vectors"):
        tokens = pooled([embedder.content(units, kind="passage") for _, units in network], embedder.token_dim)
    vectors = np.array([dense for dense, _ in network], np.float32).reshape(-1, embedder.dim)
    _stored(index, embedder, prepared, lines, (vectors, tokens), parts)
    return parts


def _chunked(documents: Sequence[Document], embedder: BuiltinEmbedder, parts: Parts) -> list[Prepared]:
    """Chunk, and record how much of it is counting tokens."""
    counting = 0.0

    def count_tokens(texts: Sequence[str]) -> Any:
        nonlocal counting
        start = time.process_time()
        counts = embedder.count_tokens(texts)
        counting += time.process_time() - start
        return counts

    start = time.process_time()
    prepared = [(document, list(chunk_document(document, count_tokens=count_tokens))) for document in documents]
    whole = time.process_time() - start
    parts.rows.append({"part": "chunk: Markdown, packing, passages", "cpu_s": whole - counting})
    parts.rows.append({"part": "chunk: count tokens", "cpu_s": counting})
    return prepared


def _network(embedder: BuiltinEmbedder, ids: list[Any], parts: Parts) -> list[list[Any]]:
    start, cpu = time.perf_counter(), time.process_time()
    encoded = embedder.run(ids)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    embeddings = next(row["cpu_s"] for row in parts.rows if row["part"] == "word embeddings")
    parts.rows.append({"part": f"network, {physical_cores()} threads", "cpu_s": cpu - embeddings})
    parts.network_tokens_per_s = sum(map(len, ids)) / seconds
    return encoded


def _stored(
    index: Path,
    embedder: BuiltinEmbedder,
    prepared: Sequence[Prepared],
    lines: Sequence[Sequence[str]],
    encoded: tuple[FloatMatrix, TokenVectors],
    parts: Parts,
) -> None:
    (vectors, tokens), disk, done = encoded, SlowSync(), 0
    with open_writer(index, manifest_of(embedder), disk=disk) as writer:
        waited, start = disk.seconds, time.process_time()
        for number, ((document, chunks), terms_of) in enumerate(zip(prepared, lines, strict=True)):
            first, done = done, done + len(chunks)
            own = Encoded(vectors[first:done], tokens.part(first, done))
            writer.put(document, chunks, own, terms_of, state=FileState(0, 0, document.content_hash))
            if number % 16 == 0:
                writer.commit()
        writer.commit()
        parts.rows.append({"part": "store: SQLite, segments", "cpu_s": time.process_time() - start})
        parts.rows.append({"part": "wait for the disk (wall clock)", "cpu_s": disk.seconds - waited})


def network_profile(embedder: BuiltinEmbedder, tokens: float) -> list[dict[str, Any]]:
    """Return the milliseconds of each operator for one text of `tokens` tokens, by ONNX Runtime's profiler."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.enable_profiling = 1, True
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    graph = build_graph(load_network(E5File(find_weights()), network_path(embedder.model)), "int8")
    ids = np.random.default_rng(0).integers(1000, 200_000, round(tokens))
    embeddings = dequantize_blocks(E5File(find_weights()).word_blocks()[ids])[None]
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
        for _ in range(PROFILED_RUNS):
            session.run(["dense", "units"], {"embeddings": embeddings})
        events = json.loads(Path(session.end_profiling()).read_text())
    return _by_operator([event for event in events if event.get("name", "").endswith("_kernel_time")])


def _by_operator(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    durations: dict[str, list[float]] = {}
    for event in events:
        durations.setdefault(event["args"]["op_name"], []).append(event["dur"] / 1000)
    runs = {
        name: np.array(each).reshape(PROFILED_RUNS, -1)[SKIPPED_RUNS:].sum(axis=1) for name, each in durations.items()
    }
    medians = {name: float(np.median(each)) for name, each in runs.items()}
    total = sum(medians.values())
    order = sorted(medians, key=lambda name: -medians[name])
    return [{"operator": name, "ms": medians[name], "share": medians[name] / total} for name in order]
