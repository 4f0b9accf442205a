"""Measure how time, memory and disk grow with the index: 1,000 to 1,000,000 chunks.

    python -m benchmarks.growth [corpus/docs] [--sizes 1000,10000,100000,1000000] [--work DIR] [--keep]

Each size is a folder of synthetic Markdown (see synthetic.py) and its index. Every figure comes from its own process:
storing (what the writer takes; embedding grows with the tokens and is in floors.md), syncing again when one file
of the folder has changed, and asking questions with the builtin engine, both stages. Results: growth.md, growth.json
and growth.svg. With --keep the indexes stay in the work folder: another run asks them again, and vectors_million.py
uses the largest.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
import numpy as np

from benchmarks import synthetic
from rag_search.embed.builtin.embedder import BuiltinEmbedder
from rag_search.engines.open import manifest_of
from rag_search.index import open_reader, open_writer
from rag_search.ingest import IngestOptions, plan_sync, sync_folders
from rag_search.rerank.late_interaction import LateInteractionReranker
from rag_search.search.searcher import Searcher
from tests.support import machine

WORK = Path("/tmp/ragsearch-growth")
SIZES = (1_000, 10_000, 100_000, 1_000_000)
WARM_UP = 50  # questions
CHANGES = 5
STAGES = ("embed", "dense", "lexical", "fuse", "fetch", "rerank", "total")
LEAST_SHOWN = 1e-3  # in the plot
FASTER = 1.3  # a figure that grows more than this much faster than the index is pointed out

Figures = dict[str, float]


def main() -> None:
    """Measure every size and write table and plot."""
    arguments = _parse_arguments()
    if arguments.phase:
        print(json.dumps(PHASES[arguments.phase](arguments)))
        return
    arguments.work.mkdir(parents=True, exist_ok=True)
    known = json.loads(arguments.results.read_text()) if arguments.add else {"sizes": {}}
    measured = {str(size): measure(size, arguments) for size in arguments.sizes}
    sizes = {size: (known["sizes"] | measured)[size] for size in sorted(known["sizes"] | measured, key=int)}
    stored = {"schema": 1, "facts": machine.facts(), "sizes": sizes}
    arguments.results.write_text(json.dumps(stored, indent=2) + "\n")
    text = as_markdown(stored)
    arguments.results.with_suffix(".md").write_text(text)
    plot(stored, arguments.results.with_suffix(".svg"))
    print(text)


def measure(size: int, arguments: argparse.Namespace) -> Figures:
    """Measure all phases of one size, each in its own process."""
    figures: Figures = {}
    for phase in PHASES:
        command = [sys.executable, "-m", "benchmarks.growth", str(arguments.folder), "--work", str(arguments.work)]
        run = subprocess.run(
            [*command, "--sizes", str(size), "--phase", phase], check=True, stdout=subprocess.PIPE, text=True
        )
        figures |= json.loads(run.stdout)
    print(size, json.dumps(figures), file=sys.stderr, flush=True)
    if not arguments.keep:
        shutil.rmtree(arguments.work / str(size))
    return figures


def stored(arguments: argparse.Namespace) -> Figures:
    """Write folder and index; return the seconds of the writer, and of the approximate cache if it is due."""
    size, place, embedder, seeds = _world(arguments)
    known = place / "stored.json"
    if known.exists():
        return cast("Figures", json.loads(known.read_text()))
    seconds, maintain = store(place, size, embedder, seeds)
    files = {file.suffix.strip("."): file.stat().st_size / 2**20 for file in (place / "index").iterdir()}
    figures = {
        "store_s": seconds, "maintain_s": maintain,
        "store_peak_mb": machine.memory_mb()["peak"], "disk_mb": sum(files.values()),
        **{f"disk_{kind}_mb": files[kind] for kind in ("db", "f16", "u3", "i32", "faiss", "bm25") if kind in files},
    }  # fmt: skip
    known.write_text(json.dumps(figures))
    return figures


def store(place: Path, size: int, embedder: BuiltinEmbedder, seeds: synthetic.Seeds) -> tuple[float, float]:
    """Make folder and index in `place`; return the seconds of storing and of what follows it."""
    shutil.rmtree(place, ignore_errors=True)
    with open_writer(place / "index", manifest_of(embedder)) as writer:
        writer.set_chunking(IngestOptions().chunking)  # else a sync cuts all documents anew
        seconds = synthetic.store(writer, synthetic.with_files(synthetic.documents(seeds, size), place))
        start = time.perf_counter()
        writer.maintain()
        return seconds, time.perf_counter() - start


def change(arguments: argparse.Namespace) -> Figures:
    """Sync the folder after no change and after one changed file; return medians, walk included."""
    _size, place, embedder, _seeds = _world(arguments)
    file = place / "docs" / "000" / "0000000.md"
    seconds, unchanged, plan = [], [], []
    for number in range(CHANGES):
        unchanged.append(_sync(place, embedder, expected=0))
        file.write_text(f"{file.read_text()}\nchange {number}\n")
        seconds.append(_sync(place, embedder, expected=1))
        with open_reader(place / "index") as reader:
            known = list(reader.files())
        start = time.perf_counter()
        plan_sync(known, [place / "docs"], base=place)
        plan.append(time.perf_counter() - start)
    return {
        "sync_one_changed_s": statistics.median(seconds), "sync_unchanged_s": statistics.median(unchanged),
        "walk_and_compare_s": statistics.median(plan), "sync_peak_mb": machine.memory_mb()["peak"],
    }  # fmt: skip


def _sync(place: Path, embedder: BuiltinEmbedder, *, expected: int) -> float:
    start = time.perf_counter()
    with open_writer(place / "index", manifest_of(embedder)) as writer:
        report = sync_folders(writer, embedder, [place / "docs"], base=place)
    seconds = time.perf_counter() - start
    if (report.changed, report.new, report.removed) != (expected, 0, 0):
        raise SystemExit(f"the folder and the index do not fit together: {report}")
    return seconds


def query(arguments: argparse.Namespace) -> Figures:
    """Run both stages for one question after the other, in a process that does nothing else."""
    _size, place, embedder, seeds = _world(arguments)
    embedder.encode_queries(["warm"])
    before = machine.memory_mb()["resident"]
    machine.read_once(place / "index")
    start = time.perf_counter()
    with open_reader(place / "index") as reader:
        searcher = Searcher(reader, embedder, LateInteractionReranker(embedder))
        searcher.search(seeds.questions[0])
        first = time.perf_counter() - start
        times, cpu = [], []
        for question in seeds.questions[1:]:
            start = time.process_time()
            times.append(searcher.search(question).timings_ms)
            cpu.append(1000 * (time.process_time() - start))
        memory = machine.memory_mb()
    p50, p95 = np.percentile([[each[stage] for stage in STAGES] for each in times[WARM_UP:]], [50, 95], axis=0).tolist()
    return {
        "open_and_first_query_ms": first * 1000,
        **{f"{stage}_p50_ms": value for stage, value in zip(STAGES, p50, strict=True)},
        **{f"{stage}_p95_ms": value for stage, value in zip(STAGES, p95, strict=True)},
        "cpu_p50_ms": statistics.median(cpu[WARM_UP:]),
        "query_resident_mb": memory["resident"], "query_peak_mb": memory["peak"], "engine_resident_mb": before,
    }  # fmt: skip


PHASES = {"store": stored, "change": change, "query": query}


def _world(arguments: argparse.Namespace) -> tuple[int, Path, BuiltinEmbedder, synthetic.Seeds]:
    (size,) = arguments.sizes
    embedder = BuiltinEmbedder(cache_dir=arguments.work / "engine", model="docs-e5-2")
    return size, arguments.work / str(size), embedder, synthetic.load_seeds(arguments.folder, arguments.work, embedder)


def as_markdown(stored: dict[str, Any]) -> str:
    """Render the results as Markdown."""
    sizes = [int(size) for size in stored["sizes"]]
    columns = list(stored["sizes"].values())
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = []
    for name in names:
        values = [column.get(name) for column in columns]
        cells = ["" if value is None else f"{value:,.3g}" if value < 100 else f"{value:,.0f}" for value in values]
        rows.append(f"| {name} | {' | '.join(cells)} | {_growth(sizes, values)} |")
    head = f"| figure | {' | '.join(f'{size:,}' for size in sizes)} | grows by, last step |"
    chunks = (
        f"Chunks: {synthetic.CHUNKS_PER_DOCUMENT} a document, {synthetic.TERMS_PER_CHUNK} terms and "
        f"{synthetic.TOKENS} tokens each, pooled to {synthetic.TOKEN_ROWS} vectors."
    )
    lines = ["# Growth", "", machine.line(stored["facts"]), "", chunks, "", "![growth](growth.svg)", "", head]
    return "\n".join([*lines, "|---|" + "---:|" * (len(sizes) + 1), *rows, ""])


def _growth(sizes: list[int], values: list[float | None]) -> str:
    """Return by what factor the figure grew in the last complete step, marked if the index grew less."""
    known = [(size, value) for size, value in zip(sizes, values, strict=True) if value]
    if len(known) < 2:
        return ""
    (size_before, before), (size, value) = known[-2:]
    factor = value / before
    return f"x {factor:.2g} of x {size / size_before:.3g}" + (" (!)" if factor > FASTER * size / size_before else "")


def plot(stored: dict[str, Any], path: Path) -> None:
    """Draw four panels on logarithmic axes; a dotted line grows as the index does."""
    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "ragsearch"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(11, 8), constrained_layout=True)
    panels = {
        "storing and syncing, seconds": ["store_s", "maintain_s", "sync_one_changed_s", "sync_unchanged_s"],
        "query, p50, ms": [*(f"{stage}_p50_ms" for stage in STAGES), "cpu_p50_ms"],
        "query, p95, ms": [f"{stage}_p95_ms" for stage in STAGES],
        "disk and memory, MB": ["disk_mb", "disk_db_mb", "query_resident_mb", "query_peak_mb", "store_peak_mb"],
    }
    sizes = [int(size) for size in stored["sizes"]]
    for axis, (title, names) in zip(axes.flat, panels.items(), strict=True):
        _panel(axis, title, names, sizes, list(stored["sizes"].values()))
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _panel(axis: Any, title: str, names: list[str], sizes: list[int], columns: list[Figures]) -> None:
    for name in names:
        known = [(size, column[name]) for size, column in zip(sizes, columns, strict=True) if name in column]
        if known:
            label = name.rpartition("_")[0].replace("_", " ")
            axis.plot(
                *zip(*known, strict=True),
                marker="o",
                markersize=4,
                label=label,
                linewidth=2 if "total" in name else 1.2,
            )
    shown = [column[name] for column in columns for name in names if column.get(name, 0.0) > LEAST_SHOWN]
    first = min(shown)
    axis.plot(sizes, [first * size / sizes[0] for size in sizes], ":", color="grey", label="as the index grows")
    axis.set(title=title, xscale="log", yscale="log", xlabel="chunks", ylim=(first / 2, 30 * max(shown)))
    axis.grid(visible=True, alpha=0.3)
    axis.legend(fontsize=8, loc="upper left", ncols=2)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("corpus/docs"))
    parser.add_argument("--sizes", type=lambda text: [int(part) for part in text.split(",")], default=list(SIZES))
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results") / "growth.json")
    parser.add_argument("--keep", action="store_true", help="leave folders and indexes in the work folder")
    parser.add_argument("--add", action="store_true", help="keep the other sizes that the results have")
    parser.add_argument("--phase", choices=list(PHASES), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
