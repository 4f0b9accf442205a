"""Measure how often the right passage is first: ragsearch and other tools on the same documents and questions.

    python -m benchmarks.peers.setup   --envs DIR
    python -m benchmarks.peers.quality --envs DIR --data DIR [--work DIR] [--only ours|TOOL ...] [--sets SET ...]

`data` holds the large sets in BEIR layout. Writes results/peers_quality.json and .md; with --only, the rows of the
other tools stay as they are in the JSON, so a new encoder of ours costs a minute a set.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs

from benchmarks.peers.data import ENGLISH, REDUCED, BenchSet, bundled_corpus, reduced_set
from benchmarks.peers.protocol import read_json, write_json
from benchmarks.peers.quality_report import write_report
from benchmarks.peers.running import NotRun, Task, Tool, run_worker
from benchmarks.peers.vectors import SharedVectors, served
from rag_search import api
from rag_search.embed.builtin.embedder import physical_cores
from rag_search.evaluation.evaluate import SYSTEMS
from rag_search.evaluation.metrics import bootstrap_interval, mean, per_query
from rag_search.records import System

RESULTS = Path(__file__).parents[1] / "results"
OURS = "ours"
ZERO_SHOT = "zero-shot"  # our pipeline over the weights that the peers have
TUNED = "BM25 tuned"

TOOLS = {
    "lexical": Tool("lexical", "lexical", ("bm25s", "tantivy")),
    "tuned": Tool("lexical", "lexical", (TUNED,)),
    "sbert": Tool("sbert", "sbert", ("sentence-transformers + FAISS",)),
    "minilm": Tool("sbert", "sbert", ("sentence-transformers + FAISS, MiniLM",), sets=ENGLISH),
    "txtai": Tool("txtai", "txtai", ("txtai", "txtai hybrid")),
    "haystack": Tool("haystack", "haystack", ("Haystack", "Haystack hybrid")),
    "llamaindex": Tool("llamaindex", "llamaindex", ("LlamaIndex + FAISS",)),
    "chroma": Tool("chroma", "chroma", ("Chroma",)),
    "fastembed": Tool("fastembed", "fastembed", ("Qdrant + fastembed",)),
    "litesearch": Tool("litesearch", "litesearch", ("litesearch",)),
    "semble": Tool("semble", "semble", ("semble, BM25 half",)),
    "qmd": Tool("qmd", "qmd", ("qmd search (BM25)",)),
}
Row = dict[str, Any]


def main() -> None:
    """Measure the tools and sets named and write the tables."""
    arguments = _parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    stored = arguments.out / "peers_quality.json"
    results = read_json(stored) if stored.exists() else {"sets": {}}
    with _address(arguments.work) as address:
        for name in arguments.sets:
            bench = bundled_corpus() if name == "corpus" else reduced_set(arguments.data, name, arguments.work)
            rows = _kept_rows(results, bench, whole=set(arguments.only) >= {OURS, ZERO_SHOT, *TOOLS})
            for tool in arguments.only:
                print(f"{name}: {tool}", file=sys.stderr, flush=True)
                rows.update(_rows(tool, bench, arguments, address))
                results["sets"][name] = _as_json(bench, rows)
                write_json(stored, results)
    write_report(arguments.out, results)


def _kept_rows(results: Mapping[str, Any], bench: BenchSet, *, whole: bool) -> dict[str, Row]:
    """Return rows of an earlier run; unless all are measured anew they must be of the same questions and documents."""
    before = results["sets"].get(bench.name)
    if before and not whole and before["made_of"] != _made_of(bench):
        sys.exit(f"{bench.name}: its documents or questions have changed since the other rows; run without --only")
    return before["rows"] if before and not whole else {}


def _rows(tool: str, bench: BenchSet, arguments: argparse.Namespace, address: str) -> dict[str, Row]:
    if tool == OURS:
        return dict(our_rows(bench, arguments.work, None, SYSTEMS))
    if tool == ZERO_SHOT:
        return dict(our_rows(bench, arguments.work, ZERO_SHOT, ("dense", "rerank")))
    if tool == "tuned":
        return guarded(TOOLS[tool], lambda: {TUNED: tuned_row(bench, arguments, address)})
    wanted = TOOLS[tool]
    if wanted.sets is not None and bench.name not in wanted.sets:
        return {}
    questions = {query.query_id: query.text for query in bench.dataset.judged}
    return guarded(
        wanted,
        lambda: {
            name: row_of(run, bench, "peer")
            for name, run in answers(wanted, wanted.variants, bench, questions, arguments, address).items()
        },
    )


def guarded(tool: Tool, make: Callable[[], dict[str, Row]]) -> dict[str, Row]:
    """Return the rows, or the reason why there are none."""
    try:
        return make()
    except NotRun as error:
        return {name: {"group": "peer", "not_run": str(error)} for name in tool.variants}


def our_rows(bench: BenchSet, work: Path, model: str | None, systems: Sequence[System]) -> Iterator[tuple[str, Row]]:
    """Measure our systems with the built-in engine; model None: the weights that ragsearch ships."""
    cache_dir = work / f"ours-{model or 'default'}"
    settings = {"profile": "builtin", "cache_dir": str(cache_dir), "embedder.model": model}
    evaluation = api.evaluate(bench.dataset.root, settings=settings, split=bench.split, systems=systems)
    for result in evaluation.systems:
        name = f"ragsearch {result.system}" + (f", {model} weights" if model else "")
        run = {key: [document for document, _ in ranking] for key, ranking in result.run.items()}
        yield name, row_of(run, bench, OURS)


def answers(
    tool: Tool,
    variants: Sequence[str],
    bench: BenchSet,
    questions: Mapping[str, str],
    arguments: argparse.Namespace,
    address: str,
) -> dict[str, dict[str, list[str]]]:
    """Map each variant to query id -> document ids, best first."""
    with _documents(bench, arguments.work) as (documents, folder):
        task = Task("rank", folder, documents, bench.markdown, questions, address)
        return run_worker(tool, arguments.envs, task, variants=variants, threads=physical_cores()).answers


def tuned_row(bench: BenchSet, arguments: argparse.Namespace, address: str) -> Row:
    """Choose BM25's setting on the tuning questions (Top-1, then nDCG@10) and measure it."""
    variants = tuned_variants(arguments.envs, markdown=bench.markdown)
    asked = {query.query_id: query.text for query in (*bench.tuning.judged, *bench.dataset.judged)}
    runs = answers(TOOLS["tuned"], variants, bench, asked, arguments, address)

    def quality(variant: str) -> tuple[float, float]:
        judged = {query.query_id: bench.tuning.qrels[query.query_id] for query in bench.tuning.judged}
        values = per_query({key: runs[variant][key] for key in judged}, judged)
        return mean(values["top1"]), mean(values["ndcg@10"])

    best = max(variants, key=quality)
    where = "the dev split" if bench.tuning is not bench.dataset else "these very questions, in its favour"
    note = f"{best.removeprefix(TUNED + ': ')}; best of {len(variants)} settings on {where}"
    return row_of(runs[best], bench, "peer") | {"note": note}


@cache
def tuned_variants(envs: Path, *, markdown: bool) -> list[str]:
    """Return the names of the settings from the module that defines them, which imports only in its environment."""
    import subprocess

    code = "from benchmarks.peers.systems.lexical import VARIANTS; print('\\n'.join(VARIANTS))"
    python = envs / TOOLS["tuned"].environment / "bin" / "python"
    if not python.exists():
        raise NotRun("its environment is missing; run: python -m benchmarks.peers.setup")
    printed = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True, cwd=RESULTS.parents[1])
    names = [name for name in printed.stdout.split("\n") if name.startswith(TUNED)]
    return [name for name in names if markdown or ", sections," not in name]


def row_of(run: Mapping[str, Sequence[str]], bench: BenchSet, group: str) -> Row:
    """Measure a run over the judged questions; per-question values are in the order of the set."""
    judged = {query.query_id: bench.dataset.qrels[query.query_id] for query in bench.dataset.judged}
    values = per_query({key: run.get(key, []) for key in judged}, judged)
    top1 = list(values["top1"].values())
    return {
        "group": group,
        **{name: mean(each) for name, each in values.items()},
        "top1_ci": list(bootstrap_interval(top1)),
        "per_query": {name: [round(values[name][key], 4) for key in judged] for name in ("top1", "ndcg@10")},
    }


def _as_json(bench: BenchSet, rows: Mapping[str, Row]) -> dict[str, Any]:
    return {"description": bench.description, "made_of": _made_of(bench), "rows": dict(rows)}


def _made_of(bench: BenchSet) -> str:
    """Hash questions and documents: only rows with the same hash are compared."""
    questions = sorted((query.query_id, query.text) for query in bench.dataset.judged)
    return hashlib.sha256(repr((questions, sorted(bench.documents.items()))).encode("utf-8", "replace")).hexdigest()


@contextmanager
def _documents(bench: BenchSet, work: Path) -> Iterator[tuple[Path, Path]]:
    """Return a file with the documents, and an empty folder for the index."""
    import tempfile

    with tempfile.TemporaryDirectory(dir=work) as folder:
        path = Path(folder, "documents.json")
        write_json(path, dict(bench.documents))
        yield path, Path(folder, "index")


@contextmanager
def _address(work: Path) -> Iterator[str]:
    work.mkdir(parents=True, exist_ok=True)
    with served(SharedVectors(work / "vectors.sqlite", ZERO_SHOT)) as address:
        yield address


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sets, tools = ("corpus", *REDUCED), (OURS, ZERO_SHOT, *TOOLS)
    parser.add_argument("--envs", type=Path, required=True, help="folder of benchmarks.peers.setup")
    parser.add_argument("--data", type=Path, required=True, help="folder of the large sets")
    parser.add_argument("--work", type=Path, default=Path(platformdirs.user_cache_dir("ragsearch")) / "peers")
    parser.add_argument("--only", nargs="+", choices=tools, default=tools)
    parser.add_argument("--sets", nargs="+", choices=sets, default=sets)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.envs, arguments.work = arguments.envs.resolve(), arguments.work.resolve()
    return arguments


if __name__ == "__main__":
    main()
