"""Measure the GPU path in one table: embedding, reranking and exact search.

    python -m benchmarks.gpu                 # exact shapes of the 4B models, random weights, on a GPU
    python -m benchmarks.gpu --tiny          # small shapes on any machine: shows that the script runs

Random weights take as long as trained ones. "of the floor" is the least time that the work can take divided by the time
that it took: 2 x parameters FLOP per token over the matrix peak, or the bytes of all rows over the memory bandwidth.
Peak and bandwidth are measured on the same machine. The models run in plain transformers without vLLM's kernels, so
times are an upper bound of those with `ragsearch up`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from transformers import Qwen3Config, Qwen3Model

HEAD_TOKENS, TAIL_TOKENS = 79, 9  # of a rerank prompt: template, instruction and query (16); what follows the document
FP8 = torch.float8_e4m3fn
Search = Callable[[np.ndarray], object]


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
    """One line of the table. share: of the floor, in [0, 1]; None without such a bound."""

    what: str
    p50_ms: float
    p95_ms: float
    per_second: float
    share: float | None


FULL = Shape(36, 2560, 9728, 32, 1_000_000, 2560, 50)
TINY = Shape(2, 128, 256, 4, 20_000, 128, 8)


def main() -> None:
    """Measure every row and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if not arguments.tiny and not torch.cuda.is_available():
        parser.error("there is no CUDA device; --tiny runs anywhere")
    shape = TINY if arguments.tiny else FULL
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    n = 8192 if device == "cuda" else 1024
    # A processor may take minutes for one product in FP8: there, only the test of `to_fp8` runs it.
    peak, peak8 = matrix_peak(n, device, dtype), matrix_peak(n, device, FP8) if device == "cuda" else float("nan")
    model = make_model(shape, device, dtype)  # embedder and reranker have one shape
    rows = [*embedding_rows(model, peak), *rerank_rows(model, shape, peak, str(dtype).removeprefix("torch."))]
    if device == "cuda":
        to_fp8(model)
        rows += rerank_rows(model, shape, peak8, "FP8")
    del model
    rows += search_rows(shape, device)
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}; peak of a {n} x {n} product: {peak / 1e12:.2f} TFLOP/s in {dtype}, "
          f"{peak8 / 1e12:.2f} in FP8\n\n{table(rows)}")  # fmt: skip
    if arguments.out:
        found = {"device": name, "torch": torch.__version__, "peak": peak, "peak_fp8": peak8}
        arguments.out.write_text(json.dumps({**found, "rows": [asdict(row) for row in rows]}, indent=1), "utf-8")


def make_model(shape: Shape, device: str, dtype: torch.dtype) -> Qwen3Model:
    """Return a Qwen3 model of this shape with random weights."""
    config = Qwen3Config(
        vocab_size=151_669, hidden_size=shape.hidden, intermediate_size=shape.inner, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, num_key_value_heads=max(1, shape.heads // 4), head_dim=128, dtype=dtype,
    )  # fmt: skip
    with torch.device(device):
        return Qwen3Model(config).to(dtype).eval()


def matrix_peak(n: int, device: str, dtype: torch.dtype) -> float:
    """Measure the FLOP/s of a product of two n x n matrices."""
    a = torch.randn(n, n, device=device)
    if dtype == FP8:
        a8, scale = quantised(a)
        seconds = timed(lambda: torch._scaled_mm(a8, a8.t(), scale, scale, out_dtype=torch.bfloat16), 10)
    else:
        whole = a.to(dtype)
        seconds = timed(lambda: whole @ whole, 10)
    return float(2 * n**3 / np.median(seconds))


def embedding_rows(model: Qwen3Model, peak: float) -> list[Row]:
    """Measure embedding in batches."""
    rows = []
    for batch, length in ((32, 256), (1, 16)):
        tokens = random_tokens(model, batch, length)
        rows.append(
            forward_row(f"embed {batch} x {length} tokens", model, partial(model, tokens), tokens.numel(), peak)
        )
    return rows


def rerank_rows(model: Qwen3Model, shape: Shape, peak: float, precision: str) -> list[Row]:
    """Measure a query's candidates as one batch: each with its whole prompt, and with the shared head computed once."""
    rows = []
    for length in (256, 128):
        what = f"rerank {shape.candidates} x {length}, {precision}"
        head = random_tokens(model, 1, HEAD_TOKENS)
        tails = random_tokens(model, shape.candidates, length + TAIL_TOKENS)
        prompts = torch.cat([head.expand(shape.candidates, -1), tails], dim=1)
        shared = partial(with_shared_head, model, head, tails)
        rows.append(forward_row(what, model, partial(model, prompts), prompts.numel(), peak))
        rows.append(forward_row(f"{what}, head shared", model, shared, head.numel() + tails.numel(), peak))
    return rows


def with_shared_head(model: Qwen3Model, head: torch.Tensor, tails: torch.Tensor) -> torch.Tensor:
    """Return last hidden states (n, hidden) of n prompts: `head` (1, h), then their `tails` (n, t)."""
    with torch.no_grad():
        cache = model(head, use_cache=True).past_key_values
        cache.batch_repeat_interleave(len(tails))
        return model(tails, past_key_values=cache, use_cache=True).last_hidden_state[:, -1]


def forward_row(what: str, model: Qwen3Model, forward: Callable[[], object], tokens: int, peak: float) -> Row:
    """Measure one `forward` that computes `tokens` tokens."""
    parameters = sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear | Fp8Linear))
    with torch.no_grad():
        seconds = timed(forward, 20 if model.device.type == "cuda" else 3)
    rate = tokens / float(np.median(seconds))
    return row_of(what, seconds, rate, 2 * parameters * rate / peak)


class Fp8Linear(torch.nn.Module):
    """A linear layer without bias in FP8: one scale for weights, one per input, accumulated in float32."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        self.weight, self._scale = quantised(layer.weight.detach())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply a batch of rows in FP8."""
        flat, scale = quantised(x.reshape(-1, x.shape[-1]))
        out = torch._scaled_mm(flat, self.weight.t(), scale, self._scale, out_dtype=torch.bfloat16)
        return out.reshape(*x.shape[:-1], -1).to(x.dtype)


def quantised(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `x` in FP8 and the scale to multiply it with."""
    scale = (x.abs().amax() / torch.finfo(FP8).max).float()
    return (x / scale.to(x.dtype)).to(FP8), scale


def to_fp8(model: Qwen3Model) -> None:
    """Replace every linear layer of the model."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, torch.nn.Linear):
                setattr(module, name, Fp8Linear(child))


def search_rows(shape: Shape, device: str) -> list[Row]:
    """Measure exact search of 1 and 64 queries by FAISS, on the CPU and, where it can, on the GPU."""
    import faiss

    random = np.random.default_rng(0)
    vectors = np.empty((shape.rows, shape.dim), np.float32)
    for start in range(0, shape.rows, 65_536):
        block = random.standard_normal((min(65_536, shape.rows - start), shape.dim), np.float32)
        vectors[start : start + len(block)] = block / np.linalg.norm(block, axis=1, keepdims=True)
    size = f"{shape.rows:,} x {shape.dim}"
    inner = faiss.METRIC_INNER_PRODUCT
    rows = searched(f"faiss CPU float32 {size}", vectors, lambda q: faiss.knn(q, vectors, 100, metric=inner), "cpu", 4)
    if device == "cuda" and hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus():
        from rag_search.index.dense.faiss_gpu import upload

        index = upload(vectors, faiss)
        rows += searched(f"faiss GPU fp16 {size}", vectors, lambda q: index.search(q, 100), "cuda", 2)
    return rows


def searched(what: str, vectors: np.ndarray, search: Search, device: str, size: int) -> list[Row]:
    """Measure a search. size: bytes per stored number; one query cannot be faster than one read of all rows."""
    floor = vectors.size * size / bandwidth(device)
    rows = []
    for queries in (1, 64):
        seconds = timed(lambda q=vectors[:queries]: search(q), 5)
        p50 = float(np.median(seconds))
        rows.append(row_of(f"{what}, {queries} queries", seconds, queries / p50, floor / p50 if queries == 1 else None))
    return rows


def bandwidth(device: str) -> float:
    """Measure the bytes read per second by summing a large array."""
    array = torch.ones(2**28 if device == "cuda" else 2**26, dtype=torch.float32, device=device)
    return float(array.numel() * 4 / np.median(timed(array.sum, 5)))


def row_of(what: str, seconds: list[float], per_second: float, share: float | None) -> Row:
    """Return the row of these times."""
    p50, p95 = (float(np.percentile(seconds, q)) * 1000 for q in (50, 95))
    return Row(what, p50, p95, per_second, share)


def random_tokens(model: Qwen3Model, batch: int, length: int) -> torch.Tensor:
    """Return random token ids (batch, length)."""
    return torch.randint(0, 151_643, (batch, length), device=model.device)


def timed(work: Callable[[], object], repeats: int) -> list[float]:
    """Return the seconds of each repeat, after two that warm up."""
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
    """Render rows as Markdown."""
    lines = ["| what | p50 ms | p95 ms | tokens/s or queries/s | of the floor |", "|---|---|---|---|---|"]
    for row in rows:
        share = "" if row.share is None else f"{row.share:.0%}"
        lines.append(f"| {row.what} | {row.p50_ms:.1f} | {row.p95_ms:.1f} | {row.per_second:,.0f} | {share} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
