"""Compare the stores of an index: this machine, PostgreSQL, PostgreSQL with Milvus; and Ray with this process.

    unshare -n sh -c 'ip link set lo up; python -m benchmarks.stores --chunks 10000 --milvus real'
    python -m benchmarks.stores --ray

Each store gets the same documents, encoded before (see synthetic.py). The servers are real, from PyPI, on this machine;
`--milvus real` needs a network of its own. Each question goes to all stores in turn, so that they meet the same load of
the machine, after WARM_UP rounds. At last the rows that PostgreSQL holds are copied to empty tables by COPY alone, the
least that writing them can cost. `--ray` ingests a folder, and one document, by this process and by two Ray nodes of
one core, in turn; both load the model each time.
Results: stores.json, in which a run replaces its own size, and stores.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import synthetic
from rag_search.config import load_config
from rag_search.engines import factory
from rag_search.engines.open import manifest_of
from rag_search.index import derived_index, open_reader, open_writer
from rag_search.index.postgres import opening, state
from rag_search.index.postgres.connection import Place, connect
from rag_search.rerank.late_interaction import LateInteractionReranker
from rag_search.search.searcher import Searcher
from tests.support import machine
from tests.support.databases import VECTOR_SERVERS, MilvusServer, PostgresServer, public_folder, running

RESULTS = Path(__file__).parent / "results"
WARM_UP, QUESTIONS, RECALL_AT = 20, 100, 50
COMMIT_DOCUMENTS = 250  # 2,000 chunks
SERVERS_CPU, SERVERS_MS = "servers' CPU s per 1000", "servers' CPU ms"
RATE, OWN_CPU, BY_COPY = "chunks/s", "own CPU s per 1000", "by COPY alone"
TABLES = ("documents", "chunks", "vectors", "segments", "postings")  # in the order of their references
RAY_GOAL, INGEST_GOAL = 1.4, 2000
HERE, BY_RAY, START = "this process", "two Ray nodes", ", one document"
GOALS = {"postgres": 3.0, "postgres + milvus": 4.0}  # times the local store, of a whole query at 100,000 chunks


def main() -> None:
    """Measure and write the results."""
    arguments = _parse_arguments()
    arguments.work.mkdir(parents=True, exist_ok=True)
    facts = machine.facts()
    if arguments.ray:
        measured = {"ray": {"facts": facts, **_ray(arguments.folder, arguments.work, arguments.rounds)}}
    else:
        measured = {str(arguments.chunks): {"facts": facts, "milvus": arguments.milvus, "stores": _stores(arguments)}}
    results = RESULTS / "stores.json"
    known = json.loads(results.read_text()) if results.exists() else {}
    results.write_text(json.dumps(known | measured, indent=1) + "\n")
    results.with_suffix(".md").write_text(as_markdown(known | measured))
    print(json.dumps(measured, indent=1))


def _stores(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Fill all stores, ask them, and return the figures of each."""
    embedder = factory.make_embedder(load_config().settings)
    seeds = synthetic.load_seeds(arguments.folder, arguments.work, embedder)
    with ExitStack() as stack:
        servers, places = stack.enter_context(_servers(arguments.milvus))
        places = {"local": arguments.work / f"stores-{arguments.chunks}", **places}
        shutil.rmtree(places["local"], ignore_errors=True)
        figures: dict[str, dict[str, Any]] = {name: {} for name in places}
        for name, place in places.items():
            with _writer(place, manifest_of(embedder)) as writer:
                figures[name] |= _ingested(writer, seeds, arguments.chunks, servers if name != "local" else ())
            print(name, figures[name], flush=True)
        readers = {name: stack.enter_context(_reader(place)) for name, place in places.items()}
        searchers = {name: Searcher(r, embedder, LateInteractionReranker(embedder)) for name, r in readers.items()}
        timings = _queried(searchers, seeds, servers)
        recall = _recall(readers, places["local"], embedder, seeds)
        for name, reader in readers.items():
            counts = reader.counts
            figures[name] |= {"search": reader.kind, "bytes a chunk": round(counts.bytes / counts.chunks)}
            figures[name] |= {"recall@50": recall[name], **timings[name]}
        figures["postgres"][BY_COPY] = _copied(places["postgres"], manifest_of(embedder), servers)
    return figures


@contextmanager
def _servers(milvus: str) -> Iterator[tuple[list[int], dict[str, Any]]]:
    """Start the servers, and yield their process ids and the places of the stores in them."""
    with ExitStack() as stack:
        folder = stack.enter_context(public_folder("ragsearch-bench-"))
        database = stack.enter_context(running(partial(PostgresServer, fsync="on"), folder / "postgres"))
        pids = [database.process.pid] if database.process else []
        places: dict[str, Any] = {"postgres": Place(database.url, "alone", answer_s=600)}
        if milvus != "none":
            kind = VECTOR_SERVERS["lite" if milvus == "lite" else "milvus"]
            server = stack.enter_context(running(kind, folder / "milvus"))
            places["postgres + milvus"] = Place(database.url, "with-milvus", vectors=server.url, answer_s=600)
            pids += [server.server_pid if isinstance(server, MilvusServer) else server.process.pid]
        yield pids, places


def _writer(place: Any, manifest: Any) -> Any:
    return opening.open_writer(place, manifest) if isinstance(place, Place) else open_writer(place, manifest)


def _reader(place: Any) -> Any:
    return opening.open_reader(place) if isinstance(place, Place) else open_reader(place)


def _ingested(writer: Any, seeds: synthetic.Seeds, chunks: int, servers: Sequence[int]) -> dict[str, Any]:
    """Write documents that are encoded already.

    servers: process ids. Returns chunks in a second, processor seconds of this process and of the servers for 1,000
    chunks, and seconds of maintenance.
    """
    clock, served = _Clock(), _cpu_of(servers)
    for number, (document, parts, encoded, lines) in enumerate(synthetic.documents(seeds, chunks), 1):
        file = synthetic.FileState(len(document.text.encode()), synthetic.MTIME_NS, document.content_hash)
        with clock.running():
            writer.put(document, parts, encoded, lines, state=file)
            if number % COMMIT_DOCUMENTS == 0:
                writer.commit()
    with clock.running():
        writer.commit()
    figures = clock.figures(chunks, _cpu_of(servers) - served)
    start = time.perf_counter()
    writer.maintain()
    return {**figures, "maintain s": round(time.perf_counter() - start, 1)}


def _copied(place: Place, manifest: Any, servers: Sequence[int]) -> dict[str, Any]:
    """Copy the rows of an index into empty tables by COPY alone, in one commit; return figures as `_ingested` does."""
    empty = replace(place, index="empty")
    opening.open_writer(empty, manifest).close()
    clock, served = _Clock(), 0.0
    with connect(place) as source, connect(empty) as target:
        for connection, at in ((source, place), (target, empty)):
            state.enter(connection, at, state.read_head(connection, at).edition)
        chunks = state.read_totals(source).chunks
        target.execute("BEGIN")
        for table in TABLES:
            with source.cursor().copy(f"COPY {table} TO STDOUT (FORMAT BINARY)") as rows:
                blocks = list(rows)
            served -= _cpu_of(servers)
            with clock.running(), target.cursor().copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
                for block in blocks:
                    copy.write(block)
            served += _cpu_of(servers)
        with clock.running():
            target.execute("COMMIT")
    return clock.figures(chunks, served)


class _Clock:
    """Seconds, and processor seconds of this process, of what runs inside `running`."""

    def __init__(self) -> None:
        self._seconds = self._cpu = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count what runs inside."""
        start, before = time.perf_counter(), time.process_time()
        yield
        self._seconds += time.perf_counter() - start
        self._cpu += time.process_time() - before

    def figures(self, chunks: int, served: float) -> dict[str, Any]:
        """Return chunks in a second, and processor seconds for 1,000. served: those of the servers."""
        each = 1000 / chunks
        return {
            RATE: round(chunks / self._seconds),
            OWN_CPU: round(self._cpu * each, 3),
            SERVERS_CPU: round(served * each, 3),
        }


def _cpu_of(pids: Sequence[int]) -> float:
    """Return the processor seconds of processes and of all that come from them, dead and alive."""
    ticks, waiting = 0, list(pids)
    while waiting:
        pid = waiting.pop()
        with suppress(OSError):  # it has just ended
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
    return ticks / os.sysconf("SC_CLK_TCK")


def _queried(
    searchers: dict[str, Searcher], seeds: synthetic.Seeds, servers: Sequence[int]
) -> dict[str, dict[str, Any]]:
    """Ask all stores the same questions in turn; return milliseconds by stage. servers: process ids."""
    taken: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in searchers}
    for number in range(WARM_UP + QUESTIONS):
        question = seeds.questions[number % len(seeds.questions)]
        for name, searcher in searchers.items():
            served, start, before = _cpu_of(servers), time.perf_counter(), time.process_time()
            result = searcher.search(question)
            total, cpu = (time.perf_counter() - start) * 1000, (time.process_time() - before) * 1000
            if number >= WARM_UP:
                taken[name]["total"].append(total)
                taken[name]["CPU"].append(cpu)
                taken[name]["servers"].append((_cpu_of(servers) - served) * 1000)
                for stage, ms in result.timings_ms.items():
                    taken[name][stage].append(ms)
    return {
        name: {
            "p50 ms": round(float(np.median(stages["total"])), 2),
            "p95 ms": round(float(np.percentile(stages["total"], 95)), 2),
            "CPU ms": round(float(np.median(stages.pop("CPU"))), 2),
            SERVERS_MS: round(float(np.mean(stages.pop("servers"))), 2),  # counted in ticks of 10 ms
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


def _ray(folder: Path, work: Path, rounds: int) -> dict[str, Any]:
    """Ingest one document, and a folder, by this process and by two Ray nodes, in turn; the cluster runs already."""
    import ray
    from ray.cluster_utils import Cluster

    start = work / "ray-start"
    start.mkdir(exist_ok=True)
    (start / "one.md").write_text("# One document\n\nIt has one passage.\n")
    node = {"num_cpus": 1, "object_store_memory": 200 * 2**20}
    nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    nodes.add_node(**node)
    ray.init(address=nodes.address, log_to_driver=False, logging_level="error")
    seconds: dict[str, list[float]] = defaultdict(list)
    reports = {}
    for _ in range(rounds):
        for name in (HERE, BY_RAY):
            for what, source in ((f"{name}{START}", start), (name, folder)):
                begin = time.perf_counter()
                reports[what] = _ingest_folder(source, work / "ray-target", name)
                seconds[what].append(round(time.perf_counter() - begin, 1))
                print(what, seconds[what][-1], flush=True)
    ray.shutdown()
    nodes.shutdown()
    counts = {name: (report.new, report.chunks, len(report.failed)) for name, report in reports.items()}
    return {"seconds": dict(seconds), "documents, chunks, failed": counts}


def _ingest_folder(folder: Path, target: Path, name: str) -> Any:
    """Load the model and ingest a folder into a new local store. name: who reads, chunks and encodes."""
    from rag_search.engines.workers import make_workers
    from rag_search.ingest import IngestOptions, sync_folders

    shutil.rmtree(target, ignore_errors=True)
    config = load_config()
    embedder = factory.make_embedder(config.settings)
    workers = make_workers(config, "ray") if name == BY_RAY else None
    options = IngestOptions(words_first=2**60)
    with open_writer(target, manifest_of(embedder)) as writer:
        return sync_folders(writer, embedder, [folder], base=folder, options=options, workers=workers)


def as_markdown(results: dict[str, Any]) -> str:
    """Return the tables of all that was measured."""
    sizes = sorted((size for size in results if size.isdigit()), key=int)
    stores = [(int(size), name, results[size]["stores"]) for size in sizes for name in results[size]["stores"]]
    lines = [
        "# Stores side by side",
        "",
        "Servers, clients and this program share one machine, whose load before each run is given. Each question went "
        "to all stores in turn.",
        "",
        *(f"* {int(size):,} chunks: {machine.line(results[size]['facts'])}" for size in sizes),
        "",
        "## Ingest of documents that are encoded already",
        "",
        f"Goal at 100,000 chunks: {INGEST_GOAL:,} chunks/s into postgres, whose server waits for the disk at each"
        " commit (fsync). By COPY alone: the rows that the index has at the end, into empty tables, in one commit.",
        "",
        "| chunks | store | chunks/s | CPU s per 1,000 chunks: this process, servers | maintain s | bytes a chunk |",
        "|---|---|---|---|---|---|",
    ]
    for size, name, all_stores in stores:
        each = all_stores[name]
        lines.append(
            f"| {size:,} | {name} | {each[RATE]:,} | {each[OWN_CPU]}, {each[SERVERS_CPU]} |"
            f" {each['maintain s']} | {each['bytes a chunk']:,} |"
        )
        if least := each.get(BY_COPY):
            lines.append(
                f"| {size:,} | {name}, {BY_COPY} | {least[RATE]:,} | {least[OWN_CPU]}, {least[SERVERS_CPU]} | | |"
            )
    goals = ", ".join(f"{name} {goal:g}" for name, goal in GOALS.items())
    lines += [
        "",
        "## Queries",
        "",
        f"Both stages; times: p50 of a whole query beside the local store. Goals at 100,000 chunks: {goals}.",
        "",
        "| chunks | store | p50 / p95 ms | times | CPU ms: this process, servers | p50 by stage, ms | recall@50 |",
        "|---|---|---|---|---|---|---|",
    ]
    for size, name, all_stores in stores:
        each = all_stores[name]
        stages = ", ".join(f"{stage} {ms}" for stage, ms in each["p50 ms by stage"].items() if stage != "total")
        lines.append(
            f"| {size:,} | {name} ({each['search']}) | {each['p50 ms']} / {each['p95 ms']} |"
            f" {each['p50 ms'] / all_stores['local']['p50 ms']:.2f} | {each['CPU ms']},"
            f" {each.get(SERVERS_MS, 'not counted')} | {stages} |"
            f" {each['recall@50']} |"
        )
    return "\n".join([*lines, *_ray_lines(results.get("ray")), ""])


def _ray_lines(measured: dict[str, Any] | None) -> list[str]:
    if not measured:
        return []
    medians = {name: round(statistics.median(values), 2) for name, values in measured["seconds"].items()}
    lines = ["", "## Ray", "", machine.line(measured["facts"]), ""]
    lines += ["One folder, and one document, in turn. Both load the model each time; the cluster ran already.", ""]
    lines += ["| who encodes | seconds | median | documents, chunks, failed |", "|---|---|---|---|"]
    for name, values in measured["seconds"].items():
        counts = ", ".join(map(str, measured["documents, chunks, failed"][name]))
        lines.append(f"| {name} | {', '.join(map(str, values))} | {medians[name]} | {counts} |")
    ratio = medians[BY_RAY] / medians[HERE]
    rest = [medians[name] - medians[f"{name}{START}"] for name in (BY_RAY, HERE)]
    return [
        *lines,
        "",
        f"Two Ray nodes of one core take {ratio:.2f} times as long as this process; goal {RAY_GOAL}. Without the"
        f" seconds of one document, which are those of the start: {rest[0] / rest[1]:.2f} times.",
    ]


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("corpus/docs"))
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--work", type=Path, default=Path("runs/stores"))
    parser.add_argument("--ray", action="store_true", help="compare Ray with this process, and nothing else")
    parser.add_argument("--rounds", type=int, default=3, help="of --ray")
    parser.add_argument("--milvus", choices=("lite", "real", "none"), default="lite")
    return parser.parse_args()


if __name__ == "__main__":
    main()
