"""Measure a million chunks against the goals: latency, recall, adding a document, memory, disk.

    python -m benchmarks.vectors_million [corpus/docs] [--work DIR] [--rebuild-cache]

The index is the largest of benchmarks.growth (`--keep`) if there is one, else it is made; see synthetic.py for the
documents. Queries are the beginnings of passages outside the index, embedded by the built-in engine. "Whole query" is
both stages, from the text to the hits, one after the other. "Stage one" is dense and lexical search and fusion with the
query's vector at hand: a search after embedding and before fetching. Vectors and database have been read once before.
Results: vectors_million.md and vectors_million.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import growth, synthetic
from rag_search.embed.builtin.embedder import BuiltinEmbedder
from rag_search.engines.open import manifest_of
from rag_search.index import FileState, derived_index, open_reader, open_writer, verify
from rag_search.records import Encoded, EncodedQueries, FloatVector, SearchOptions
from rag_search.rerank.late_interaction import LateInteractionReranker
from rag_search.search.searcher import Searcher
from tests.support import machine

WARM_UP, ADDED, RECALL_AT = 50, 50, 50
HYBRID = SearchOptions(system="hybrid")
GOALS = {
    "whole query p50, ms": 15,
    "disk, MB": 2400,
    "stage one p50, ms": 15,
    "recall@50": 0.99,
    "add one document p50, ms": 50,
    "resident, MB": 600,
}

Figures = dict[str, float]


@dataclass(frozen=True)
class Known:
    """An Embedder for queries alone, whose vectors were made before."""

    vectors: dict[str, FloatVector]
    name, dim, token_dim, fingerprint, follows_instructions = "known", 384, 0, "known", False

    def encode_queries(self, queries: Sequence[str], *, instruction: str | None = None) -> EncodedQueries:  # noqa: ARG002
        """Return the prepared vectors."""
        return EncodedQueries(np.array([self.vectors[query] for query in queries], np.float32))

    def encode_documents(self, passages: Sequence[str]) -> Encoded:
        """Raise NotImplementedError: all passages of the index are encoded."""
        raise NotImplementedError(passages)


def main() -> None:
    """Measure and write the results."""
    arguments = _parse_arguments()
    place = arguments.work / str(arguments.chunks)
    embedder = BuiltinEmbedder(cache_dir=arguments.work / "engine", model="docs-e5-2")
    arguments.work.mkdir(parents=True, exist_ok=True)
    seeds = synthetic.load_seeds(arguments.folder, arguments.work, embedder)
    if arguments.phase:
        print(json.dumps(queried(place / "index", embedder, seeds)))
        return
    if not place.exists():
        growth.store(place, arguments.chunks, embedder, seeds)
    figures: Figures = {"chunks": arguments.chunks}
    if arguments.rebuild_cache:
        with open_writer(place / "index", manifest_of(embedder)) as writer:
            start = time.perf_counter()
            writer.build_derived()
            figures["build the cache, s"] = time.perf_counter() - start
    command = [sys.executable, "-m", "benchmarks.vectors_million", str(arguments.folder), "--work", str(arguments.work)]
    run = subprocess.run(
        [*command, "--chunks", str(arguments.chunks), "--phase"], check=True, stdout=subprocess.PIPE, text=True
    )
    figures |= json.loads(run.stdout)
    figures |= recall(place / "index", embedder, seeds)
    figures |= added(place / "index", embedder, seeds)
    write(figures, arguments.out)


def queried(index: Path, embedder: BuiltinEmbedder, seeds: synthetic.Seeds) -> Figures:
    """Measure queries in a separate process, so its memory is that of a program that only searches."""
    machine.read_once(index)
    figures = whole(index, embedder, seeds)
    known = Known({question: embedder.encode_queries([question]).vectors[0] for question in seeds.questions})
    start = time.perf_counter()
    with open_reader(index) as reader:
        asked = Searcher(reader, known)
        asked.search(seeds.questions[0], HYBRID)
        figures["open and first query, stage one, ms"] = 1000 * (time.perf_counter() - start)
        for question in seeds.questions[1:WARM_UP]:
            asked.search(question, HYBRID)
        times, cpu = [], []
        for question in seeds.questions[WARM_UP:]:
            start = time.process_time()
            times.append(asked.search(question, HYBRID).timings_ms)
            cpu.append(1000 * (time.process_time() - start))
        memory = machine.memory_mb()
    stages = {name: [each[name] for each in times] for name in ("dense", "lexical", "fuse", "fetch")}
    stages["stage one"] = [each["total"] - each["fetch"] for each in times]
    stages["stage one and fetching, CPU time"] = cpu
    for name, values in stages.items():
        figures |= _percentiles(name, values)
    return figures | {"resident, MB": memory["resident"], "resident, peak, MB": memory["peak"]}


def whole(index: Path, embedder: BuiltinEmbedder, seeds: synthetic.Seeds) -> Figures:
    """Measure queries with the builtin engine, by the clock and by the processor."""
    with open_reader(index) as reader:
        searcher = Searcher(reader, embedder, LateInteractionReranker(embedder))
        for question in seeds.questions[:WARM_UP]:
            searcher.search(question)
        times, cpu = [], []
        for question in seeds.questions[WARM_UP:]:
            start, used = time.perf_counter(), time.process_time()
            searcher.search(question)
            times.append(1000 * (time.perf_counter() - start))
            cpu.append(1000 * (time.process_time() - used))
    return _percentiles("whole query", times) | _percentiles("whole query, CPU time", cpu)


def recall(index: Path, embedder: BuiltinEmbedder, seeds: synthetic.Seeds) -> Figures:
    """Compare with exact search over every row by NumPy."""
    queries = embedder.encode_queries(seeds.questions).vectors
    with open_reader(index) as reader:
        found = [reader.search_dense(query[None], RECALL_AT)[0][0] for query in queries]
    with open_reader(index, vectors=derived_index("exact")) as reader:
        exact = [reader.search_dense(query[None], RECALL_AT)[0][0] for query in queries]
    shares = [len(np.intersect1d(a, b)) / RECALL_AT for a, b in zip(found, exact, strict=True)]
    return {f"recall@{RECALL_AT}": float(np.mean(shares)), f"recall@{RECALL_AT}, worst query": min(shares)}


def added(index: Path, embedder: BuiltinEmbedder, seeds: synthetic.Seeds) -> Figures:
    """Put and commit documents of eight chunks one by one, remove them again, then verify the whole index."""
    durations, paths = [], []
    start = time.perf_counter()
    with open_writer(index, manifest_of(embedder)) as writer:
        figures = {"open for writing, ms": 1000 * (time.perf_counter() - start)}
        made = synthetic.documents(seeds, ADDED * synthetic.CHUNKS_PER_DOCUMENT, seed=2, name="new")
        for document, chunks, encoded, lines in made:
            start = time.perf_counter()
            writer.put(document, chunks, encoded, lines, state=FileState(0, 0, document.content_hash))
            writer.commit()
            durations.append(1000 * (time.perf_counter() - start))
            paths.append(document.path)
        writer.remove(paths)
        writer.commit()
    files = {f"disk {file.suffix}, MB": file.stat().st_size / 2**20 for file in sorted(index.iterdir()) if file.suffix}
    start = time.perf_counter()
    problems = verify(index)
    if problems:
        raise SystemExit(f"the index is not sound: {problems[0]}")
    figures |= _percentiles("add one document", durations) | files | {"disk, MB": sum(files.values())}
    return figures | {"verify, s": time.perf_counter() - start}


def _percentiles(name: str, values: Sequence[float]) -> Figures:
    p50, p95 = np.percentile(values, [50, 95]).tolist()
    return {f"{name} p50, ms": p50, f"{name} p95, ms": p95}


def write(figures: Figures, out: Path) -> None:
    """Write `vectors_million.md` and `vectors_million.json`."""
    facts = machine.facts()
    out.mkdir(parents=True, exist_ok=True)
    record = {"schema": 1, "facts": facts, "goals": GOALS, "figures": figures}
    (out / "vectors_million.json").write_text(json.dumps(record, indent=2) + "\n")
    rows = [f"| {name} | {value:,.4g} | {GOALS.get(name, '')} |" for name, value in figures.items()]
    table = "\n".join(["| figure | measured | goal |", "|---|---:|---:|", *rows])
    text = f"# A search over {figures['chunks']:,.0f} chunks\n\n{machine.line(facts)}\n\n{table}\n"
    (out / "vectors_million.md").write_text(text)
    print(text)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("corpus/docs"))
    parser.add_argument("--chunks", type=int, default=1_000_000)
    parser.add_argument("--work", type=Path, default=growth.WORK)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    parser.add_argument("--rebuild-cache", action="store_true", help="time making the approximate cache as well")
    parser.add_argument("--phase", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
