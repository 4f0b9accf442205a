"""Compare the stores of an index: this machine, PostgreSQL, PostgreSQL with Milvus; and Ray with this process.

    unshare -n sh -c 'ip link set lo up; python -m benchmarks.stores --chunks 10000 --milvus real'
    python -m benchmarks.stores --ray

Each store gets the same documents, encoded before (see synthetic.py). The servers are real, from PyPI, on this machine;
`--milvus real` needs a network of its own. Each question goes to all stores in turn, so that they meet the same load of
the machine, after WARM_UP rounds. `--ray` ingests a folder by this process and by two Ray nodes of one core, in turn.
Results: stores.json, in which a run replaces its own size, and stores.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
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
from tests.support import machine
from tests.support.databases import LiteServer, MilvusServer, PostgresServer

RESULTS = Path(__file__).parent / "results"
WARM_UP, QUESTIONS, RECALL_AT = 20, 100, 50
COMMIT_DOCUMENTS = 250  # 2,000 chunks
SERVERS_CPU, SERVERS_MS = "servers' CPU s per 1000", "servers' CPU ms"
RAY_GOAL = 1.4
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
    return figures


@contextmanager
def _servers(milvus: str) -> Iterator[tuple[list[int], dict[str, Any]]]:
    """Start the servers, and yield their process ids and the places of the stores in them."""
    folder = Path(tempfile.mkdtemp(prefix="ragsearch-bench-", dir="/tmp"))
    folder.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / "postgres").mkdir()
        database = PostgresServer(folder / "postgres")
        database.start()
        stack.callback(database.stop)
        pids = [database.process.pid] if database.process else []
        places: dict[str, Any] = {"postgres": Place(database.url, "alone", answer_s=600)}
        if milvus != "none":
            (folder / "milvus").mkdir()
            server = (LiteServer if milvus == "lite" else MilvusServer)(folder / "milvus")
            server.start()
            stack.callback(server.stop)
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
    seconds, cpu, served = 0.0, 0.0, _cpu_of(servers)
    for number, (document, parts, encoded, lines) in enumerate(synthetic.documents(seeds, chunks), 1):
        state = synthetic.FileState(len(document.text.encode()), synthetic.MTIME_NS, document.content_hash)
        start, before = time.perf_counter(), time.process_time()
        writer.put(document, parts, encoded, lines, state=state)
        if number % COMMIT_DOCUMENTS == 0:
            writer.commit()
        seconds += time.perf_counter() - start
        cpu += time.process_time() - before
    start, before = time.perf_counter(), time.process_time()
    writer.commit()
    seconds += time.perf_counter() - start
    cpu += time.process_time() - before
    served = _cpu_of(servers) - served
    start = time.perf_counter()
    writer.maintain()
    return {
        "chunks/s": round(chunks / seconds),
        "own CPU s per 1000": round(1000 * cpu / chunks, 3),
        SERVERS_CPU: round(1000 * served / chunks, 3),
        "maintain s": round(time.perf_counter() - start, 1),
    }


def _cpu_of(pids: Sequence[int]) -> float:
    """Return the processor seconds of processes and of their children, dead and alive."""
    ticks = 0
    for pid in pids:
        ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ticks += sum(
            sum(map(int, Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11:13]))
            for child in children
            if Path(f"/proc/{child}").exists()
        )
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
    """Ingest a folder into a local store by this process and by two Ray nodes, in turn; the cluster runs already."""
    import ray
    from ray.cluster_utils import Cluster

    from rag_search.engines.workers import make_workers
    from rag_search.ingest import IngestOptions, sync_folders

    config = load_config()
    embedder = factory.make_embedder(config.settings)
    embedder.encode_documents(["warm up"])
    node = {"num_cpus": 1, "object_store_memory": 200 * 2**20}
    nodes = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    nodes.add_node(**node)
    ray.init(address=nodes.address, log_to_driver=False, logging_level="error")
    seconds: dict[str, list[float]] = defaultdict(list)
    reports = {}
    for _ in range(rounds):
        for name in ("this process", "two Ray nodes"):
            target = work / "ray-target"
            shutil.rmtree(target, ignore_errors=True)
            workers = make_workers(config, "ray") if name != "this process" else None
            start = time.perf_counter()
            with open_writer(target, manifest_of(embedder)) as writer:
                reports[name] = sync_folders(
                    writer, embedder, [folder], base=folder, options=IngestOptions(words_first=2**60), workers=workers
                )
            seconds[name].append(round(time.perf_counter() - start, 1))
            print(name, seconds[name][-1], flush=True)
    ray.shutdown()
    nodes.shutdown()
    counts = {name: (report.new, report.chunks, len(report.failed)) for name, report in reports.items()}
    return {"seconds": dict(seconds), "documents, chunks, failed": counts}


def as_markdown(results: dict[str, Any]) -> str:
    """Return the tables of all that was measured."""
    sizes = sorted((size for size in results if size.isdigit()), key=int)
    stores = [(int(size), name, results[size]["stores"]) for size in sizes for name in results[size]["stores"]]
    lines = [
        "# Stores side by side",
        "",
        "Servers, clients and this program share one machine, which had other work to do. So compare within a row of "
        "questions (each went to all stores in turn) and processor times; single milliseconds and rates are those of "
        "a busy machine.",
        "",
        *(f"* {int(size):,} chunks: {machine.line(results[size]['facts'])}" for size in sizes),
        "",
        "## Ingest of documents that are encoded already",
        "",
        "| chunks | store | chunks/s | CPU s per 1,000 chunks: this process, servers | maintain s | bytes a chunk |",
        "|---|---|---|---|---|---|",
    ]
    for size, name, all_stores in stores:
        each = all_stores[name]
        lines.append(
            f"| {size:,} | {name} | {each['chunks/s']:,} | {each['own CPU s per 1000']},"
            f" {each[SERVERS_CPU]} | {each['maintain s']} | {each['bytes a chunk']:,} |"
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
    medians = {name: statistics.median(values) for name, values in measured["seconds"].items()}
    ratio = medians["two Ray nodes"] / medians["this process"]
    lines = ["", "## Ray", "", machine.line(measured["facts"]), ""]
    lines += ["Wall seconds of one folder, in turn; the cluster ran already.", ""]
    lines += ["| who encodes | seconds | median | documents, chunks, failed |", "|---|---|---|---|"]
    for name, values in measured["seconds"].items():
        counts = ", ".join(map(str, measured["documents, chunks, failed"][name]))
        lines.append(f"| {name} | {', '.join(map(str, values))} | {medians[name]} | {counts} |")
    return [*lines, "", f"Two Ray nodes of one core take {ratio:.2f} times as long as this process; goal {RAY_GOAL}."]


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
