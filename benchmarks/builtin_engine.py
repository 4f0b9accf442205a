"""Measure the built-in encoder in its variants, beside sentence-transformers on the same weights.

    python -m benchmarks.builtin_engine [--out benchmarks/results] [--repeats 5]

Speed is measured by the clock with one worker thread per core, and in CPU seconds of one thread, which other processes
disturb far less. Agreement is the cosine with float32 arithmetic on the same weights. torch and sentence-transformers,
if installed, run in this process with the same texts, lengths and threads.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from rag_search.embed.builtin.convert import ensure_converted
from rag_search.embed.builtin.embedder import BuiltinEmbedder, physical_cores
from rag_search.embed.builtin.network import load_network, network_path
from rag_search.embed.builtin.onnx_graph import Precision, build_graph
from rag_search.embed.builtin.rust_tokenizer import load_rust_tokenizer
from rag_search.embed.builtin.tokenizer import E5Tokenizer
from rag_search.embed.builtin.weights import E5File, dequantize_blocks, find_weights
from rag_search.records import TokenVectors, packed_bytes
from rag_search.rerank.late_interaction import late_interaction

LENGTHS = (64, 128, 256)
QUERY_TOKENS = 16
TEXT = (
    "Connection pools keep sockets open so that a request need not wait for a handshake. 连接池保持连接，避免每次请求都"
    "重新握手。Set maxIdleTime to close idle connections; 超时时间应大于服务器的响应时间。"
)


@dataclass(frozen=True)
class Row:
    """One variant. Speeds in tokens a second, times in milliseconds, cosines with float32 (mean and smallest)."""

    variant: str
    tokens_per_s: float
    tokens_per_cpu_s: float
    query_ms: float
    load_ms: float
    megabytes: float
    cosine: float
    cosine_min: float
    token_cosine: float


def main() -> None:
    """Measure every variant and write the results."""
    arguments = _parse_arguments()
    file, texts = E5File(find_weights()), sample_ids()
    rows, reference = [], None
    for precision in reversed(get_args(Precision)):  # float32 first: it is what the others are compared with
        row, outputs = measure_precision(precision, file, texts, arguments.repeats, reference)
        reference = reference or outputs
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
    extras = {**measure_parts(arguments.repeats), **measure_torch(file, texts, arguments.repeats)}
    write(arguments.out, rows, extras)


def sample_ids() -> list[NDArray[np.int32]]:
    """Return token ids of mixed text in the lengths of LENGTHS, with as many tokens of each."""
    tokenizer = load_rust_tokenizer(E5File(find_weights()))
    long = np.array(tokenizer.encode((TEXT * 40).split(), is_pretokenized=True).ids, np.int32)
    chance = np.random.default_rng(0)
    starts = [(n, int(chance.integers(0, len(long) - n))) for n in LENGTHS for _ in range(1024 // n)]
    return [long[start : start + n] for n, start in starts]


def measure_precision(
    precision: Precision,
    file: E5File,
    texts: list[NDArray[np.int32]],
    repeats: int,
    reference: list[tuple[NDArray[Any], NDArray[Any]]] | None,
) -> tuple[Row, list[tuple[NDArray[Any], NDArray[Any]]]]:
    """Measure one arithmetic of the layers as the engine runs it: one text a run, one thread a text."""
    graph = build_graph(load_network(file, network_path("zero-shot")), precision).SerializeToString()
    start = time.perf_counter()
    session = _session(graph)
    load_ms = 1e3 * (time.perf_counter() - start)
    words = file.word_blocks()

    def run(ids: NDArray[np.int32]) -> tuple[NDArray[Any], NDArray[Any]]:
        dense, units = session.run(["dense", "units"], {"embeddings": dequantize_blocks(words[ids])[None]})
        return dense[0], units[0]

    outputs = [run(ids) for ids in texts]
    cosines, token_cosines = _agreement(outputs, reference or outputs)
    tokens = sum(map(len, texts))
    with ThreadPoolExecutor(physical_cores()) as pool:
        wall = _best(lambda: list(pool.map(run, texts)), repeats, time.perf_counter)
    cpu = _best(lambda: [run(ids) for ids in texts], repeats, time.process_time)
    query_s = _median(lambda: run(texts[0][:QUERY_TOKENS]), 5 * repeats)
    return Row(
        precision, tokens / wall, tokens / cpu, 1e3 * query_s, load_ms, len(graph) / 1e6,
        float(cosines.mean()), float(cosines.min()), float(token_cosines.mean()),
    ), outputs  # fmt: skip


def measure_parts(repeats: int) -> dict[str, float]:
    """Return the milliseconds of the parts of a cold and a warm query."""
    with tempfile.TemporaryDirectory() as folder:
        cache, weights, network = Path(folder), find_weights(), network_path("zero-shot")
        start = time.perf_counter()
        converted = ensure_converted(cache, weights, network)
        parts = {"convert once": 1e3 * (time.perf_counter() - start)}
        file = E5File(weights)
        tokenizer = E5Tokenizer(file, converted.table)
        embedder = BuiltinEmbedder(cache_dir=cache)
        (units,) = embedder.encode_queries(["如何解决 Redis 连接超时"]).tokens or ()
        chance = np.random.default_rng(0)
        rows = chance.integers(0, 256, (50 * 256, packed_bytes(embedder.token_dim))).astype(np.uint8)
        stored = TokenVectors(rows, np.full(50, 256, np.int64))
        timed: dict[str, Callable[[], object]] = {
            "open tokenizer (mapped)": lambda: E5Tokenizer(E5File(weights), converted.table),
            "open tokenizer (Rust, bulk)": lambda: load_rust_tokenizer(file),
            "open engine": lambda: BuiltinEmbedder(cache_dir=cache),
            "tokenize a query": lambda: tokenizer.ids_of_one("如何解决 Redis 连接超时，ERR_CONN_TIMEOUT"),
            "late interaction, 50 passages of 256 tokens": lambda: late_interaction(units, stored),
        }
        return parts | {name: 1e3 * _median(call, repeats) for name, call in timed.items()}


def measure_torch(file: E5File, texts: list[NDArray[np.int32]], repeats: int) -> dict[str, float]:
    """Return the tokens a second of sentence-transformers on the same weights and texts; empty if not installed."""
    if not all(importlib.util.find_spec(name) for name in ("torch", "sentence_transformers")):
        return {}
    from tests.support.sentence_model import sentence_transformer_of

    encode = sentence_transformer_of(file, threads=physical_cores())
    encode(texts[:2])
    tokens = sum(map(len, texts))
    return {
        "sentence-transformers float32, tokens/s": tokens / _best(lambda: encode(texts), repeats, time.perf_counter)
    }


def write(out: Path, rows: list[Row], extras: dict[str, float]) -> None:
    """Write `builtin_engine.md` and `builtin_engine.json`."""
    out.mkdir(parents=True, exist_ok=True)
    where = {
        "date": date.today().isoformat(), "cpu": _cpu(), "cores": physical_cores(),
        "onnxruntime": onnxruntime.__version__, "command": "python -m benchmarks.builtin_engine",
        "load average": f"{os.getloadavg()[0]:.1f}",
    }  # fmt: skip
    stored = {"where": where, "variants": [asdict(row) for row in rows], "parts": extras}
    (out / "builtin_engine.json").write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")
    head = (
        "| variant | tokens/s | tokens/s of CPU time, one thread | query ms | load ms | MB | cosine (min) | of tokens |"
    )
    lines = [
        ", ".join(f"{key} {value}" for key, value in where.items()),
        "", head, "|---|" + "---:|" * 7,
        *(f"| {r.variant} | {r.tokens_per_s:,.0f} | {r.tokens_per_cpu_s:,.0f} | {r.query_ms:.1f} | {r.load_ms:.0f} "
          f"| {r.megabytes:.0f} | {r.cosine:.4f} ({r.cosine_min:.4f}) | {r.token_cosine:.4f} |" for r in rows),
        "", "| part | |", "|---|---:|", *(f"| {name} | {value:,.2f} |" for name, value in extras.items()),
    ]  # fmt: skip
    (out / "builtin_engine.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def _session(graph: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_mem_pattern = False
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _agreement(
    outputs: list[tuple[NDArray[Any], NDArray[Any]]], reference: list[tuple[NDArray[Any], NDArray[Any]]]
) -> tuple[NDArray[Any], NDArray[Any]]:
    dense = np.array([a @ b for (a, _), (b, _) in zip(outputs, reference, strict=True)])
    tokens = np.concatenate([(a * b).sum(axis=1) for (_, a), (_, b) in zip(outputs, reference, strict=True)])
    return dense, tokens


def _best(call: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    return min(_timed(call, clock) for _ in range(repeats))


def _median(call: Callable[[], object], repeats: int) -> float:
    return statistics.median(_timed(call, time.perf_counter) for _ in range(repeats))


def _timed(call: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    call()
    return clock() - start


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().split("\n") if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return f"{model} ({', '.join(flag for flag in ('avx2', 'avx512_vnni', 'amx_int8') if flag in flags)})"


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
