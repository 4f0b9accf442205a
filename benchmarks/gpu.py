"""The GPU path in one table: embedding, reranking and exact search.

    python -m benchmarks.gpu                 # exact shapes of the 4B models, random weights, on a GPU
    python -m benchmarks.gpu --tiny          # small shapes on any machine: shows that the script runs

Random weights take as long as trained ones. Each row names its floor: 2 x parameters FLOP a token over the matrix peak
that this machine reaches in a plain product, or bytes read over the measured memory bandwidth.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import Qwen3Config, Qwen3Model

TEMPLATE_TOKENS, QUERY_TOKENS = 72, 16


@dataclass(frozen=True)
class Shape:
    """Sizes of one run. rows, dim: of the vector search."""

    layers: int
    hidden: int
    inner: int
    heads: int
    rows: int
    dim: int
    candidates: int


@dataclass(frozen=True)
class Row:
    """One line of the table. floor: share of what the machine can do, in [0, 1]; None where there is no such bound."""

    what: str
    p50_ms: float
    p95_ms: float
    per_second: float
    floor: float | None


FULL = Shape(36, 2560, 9728, 32, 1_000_000, 2560, 50)
TINY = Shape(2, 128, 256, 4, 20_000, 128, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if not arguments.tiny and not torch.cuda.is_available():
        parser.error("there is no CUDA device; --tiny runs anywhere")
    shape = TINY if arguments.tiny else FULL
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    peak = matrix_peak(device, dtype)
    model = make_model(shape, device, dtype)
    rows = [*embedding_rows(model, peak), *rerank_rows(model, shape, peak)]
    del model
    rows += search_rows(shape, device)
    print(
        f"{torch.cuda.get_device_name() if device == 'cuda' else 'CPU'}, matrix peak {peak / 1e12:.2f} TFLOP/s {dtype}"
    )
    print(table(rows))
    if arguments.out:
        arguments.out.write_text(json.dumps([asdict(row) for row in rows], indent=1), "utf-8")


def make_model(shape: Shape, device: str, dtype: torch.dtype) -> Qwen3Model:
    config = Qwen3Config(
        vocab_size=151_669, hidden_size=shape.hidden, intermediate_size=shape.inner, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, num_key_value_heads=max(1, shape.heads // 4), head_dim=128, dtype=dtype,
    )  # fmt: skip
    with torch.device(device):
        return Qwen3Model(config).to(dtype).eval()


def matrix_peak(device: str, dtype: torch.dtype) -> float:
    """FLOP/s of a large product."""
    n = 8192 if device == "cuda" else 1024
    a = torch.randn(n, n, device=device, dtype=dtype)
    seconds = np.median(timed(lambda: a @ a, 10))
    return float(2 * n**3 / seconds)


def embedding_rows(model: Qwen3Model, peak: float) -> list[Row]:
    rows = []
    for batch, length in ((32, 256), (1, 16)):
        tokens = random_tokens(model, batch, length)
        rows.append(forward_row(f"embed {batch} x {length} tokens", model, tokens, peak))
    return rows


def rerank_rows(model: Qwen3Model, shape: Shape, peak: float) -> list[Row]:
    """A query's candidates as one batch; "shared prefix" computes the template's head and the query once."""
    rows = []
    for length in (256, 128):
        whole = TEMPLATE_TOKENS + QUERY_TOKENS + length
        tokens = random_tokens(model, shape.candidates, whole)
        rows.append(forward_row(f"rerank {shape.candidates} x {length}", model, tokens, peak))
        shared = random_tokens(model, shape.candidates, length + 9)  # 9 tokens stand behind the document
        rows.append(
            forward_row(f"rerank {shape.candidates} x {length}, shared prefix (lower bound)", model, shared, peak)
        )
    return rows


def forward_row(what: str, model: Qwen3Model, tokens: torch.Tensor, peak: float) -> Row:
    parameters = sum(p.numel() for name, p in model.named_parameters() if "embed_tokens" not in name)
    with torch.no_grad():
        seconds = timed(lambda: model(tokens, use_cache=False), 10)
    rate = tokens.numel() / float(np.median(seconds))
    return row_of(what, seconds, rate, 2 * parameters * rate / peak)


def search_rows(shape: Shape, device: str) -> list[Row]:
    """Exact search of one query and of 64, by FAISS on the CPU, and by FAISS on the card where it can."""
    import faiss

    random = np.random.default_rng(0)
    vectors = np.empty((shape.rows, shape.dim), np.float32)
    for start in range(0, shape.rows, 65_536):
        block = random.standard_normal((min(65_536, shape.rows - start), shape.dim), np.float32)
        vectors[start : start + len(block)] = block / np.linalg.norm(block, axis=1, keepdims=True)
    rows = []
    for queries in (1, 64):
        seconds = timed(lambda q=queries: faiss.knn(vectors[:q], vectors, 100, metric=faiss.METRIC_INNER_PRODUCT), 3)
        rows.append(row_of(f"faiss CPU {shape.rows} x {shape.dim}, {queries} queries", seconds, queries, None))
    if device == "cuda" and hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus():
        from rag_search.index.faiss_gpu import upload

        index = upload(vectors, faiss)
        for queries in (1, 64):
            seconds = timed(lambda q=queries: index.search(vectors[:q], 100), 10)
            rows.append(row_of(f"faiss GPU fp16 {shape.rows} x {shape.dim}, {queries} queries", seconds, queries, None))
    return rows


def row_of(what: str, seconds: list[float], per_second: float, floor: float | None) -> Row:
    p50, p95 = (float(np.percentile(seconds, q)) * 1000 for q in (50, 95))
    return Row(what, p50, p95, per_second if floor is not None else per_second / (p50 / 1000), floor)


def random_tokens(model: Qwen3Model, batch: int, length: int) -> torch.Tensor:
    return torch.randint(0, 151_643, (batch, length), device=model.device)


def timed(work: Callable[[], object], repeats: int) -> list[float]:
    """Seconds of each repeat, after two that warm up."""
    seconds = []
    for number in range(repeats + 2):
        start = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if number >= 2:
            seconds.append(time.perf_counter() - start)
    return seconds


def table(rows: list[Row]) -> str:
    lines = ["| what | p50 ms | p95 ms | tokens/s or queries/s | of the peak |", "|---|---|---|---|---|"]
    for row in rows:
        share = "" if row.floor is None else f"{row.floor:.0%}"
        lines.append(f"| {row.what} | {row.p50_ms:.1f} | {row.p95_ms:.1f} | {row.per_second:,.0f} | {share} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
