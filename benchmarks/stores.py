"""Compare the stores of an index: this machine, PostgreSQL, PostgreSQL with Milvus.

    python -m benchmarks.stores [corpus/docs] [--chunks 10000] [--work DIR] [--milvus lite|real|none]

Each store gets the same documents, encoded before (see synthetic.py). The servers are real, from PyPI, on this machine;
`--milvus real` needs a network of its own (`unshare -n`). Each question goes to all stores in turn, so that they meet
the same load of the machine, after WARM_UP rounds. Results: stores-CHUNKS.json, and stores.md of all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import synthetic
from rag_search.config import load_config
from rag_search.engines import factory
from rag_search.engines.open import manifest_of
from rag_search.index import derived_index, open_reader, open_writer
from rag_search.index.postgres import opening
from rag_search.index.postgres.connection import Place
from rag_search.rerank.late_interaction import LateInteractionReranker
from rag_search.search.searcher import Searcher
from tests.support.databases import LiteServer, MilvusServer, PostgresServer

RESULTS = Path(__file__).parent / "results"
WARM_UP, QUESTIONS, RECALL_AT = 20, 100, 50
COMMIT_DOCUMENTS = 250  # 2,000 chunks
GOALS = {"postgres": 3.0, "postgres + milvus": 4.0}  # times the local store, of a whole query at 100,000 chunks


def main() -> None:
    """Measure and write the results."""
    arguments = _parse_arguments()
    arguments.work.mkdir(parents=True, exist_ok=True)
    embedder = factory.make_embedder(load_config().settings)
    seeds = synthetic.load_seeds(arguments.folder, arguments.work, embedder)
    with ExitStack() as stack:
        places = stack.enter_context(_servers(arguments.milvus))
        places = {"local": arguments.work / f"stores-{arguments.chunks}", **places}
        shutil.rmtree(places["local"], ignore_errors=True)
        figures: dict[str, dict[str, Any]] = {name: {} for name in places}
        for name, place in places.items():
            with _writer(place, manifest_of(embedder)) as writer:
                figures[name] |= _ingested(writer, seeds, arguments.chunks)
            print(name, figures[name], flush=True)
        readers = {name: stack.enter_context(_reader(place)) for name, place in places.items()}
        searchers = {name: Searcher(r, embedder, LateInteractionReranker(embedder)) for name, r in readers.items()}
        timings = _queried(searchers, seeds)
        recall = _recall(readers, places["local"], embedder, seeds)
        for name, reader in readers.items():
            counts = reader.counts
            figures[name] |= {"search": reader.kind, "bytes a chunk": round(counts.bytes / counts.chunks)}
            figures[name] |= {"recall@50": recall[name], **timings[name]}
    output = RESULTS / f"stores-{arguments.chunks}.json"
    output.write_text(json.dumps({"chunks": arguments.chunks, "stores": figures}, indent=1) + "\n")
    _write_table()
    print(json.dumps(figures, indent=1))


@contextmanager
def _servers(milvus: str) -> Iterator[dict[str, Any]]:
    """Start the servers, and yield the places of the stores in them."""
    folder = Path(tempfile.mkdtemp(prefix="ragsearch-bench-", dir="/tmp"))
    folder.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / "postgres").mkdir()
        database = PostgresServer(folder / "postgres")
        database.start()
        stack.callback(database.stop)
        places: dict[str, Any] = {"postgres": Place(database.url, "alone", answer_s=600)}
        if milvus != "none":
            (folder / "milvus").mkdir()
            server = (LiteServer if milvus == "lite" else MilvusServer)(folder / "milvus")
            server.start()
            stack.callback(server.stop)
            places["postgres + milvus"] = Place(database.url, "with-milvus", vectors=server.url, answer_s=600)
        yield places


def _writer(place: Any, manifest: Any) -> Any:
    return opening.open_writer(place, manifest) if isinstance(place, Place) else open_writer(place, manifest)


def _reader(place: Any) -> Any:
    return opening.open_reader(place) if isinstance(place, Place) else open_reader(place)


def _ingested(writer: Any, seeds: synthetic.Seeds, chunks: int) -> dict[str, Any]:
    """Write documents that are encoded already; return the chunks in a second, and the seconds of maintenance."""
    seconds, cpu = 0.0, 0.0
    for number, (document, parts, encoded, lines) in enumerate(synthetic.documents(seeds, chunks), 1):
        state = synthetic.FileState(len(document.text.encode()), synthetic.MTIME_NS, document.content_hash)
        start, before = time.perf_counter(), time.process_time()
        writer.put(document, parts, encoded, lines, state=state)
        if number % COMMIT_DOCUMENTS == 0:
            writer.commit()
        seconds += time.perf_counter() - start
        cpu += time.process_time() - before
    start = time.perf_counter()
    writer.commit()
    seconds += time.perf_counter() - start
    start = time.perf_counter()
    writer.maintain()
    maintain = round(time.perf_counter() - start, 1)
    return {"chunks/s": round(chunks / seconds), "chunks/s of own CPU": round(chunks / cpu), "maintain s": maintain}


def _queried(searchers: dict[str, Searcher], seeds: synthetic.Seeds) -> dict[str, dict[str, Any]]:
    """Ask all stores the same questions in turn; return milliseconds by stage."""
    taken: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in searchers}
    for number in range(WARM_UP + QUESTIONS):
        question = seeds.questions[number % len(seeds.questions)]
        for name, searcher in searchers.items():
            start = time.perf_counter()
            result = searcher.search(question)
            total = (time.perf_counter() - start) * 1000
            if number >= WARM_UP:
                taken[name]["total"].append(total)
                for stage, ms in result.timings_ms.items():
                    taken[name][stage].append(ms)
    return {
        name: {
            "p50 ms": round(float(np.median(stages["total"])), 2),
            "p95 ms": round(float(np.percentile(stages["total"], 95)), 2),
            "p50 ms by stage": {stage: round(float(np.median(ms)), 2) for stage, ms in stages.items()},
        }
        for name, stages in taken.items()
    }


def _recall(readers: dict[str, Any], local: Path, embedder: Any, seeds: synthetic.Seeds) -> dict[str, float]:
    """Return the share of the exact 50 nearest that each store finds, by the documents they are in."""
    vectors = embedder.encode_queries(seeds.questions[:QUESTIONS]).vectors
    with open_reader(local, vectors=derived_index("exact")) as exact:
        truth = [_places(exact, ids) for ids in exact.search_dense(vectors, RECALL_AT)[0]]
    shares = {}
    for name, reader in readers.items():
        found = [_places(reader, ids) for ids in reader.search_dense(vectors, RECALL_AT)[0]]
        hits = [len(a & b) / RECALL_AT for a, b in zip(truth, found, strict=True)]
        shares[name] = round(float(np.mean(hits)), 4)
    return shares


def _places(reader: Any, ids: Any) -> set[tuple[str, int]]:
    return {(chunk.path, chunk.ordinal) for chunk in reader.chunks(ids[ids >= 0].tolist())}


def _write_table() -> None:
    """Write one table of all sizes that were measured."""
    rows = []
    for file in sorted(RESULTS.glob("stores-*.json"), key=lambda file: int(file.stem.partition("-")[2])):
        measured = json.loads(file.read_text())
        local = measured["stores"]["local"]
        for name, figures in measured["stores"].items():
            stages = figures["p50 ms by stage"]
            rows.append(
                f"| {measured['chunks']:,} | {name} ({figures['search']}) | {figures['chunks/s']:,} |"
                f" {figures['maintain s']} | {figures['bytes a chunk']:,} | {figures['recall@50']} |"
                f" {figures['p50 ms']} / {figures['p95 ms']} | {figures['p50 ms'] / local['p50 ms']:.2f} |"
                f" {', '.join(f'{stage} {ms}' for stage, ms in stages.items() if stage != 'total')} |"
            )
    head = [
        "# Stores side by side", "",
        "Written by `python -m benchmarks.stores`; servers, clients and this program share one machine "
        f"({os.cpu_count()} cores). chunks/s: of documents encoded before. times: p50 of a whole query, local = 1;",
        f"goals at 100,000 chunks: {', '.join(f'{name} {goal:g}' for name, goal in GOALS.items())}.", "",
        "| chunks | store | chunks/s | maintain s | bytes a chunk | recall@50 | query p50 / p95 ms | times |"
        " p50 by stage, ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    (RESULTS / "stores.md").write_text("\n".join([*head, *rows, ""]))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("corpus/docs"))
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--work", type=Path, default=Path("runs/stores"))
    parser.add_argument("--milvus", choices=("lite", "real", "none"), default="lite")
    return parser.parse_args()


if __name__ == "__main__":
    main()
