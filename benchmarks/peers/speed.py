"""Measure speed: ragsearch and other tools with the same weights, passages, questions and threads, pair by pair.

    python -m benchmarks.peers.setup --envs DIR
    python -m benchmarks.peers.speed --envs DIR [--work DIR] [--only TOOL ...]

Every tool embeds the very passages that ragsearch makes of `corpus/` with multilingual-e5-small, which it loads and
runs itself; ragsearch reads and cuts the files as well and makes token vectors and BM25 too. Each peer is measured in
turn with ragsearch, so a machine whose speed drifts is fair to both. Writes results/peers_speed.json and .md; with
--only, the columns of the other tools stay as they are in the JSON, with the conditions that they were measured in.

ingest      DOCUMENTS files, with the model loaded, to an index on disk; tokens are those of the passages
cold query  a new process that answers one question over the whole corpus, by the clock
warm query  many different questions in one process
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from benchmarks.peers.data import CORPUS
from benchmarks.peers.export import export
from benchmarks.peers.onnx_model import ensure_onnx
from benchmarks.peers.ours import settings_of
from benchmarks.peers.protocol import read_json, write_json
from benchmarks.peers.running import NotRun, Task, Tool, run_worker, timed_process
from benchmarks.peers.speed_report import write_report
from benchmarks.peers.vectors import served
from rag_search.config import load_config
from rag_search.embed.builtin.embedder import physical_cores
from rag_search.engines import factory
from rag_search.engines.open import writing
from rag_search.evaluation.dataset import load_dataset
from rag_search.index import open_reader
from rag_search.ingest import IngestOptions, sync_folders
from rag_search.records import FloatMatrix

RESULTS = Path(__file__).parents[1] / "results"
DOCUMENTS, COLD_RUNS, WARM, DISCARDED = 12, 3, 50, 3  # of the warm questions, those before the clock counts
QUESTION = "如何解决Redis连接超时"
TOOLS = {
    "sbert": Tool("sbert", "sbert", ("sentence-transformers + FAISS",)),
    "txtai": Tool("txtai", "txtai", ("txtai",)),
    "haystack": Tool("haystack", "haystack", ("Haystack",)),
    "llamaindex": Tool("llamaindex", "llamaindex", ("LlamaIndex + FAISS",)),
    "chroma": Tool("chroma", "chroma", ("Chroma",)),
    "fastembed": Tool("fastembed", "fastembed", ("Qdrant + fastembed",), onnx=True),
}


@dataclass(frozen=True)
class Prepared:
    """What all tools share.

    Attributes:
        passages: id -> text of the whole corpus.
        sample: passages of the files to ingest.
        model: folder that sentence-transformers loads.
        index: ours over the whole corpus.
    """

    work: Path
    passages: Mapping[str, str]
    sample: Mapping[str, str]
    sample_docs: Path
    sample_tokens: int
    vectors: Mapping[str, np.ndarray]
    questions: Mapping[str, str]
    model: Path
    index: Path
    cache: Path


def main() -> None:
    """Measure each tool beside ours and write the tables."""
    arguments = _parse_arguments()
    arguments.work.mkdir(parents=True, exist_ok=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    stored = arguments.out / "peers_speed.json"
    results = read_json(stored) if stored.exists() else {"tools": {}}
    prepared = prepare(arguments.work / f"speed-{_corpus_hash()}")
    for name in arguments.only:
        print(name, file=sys.stderr, flush=True)
        if arguments.prepare:
            try:
                build_peer(TOOLS[name], arguments.envs, prepared)
            except NotRun as error:
                print(f"not run: {error}", file=sys.stderr)
            continue
        results["tools"][name] = {**measure(TOOLS[name], arguments.envs, prepared), "where": _where(prepared)}
        stored.write_text(json.dumps(results, ensure_ascii=False, indent=1) + "\n", "utf-8")
    if not arguments.prepare:
        write_report(arguments.out, results)


def prepare(work: Path) -> Prepared:
    """Make our index of the corpus, its passages and the exported model, once and untimed."""
    index, cache, sample_docs = work / "index", work / "cache", work / "docs"
    docs = CORPUS / "docs"
    config = load_config(settings_of(index, cache))
    embedder = factory.make_embedder(config.settings)
    with writing(config, embedder, rebuild=False) as writer:
        sync_folders(writer, embedder, [docs], base=docs, options=IngestOptions(config.settings.ingest.max_tokens))
    with open_reader(index) as reader:
        chunks = [chunk for path in reader.documents() for chunk in reader.document_chunks(path)]
        rows = reader.vectors([chunk.chunk_id for chunk in chunks])
    files = sorted({chunk.path for chunk in chunks})
    sampled = set(np.random.default_rng(0).permutation(files)[:DOCUMENTS].tolist())
    shutil.rmtree(sample_docs, ignore_errors=True)
    for path in sampled:
        (sample_docs / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(docs / path, sample_docs / path)
    passages = {f"{chunk.path}#{chunk.ordinal}": chunk.passage for chunk in chunks}
    sample = {key: text for key, text in passages.items() if key.rpartition("#")[0] in sampled}
    return Prepared(
        work=work,
        passages=passages,
        sample=sample,
        sample_docs=sample_docs,
        sample_tokens=int(embedder.count_tokens(list(sample.values())).sum()),
        vectors={chunk.passage: row for chunk, row in zip(chunks, rows, strict=True)},
        questions={query.query_id: query.text for query in load_dataset(CORPUS, split="test").queries[:WARM]},
        model=export(work.parent / "e5-zero-shot"),
        index=index,
        cache=cache,
    )


def _corpus_hash() -> str:
    """Hash the documents: indexes of another state of the corpus are not used."""
    files = sorted((CORPUS / "docs").rglob("*.md"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def build_peer(tool: Tool, envs: Path, prepared: Prepared) -> None:
    """Build the peer's index of the whole corpus from our vectors; only its size and queries are measured.

    Raises:
        NotRun: the tool cannot run.
    """
    folder = prepared.work / "peers" / tool.module
    if folder.exists():
        return
    partial = folder.with_name(f"{tool.module}.partial")
    shutil.rmtree(partial, ignore_errors=True)

    def vectors(texts: list[str]) -> FloatMatrix:
        return np.array([prepared.vectors[text.removeprefix("passage: ")] for text in texts], np.float32)

    with served(vectors) as address, _written(prepared.passages) as documents:
        run_worker(tool, envs, Task("build", partial, documents, address=address), threads=physical_cores())
    partial.rename(folder)


def measure(tool: Tool, envs: Path, prepared: Prepared) -> dict[str, Any]:
    """Measure one peer and ours in turn; {"not_run": reason} for a tool that fails."""
    try:
        build_peer(tool, envs, prepared)
        if tool.onnx:
            ensure_onnx(prepared.model, envs)
        ours, peer = _ingests(tool, envs, prepared)
        ours_cold, peer_cold = _cold_queries(tool, envs, prepared)
        return {
            "name": tool.variants[0],
            "ours": {**ours, **ours_cold, **_our_warm_queries(prepared), **_size(prepared.index, prepared)},
            "peer": {
                **peer,
                **peer_cold,
                **_warm_queries(tool, envs, prepared),
                **_size(prepared.work / "peers" / tool.module, prepared),
            },
        }
    except NotRun as error:
        return {"name": tool.variants[0], "not_run": str(error)}


def _ingests(tool: Tool, envs: Path, prepared: Prepared) -> tuple[dict[str, Any], dict[str, Any]]:
    """Time ours, the peer, and ours again."""
    threads = physical_cores()
    ours = [_our_ingest(prepared)]
    with _written(prepared.sample) as documents, tempfile.TemporaryDirectory(dir=prepared.work) as folder:
        task = Task("ingest", Path(folder), documents, model=str(prepared.model))
        outcome = run_worker(tool, envs, task, threads=threads)
    ours.append(_our_ingest(prepared))
    (answer,) = outcome.answers.values()
    seconds = statistics.median(run["seconds"] for run in ours)
    return (
        _rates(seconds, prepared)
        | {"ingest_process_s": min(r["wall_s"] for r in ours), "ingest_mb": ours[0]["peak_mb"]},
        _rates(answer["seconds"], prepared) | {"ingest_process_s": outcome.wall_s, "ingest_mb": outcome.peak_mb},
    )


def _rates(seconds: float, prepared: Prepared) -> dict[str, float]:
    return {"documents_per_s": DOCUMENTS / seconds, "tokens_per_s": prepared.sample_tokens / seconds}


def _our_ingest(prepared: Prepared) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=prepared.work) as folder:
        task = {"index": f"{folder}/index", "cache": str(prepared.cache), "docs": str(prepared.sample_docs)}
        answer, wall_s, peak_mb = _ours("ingest", task, folder)
    return {"seconds": answer["seconds"], "wall_s": wall_s, "peak_mb": peak_mb}


def _our_warm_queries(prepared: Prepared) -> dict[str, Any]:
    questions = list(prepared.questions.values())
    task = {"index": str(prepared.index), "cache": str(prepared.cache), "questions": questions, "discarded": DISCARDED}
    with tempfile.TemporaryDirectory() as folder:
        answer, _wall_s, peak_mb = _ours("warm", task, folder)
    figures = {f"warm_{system}": _quantiles(times) for system, times in answer["ms"].items()}
    return {"warm": figures["warm_rerank"], **figures, "warm_mb": peak_mb, "warm_resident_mb": answer["resident_mb"]}


def _ours(action: str, task: dict[str, Any], folder: str) -> tuple[Any, float, float]:
    request, out = Path(folder, "task.json"), Path(folder, "answer.json")
    write_json(request, {**task, "out": str(out)})
    command = [sys.executable, "-m", "benchmarks.peers.ours", action, str(request)]
    wall_s, peak_mb = timed_process(command, physical_cores())
    return read_json(out), wall_s, peak_mb


def _warm_queries(tool: Tool, envs: Path, prepared: Prepared) -> dict[str, Any]:
    folder = prepared.work / "peers" / tool.module
    task = Task("warm", folder, questions=prepared.questions, model=str(prepared.model), discarded=DISCARDED)
    outcome = run_worker(tool, envs, task, threads=physical_cores())
    (answer,) = outcome.answers.values()
    return {
        "warm": _quantiles(answer["ms"]),
        "warm_mb": outcome.peak_mb,
        "warm_resident_mb": answer["resident_mb"],
    }


def _cold_queries(tool: Tool, envs: Path, prepared: Prepared) -> tuple[dict[str, Any], dict[str, Any]]:
    """Time a process per question, in turn; the first of each only warms the file cache."""
    folder, threads = prepared.work / "peers" / tool.module, physical_cores()
    task = Task("cold", folder, questions={"q": QUESTION}, model=str(prepared.model))
    command = [str(Path(sys.executable).with_name("ragsearch")), "query", "--no-server", QUESTION]
    flags = [f"--index={prepared.index}"]
    ours, peers = [], []
    with _environment(prepared):
        for _ in range(COLD_RUNS + 1):
            ours.append(timed_process([*command, *flags], threads))
            outcome = run_worker(tool, envs, task, threads=threads)
            peers.append((outcome.wall_s, outcome.peak_mb))
    return _cold(ours[1:]), _cold(peers[1:])


def _cold(runs: list[tuple[float, float]]) -> dict[str, float]:
    return {
        "cold_ms": 1000 * statistics.median(wall_s for wall_s, _ in runs),
        "cold_mb": statistics.median(megabytes for _, megabytes in runs),
    }


def _quantiles(times: list[float]) -> dict[str, float]:
    return {"p50_ms": float(np.quantile(times, 0.5)), "p95_ms": float(np.quantile(times, 0.95))}


def _size(index: Path, prepared: Prepared) -> dict[str, float]:
    """Return the size of an index of the whole corpus."""
    size = sum(file.stat().st_size for file in index.rglob("*") if file.is_file())
    return {"index_mb": size / 1e6, "bytes_a_passage": size / len(prepared.passages)}


@contextmanager
def _environment(prepared: Prepared) -> Iterator[None]:
    """Return the environment variables that configure our command line."""
    before = dict(os.environ)
    os.environ |= {
        "RAGSEARCH_CACHE_DIR": str(prepared.cache),
        "RAGSEARCH_PROFILE": "builtin",
        "RAGSEARCH_EMBEDDER__MODEL": "zero-shot",
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


@contextmanager
def _written(documents: Mapping[str, str]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "documents.json")
        write_json(path, dict(documents))
        yield path


def _where(prepared: Prepared) -> dict[str, Any]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().split("\n") if info.exists() else []
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown"),
        "threads": physical_cores(),
        "documents": DOCUMENTS,
        "passages": len(prepared.sample),
        "tokens": prepared.sample_tokens,
        "corpus passages": len(prepared.passages),
        "load average": f"{os.getloadavg()[0]:.1f}",
    }


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", type=Path, required=True, help="folder of benchmarks.peers.setup")
    parser.add_argument("--work", type=Path, default=Path(platformdirs.user_cache_dir("ragsearch")) / "peers")
    parser.add_argument("--only", nargs="+", choices=TOOLS, default=tuple(TOOLS))
    parser.add_argument("--prepare", action="store_true", help="only make the indexes that queries need")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.envs, arguments.work = arguments.envs.resolve(), arguments.work.resolve()
    return arguments


if __name__ == "__main__":
    main()
