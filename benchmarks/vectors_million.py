"""Stage one over a million chunks: latency, recall, adding a document, memory, disk.

    python benchmarks/vectors_million.py FOLDER_OF_MARKDOWN [--chunks 1000000] [--work DIR] [--out benchmarks/results]

The vectors are made from real ones: passages of the folder are embedded, and each synthetic vector is one of them plus
a part of the difference of two others plus noise, so that clusters and covariance stay those of real text. The terms
of a chunk are drawn from a real passage and from the whole folder. Queries are passages that were held out. Token
vectors are left out (they are only read for 50 candidates, and would take 32 GB). With --reuse "store, s" is the
figure of the run that stored the index.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from rag_search.index import FileState, IndexManifest, open_reader, open_writer, verify
from rag_search.index.layout import derived_files
from rag_search.index.vectors import scan
from rag_search.lexical import terms
from rag_search.records import Chunk, Document, Encoded, FloatMatrix

SEEDS, QUERIES = 2000, 200
CHUNKS_PER_DOCUMENT, TERMS_PER_CHUNK = 8, 80
COMMIT_CHUNKS = 4096
GOALS = {"stage one p50, ms": 15, "recall@50": 0.99, "add one document p50, ms": 50, "resident, MB": 600}


@dataclass(frozen=True)
class Seeds:
    """Real passages: their vectors (n, dim) and terms. The first QUERIES are the queries."""

    vectors: FloatMatrix
    terms: list[list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--chunks", type=int, default=1_000_000)
    parser.add_argument("--work", type=Path, default=Path("/tmp/vectors_million"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--reuse", action="store_true", help="the index in --work is there: only build its cache anew")
    parser.add_argument("--phase", choices=["query"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.phase == "query":
        print(json.dumps(_query_phase(options.work)))
        return
    options.work.mkdir(parents=True, exist_ok=True)
    seeds = _load_seeds(options.folder, options.work)
    questions = [own[:8] for own in seeds.terms[:QUERIES]]
    (options.work / "questions.json").write_text(json.dumps(questions))
    if not options.reuse:
        stored = {"chunks": options.chunks, "store, s": _store(seeds, options.work / "index", options.chunks)}
        (options.work / "stored.json").write_text(json.dumps(stored))
    figures = json.loads((options.work / "stored.json").read_text())
    figures["build the cache, s"] = _build_cache(seeds, options.work / "index")
    command = [sys.executable, __file__, str(options.folder), "--work", str(options.work), "--phase", "query"]
    run = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "."})
    figures |= json.loads(run.stdout)
    figures |= _recall(seeds, options.work / "index")
    figures |= _add_documents(seeds, options.work / "index")
    reuse = " --reuse" if options.reuse else ""
    _write(figures, options.out, f"python {sys.argv[0]} {options.folder.name} --chunks {options.chunks}{reuse}")


def _load_seeds(folder: Path, work: Path) -> Seeds:
    """Embedded once, then kept in the work folder."""
    passages = _passages(folder)
    cache = work / "seeds.npy"
    if not cache.exists():
        from rag_search.embed.builtin.engine import BuiltinEmbedder

        np.save(cache, BuiltinEmbedder(cache_dir=work).encode_documents(passages).vectors)
    return Seeds(np.load(cache), [terms(passage) for passage in passages])


def _passages(folder: Path) -> list[str]:
    """Paragraphs of a fair length from all over the folder."""
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


def _store(seeds: Seeds, index: Path, chunks: int) -> float:
    start = time.perf_counter()
    with open_writer(index, _manifest(seeds), rebuild=True) as writer:
        for done, (document, parts, encoded, lines) in enumerate(_documents(seeds, chunks), 1):
            writer.put(document, parts, encoded, lines, state=FileState(0, 0, document.content_hash))
            if done * CHUNKS_PER_DOCUMENT % COMMIT_CHUNKS == 0:
                writer.commit()
        writer.commit()
    return time.perf_counter() - start


def _build_cache(seeds: Seeds, index: Path) -> float:
    with open_writer(index, _manifest(seeds)) as writer:
        start = time.perf_counter()
        writer.build_ann()
        return time.perf_counter() - start


def _manifest(seeds: Seeds) -> IndexManifest:
    return IndexManifest("synthetic", "0" * 64, seeds.vectors.shape[1], 0, "1")


def _documents(
    seeds: Seeds, chunks: int, *, seed: int = 1, name: str = "doc"
) -> Iterator[tuple[Document, list[Chunk], Encoded, list[str]]]:
    random = np.random.default_rng(seed)
    everything = np.array([term for own in seeds.terms[QUERIES:] for term in own])
    for number in range(chunks // CHUNKS_PER_DOCUMENT):
        picks = random.integers(QUERIES, len(seeds.vectors), (3, CHUNKS_PER_DOCUMENT))
        lines = [_line(random, seeds.terms[i], everything) for i in picks[0]]
        path = f"{name}/{number:07d}.md"
        parts, position = [], 0
        for i, line in enumerate(lines):
            end = position + len(line)
            parts.append(Chunk(path, path, i, line, ("Heading",), position, end, i + 1, i + 1, f"{path}\n{line}"))
            position = end
        document = Document(path, path, "".join(lines), {}, "2026-01-01", f"{number:064d}")
        yield document, parts, Encoded(_vectors(random, seeds.vectors, picks)), lines


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


def _query_phase(work: Path) -> dict[str, float]:
    """In a process of its own, so that its memory is that of a server and nothing else."""
    vectors = np.load(work / "seeds.npy")[:QUERIES]
    questions = json.loads((work / "questions.json").read_text())
    start = time.perf_counter()
    with open_reader(work / "index") as reader:
        reader.search_dense(vectors[:1], 100)
        first = time.perf_counter() - start
        dense, lexical = [], []
        for vector, words in zip(vectors, questions, strict=True):
            start = _clocks()
            reader.search_dense(vector[None], 100)
            between = _clocks()
            reader.search_lexical(words, 100)
            dense.append(between - start)
            lexical.append(_clocks() - between)
        figures = {"open and first dense query, ms": first * 1000}
    for stage, times in {"dense": dense, "lexical": lexical, "stage one": np.add(dense, lexical)}.items():
        wall, cpu = np.array(times).T
        figures |= {f"{stage} {name}, ms": value for name, value in _percentiles(wall).items()}
        figures |= {f"{stage} {name}, ms of CPU": value for name, value in _percentiles(cpu).items()}
    return {
        **figures,
        **{f"{name}, MB": value for name, value in _memory().items()},
    }


def _recall(seeds: Seeds, index: Path) -> dict[str, float]:
    queries = seeds.vectors[:QUERIES]
    with open_reader(index) as reader:
        found = np.vstack([reader.search_dense(query[None], 50)[0] for query in queries])
        start = time.perf_counter()
        exact, _ = scan(queries, 50, reader._rows, reader._rows.living())
        exact_s = time.perf_counter() - start
    shares = [len(np.intersect1d(a, b)) / 50 for a, b in zip(found, exact, strict=True)]
    return {
        "recall@50": float(np.mean(shares)),
        "recall@50, worst query": min(shares),
        "exact by NumPy in one batch, ms a query": exact_s * 1000 / QUERIES,
    }


def _add_documents(seeds: Seeds, index: Path) -> dict[str, float]:
    start = time.perf_counter()
    with open_writer(index, _manifest(seeds)) as writer:
        opened = time.perf_counter() - start
        durations = []
        for document, parts, encoded, lines in _documents(seeds, 50 * CHUNKS_PER_DOCUMENT, seed=2, name="new"):
            start = time.perf_counter()
            writer.put(document, parts, encoded, lines, state=FileState(0, 0, document.content_hash))
            writer.commit()
            durations.append(time.perf_counter() - start)
    sizes = {f"disk {file.suffix}, MB": file.stat().st_size / 2**20 for file in derived_files(index)}
    sizes["disk meta.db, MB"] = (index / "meta.db").stat().st_size / 2**20
    start = time.perf_counter()
    problems = verify(index)
    if problems:
        raise SystemExit(f"the index is not sound: {problems[0]}")
    return {
        "open for writing, ms": opened * 1000,
        **{f"add one document {name}, ms": value for name, value in _percentiles(durations).items()},
        **sizes,
        "verify, s": time.perf_counter() - start,
    }


def _percentiles(seconds: Sequence[float] | np.ndarray[Any, Any]) -> dict[str, float]:
    p50, p95 = np.percentile(seconds, [50, 95]) * 1000
    return {"p50": float(p50), "p95": float(p95)}


def _clocks() -> np.ndarray[Any, Any]:
    """Wall clock and CPU time of this thread, in seconds: the second says what a machine without other work takes."""
    return np.array([time.perf_counter(), time.thread_time()])


def _memory() -> dict[str, float]:
    """Of this process: resident now, its peak, and the part that is not a mapped file."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    names = {"VmRSS": "resident", "VmHWM": "resident, peak", "RssAnon": "resident without mapped files"}
    return {ours: int(lines[name].split()[0]) / 1024 for name, ours in names.items()}


def _write(figures: dict[str, float], out: Path, command: str) -> None:
    out.mkdir(parents=True, exist_ok=True)
    hardware = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, load {os.getloadavg()[1]:.1f}"
    date = datetime.now(UTC).date().isoformat()
    record = {"schema": 1, "command": command, "hardware": hardware, "date": date, "goals": GOALS, "figures": figures}
    (out / "vectors_million.json").write_text(json.dumps(record, indent=2) + "\n")
    rows = [f"| {name} | {value:,.4g} | {GOALS.get(name, '')} |" for name, value in figures.items()]
    table = "\n".join(["| figure | measured | goal |", "|---|---|---|", *rows])
    text = f"# Stage one over {figures['chunks']:,} chunks\n\n`{command}`, {hardware}, {date}.\n\n{table}\n"
    (out / "vectors_million.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
