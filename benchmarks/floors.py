"""Measure what this machine can do at most, what share of it each stage reaches, and where the rest goes.

    python -m benchmarks.floors [corpus/docs] [--before CHECKOUT]

Peaks are measured, not looked up: matrix products by NumPy's BLAS (float32) and by ONNX Runtime (8 bits) in the shapes
of the network, with one thread per core as the engine runs; and reading a large array. Then come the stages, and an
ingest part by part in CPU seconds. sentence-transformers, if installed, embeds the same texts with the same weights and
threads in the same run. --before names a checkout of an older version, whose ingest is timed in turn with this one's.
Results: floors.md and floors.json.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import ingest_parts, peaks
from rag_search.embed.builtin.embedder import BuiltinEmbedder, physical_cores
from rag_search.embed.builtin.network import TOKEN_DIM
from rag_search.embed.builtin.weights import E5File, Shape, find_weights
from rag_search.embed.token_pooling import FACTOR
from rag_search.index import open_reader
from rag_search.records import TokenVectors, packed_bytes
from rag_search.rerank.late_interaction import late_interaction
from rag_search.text.terms import terms
from tests.support import machine

QUESTION = "如何解决 Redis 连接超时，connection pool timeout 应该设多少"
CANDIDATES = 50
SCAN_ROWS = 65_536
ST_TOKENS = 40_000
INGEST = """
import json, sys, time
import rag_search
start = time.perf_counter()
report = rag_search.ingest([sys.argv[1]], index=sys.argv[2], settings={"cache_dir": sys.argv[3]})
print(json.dumps({"tokens": report.tokens, "seconds": time.perf_counter() - start, "report_s": report.seconds}))
"""

Rows = list[dict[str, Any]]


def main() -> None:
    """Measure peaks, stages and ingest, and write the results."""
    arguments = _parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        embedder = BuiltinEmbedder(cache_dir=work / "cache")
        found = peaks.measure(physical_cores())
        parts = ingest_parts.measure(arguments.folder, work / "parts", embedder)
        stages = stage_rows(embedder, parts, found, work / "parts")
        network = ingest_parts.network_profile(embedder, parts.mean_tokens)
        ingests = ingest_rows(arguments, work)
        against = against_sentence_transformers(parts.passages, embedder)
    write(arguments.out, {
        "schema": 1, "facts": machine.facts(), "peaks": found, "stages": stages, "parts": parts.rows,
        "network": network, "ingest": ingests, "sentence_transformers": against,
    })  # fmt: skip


def stage_rows(embedder: BuiltinEmbedder, parts: ingest_parts.Parts, found: dict[str, float], index: Path) -> Rows:
    """Return what each stage reaches of the floor that binds it."""
    products, attention = _operations(E5File(find_weights()).shape, parts.mean_tokens)
    int8, fp32 = found["int8, all cores, GOP/s"] * 1e9, found["fp32, all cores, GFLOP/s"] * 1e9
    rate = parts.network_tokens_per_s
    matrix = np.random.default_rng(0).standard_normal((SCAN_ROWS, embedder.dim)).astype(np.float32)
    size = matrix.size * 2  # stored as float16
    scan_s, read_s = _scan_seconds(matrix), _read_seconds(size)
    (units,) = embedder.encode_queries([QUESTION]).tokens or ()
    late_s, late_operations = _late_seconds(units, parts.mean_tokens)
    lexical_s, postings, chunks = _lexical_seconds(index)
    sum_s = _sum_seconds(postings, chunks)
    return [
        _row(
            f"embedding, {physical_cores()} threads, against the int8 peak",
            f"{rate:,.0f} tokens/s of {(products + attention) / 1e6:.1f} MOP",
            f"{int8 / 1e9:,.0f} GOP/s",
            rate * (products + attention) / int8,
        ),
        _row(
            "the same, attention against the fp32 peak",
            f"{products / 1e6:.1f} + {attention / 1e6:.1f} MOP a token",
            f"{1 / (products / int8 + attention / fp32):,.0f} tokens/s",
            rate * (products / int8 + attention / fp32),
        ),
        _row(
            f"exact scan of {SCAN_ROWS:,} vectors",
            f"{1e3 * scan_s:.1f} ms",
            f"{1e3 * read_s:.1f} ms, one thread reading these {size / 2**20:.0f} MB again and again",
            read_s / scan_s,
        ),
        _row(
            f"late interaction, {CANDIDATES} candidates, pooled {FACTOR} to 1",
            f"{1e3 * late_s:.2f} ms",
            f"{late_operations / 1e6:.0f} MFLOP at the fp32 peak of one thread",
            late_operations / late_s / 1e9 / found["fp32, one thread, GFLOP/s"],
        ),
        _row(
            f"BM25, {postings:,} postings of {chunks:,} chunks",
            f"{1e3 * lexical_s:.2f} ms, {1e9 * lexical_s / max(postings, 1):.0f} ns a posting",
            f"{1e3 * sum_s:.3f} ms, NumPy adding so many gains by chunk",
            sum_s / lexical_s,
        ),
    ]


def _row(stage: str, does: str, floor: str, share: float) -> dict[str, Any]:
    return {"stage": stage, "does": does, "floor": floor, "share": share}


def _operations(shape: Shape, tokens: float) -> tuple[float, float]:
    """Return operations per token: of the matrix products (2 x weights), and of attention over `tokens`."""
    weights = shape.layers * (4 * shape.hidden**2 + 2 * shape.hidden * shape.feed_forward)
    return 2.0 * weights, 4.0 * shape.layers * shape.hidden * tokens


def _scan_seconds(matrix: np.ndarray[Any, Any]) -> float:
    import faiss

    from rag_search.index.dense import faiss_cpu  # sets what the wheel needs

    faiss_cpu.faiss.omp_set_num_threads(1)
    index = faiss.IndexScalarQuantizer(matrix.shape[1], faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    index.add(matrix)
    return peaks.best(lambda: index.search(matrix[:1], 100), 15)


def _read_seconds(size: int) -> float:
    """Time one thread reading so many bytes once, as warm in the caches as the scan finds them."""
    flat = np.ones(size // 4, np.float32)
    with threadpool_limits(1, "blas"):
        return peaks.best(lambda: np.dot(flat, flat), 15)


def _late_seconds(units: np.ndarray[Any, Any], mean_tokens: float) -> tuple[float, float]:
    lengths = np.full(CANDIDATES, -(-round(mean_tokens) // FACTOR), np.int64)
    rows = np.random.default_rng(0).integers(0, 256, (int(lengths.sum()), packed_bytes(TOKEN_DIM))).astype(np.uint8)
    stored = TokenVectors(rows, lengths)
    return peaks.best(lambda: late_interaction(units, stored), 15), 2.0 * len(units) * len(rows) * TOKEN_DIM


def _lexical_seconds(index: Path) -> tuple[float, int, int]:
    """Time lexical search with a new reader each time, because a reader caches postings.

    Returns seconds, the postings of the question's terms, and the chunks of the index.
    """
    wanted, times = terms(QUESTION), []
    for _ in range(15):
        with open_reader(index) as reader:
            times.append(peaks.timed(lambda: reader.search_lexical(wanted, 100)))
            chunks = reader.counts.chunks
            postings = sum(len(reader.search_lexical([term], chunks)[0]) for term in wanted)
    return min(times), postings, chunks


def _sum_seconds(postings: int, chunks: int) -> float:
    """Time the least that BM25 has to do: to add the gain of each posting to its chunk."""
    random = np.random.default_rng(0)
    ids, gains = random.integers(0, chunks, postings), random.random(postings)
    return peaks.best(lambda: np.bincount(ids, gains, minlength=chunks), 15)


def ingest_rows(arguments: argparse.Namespace, work: Path) -> Rows:
    """Time the whole command of this version and the older one in turn, each with its engine converted before."""
    places = {"this version": Path(__file__).parents[1], **({"before": arguments.before} if arguments.before else {})}
    times: dict[str, list[dict[str, float]]] = {name: [] for name in places}
    for repeat in range(arguments.repeats + 1):
        for name, place in places.items():
            index, cache = work / f"{name}-{repeat}", work / f"cache-{name}"
            command = [sys.executable, "-c", INGEST, str(arguments.folder.resolve()), str(index), str(cache)]
            if repeat == 0:  # convert, and warm the file cache, on one small file
                command[3] = str(next(arguments.folder.resolve().rglob("*.md")))
            environment = {**os.environ, "PYTHONPATH": str(place.resolve())}
            run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment, cwd=work)
            times[name] += [json.loads(run.stdout)] if repeat else []
    return [
        {"version": name, "seconds": statistics.median(run["seconds"] for run in runs),
         "tokens": runs[0]["tokens"],
         "tokens_per_s": statistics.median(run["tokens"] / run["report_s"] for run in runs)}
        for name, runs in times.items()
    ]  # fmt: skip


def against_sentence_transformers(passages: Sequence[str], embedder: BuiltinEmbedder) -> Rows:
    """Compare tokens a second with the same weights, texts and threads; tokenising is left out."""
    if not all(importlib.util.find_spec(name) for name in ("torch", "sentence_transformers")):
        return []
    from tests.support.sentence_model import sentence_transformer_of

    ids = embedder.token_ids(passages, kind="passage")
    ids = ids[: int(np.searchsorted(np.cumsum([len(row) for row in ids]), ST_TOKENS))]
    tokens = sum(map(len, ids))
    encode = sentence_transformer_of(E5File(find_weights()), threads=physical_cores())
    encode(ids[:32])
    rows = []
    for name, call in {
        "sentence-transformers, float32": lambda: encode(ids),
        "builtin, int8": lambda: embedder.run(ids),
    }.items():
        seconds = statistics.median(peaks.timed(call) for _ in range(3))
        rows.append({"engine": name, "tokens_per_s": tokens / seconds})
    return rows


def write(out: Path, stored: dict[str, Any]) -> None:
    """Write `floors.md` and `floors.json`."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "floors.json").write_text(json.dumps(stored, indent=2, ensure_ascii=False) + "\n", "utf-8")
    lines = ["# Floors", "", machine.line(stored["facts"]), "", "| peak | measured |", "|---|---:|"]
    lines += [f"| {name} | {value:,.0f} |" for name, value in stored["peaks"].items()]
    lines += ["", "## What each stage reaches", "", "| stage | does | floor | share |", "|---|---|---|---:|"]
    lines += [f"| {r['stage']} | {r['does']} | {r['floor']} | {r['share']:.0%} |" for r in stored["stages"]]
    lines += ["", "## An ingest, part by part", "", "| part | CPU s | share |", "|---|---:|---:|"]
    total = sum(row["cpu_s"] for row in stored["parts"])
    lines += [f"| {row['part']} | {row['cpu_s']:.2f} | {row['cpu_s'] / total:.1%} |" for row in stored["parts"]]
    lines += ["", "The network by operator, one thread:", "", "| operator | ms | share |", "|---|---:|---:|"]
    lines += [f"| {row['operator']} | {row['ms']:.2f} | {row['share']:.1%} |" for row in stored["network"]]
    lines += ["", "## The whole command", "", "| version | s | tokens/s |", "|---|---:|---:|"]
    lines += [f"| {row['version']} | {row['seconds']:.1f} | {row['tokens_per_s']:,.0f} |" for row in stored["ingest"]]
    if stored["sentence_transformers"]:
        lines += ["", "## The same weights in sentence-transformers", "", "| engine | tokens/s |", "|---|---:|"]
        lines += [f"| {row['engine']} | {row['tokens_per_s']:,.0f} |" for row in stored["sentence_transformers"]]
    (out / "floors.md").write_text("\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("corpus/docs"))
    parser.add_argument("--before", type=Path, help="checkout of an older version to time as well")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
