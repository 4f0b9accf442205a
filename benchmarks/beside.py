"""Compare this tree with another commit, by processor time and bytes, in alternating runs.

    python -m benchmarks.beside REV [--rounds 3] [--chunks 100000] [--files 5000]

Both trees run in this Python environment, each with a cache of its own. The other commit is checked out into a
temporary worktree. Writes benchmarks/results/beside.md and .json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.machine import facts, line

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results")
QUESTION = "如何解决Redis连接超时"
WARM_QUESTIONS = 20
ROWS = {  # key: what it is, unit
    "index_bytes": ("index of the documents", "bytes"),
    "ingest_s": ("ingest of the documents", "s"),
    "ingest_peak_mb": ("ingest, peak memory", "MB"),
    "pass_ms": ("`python -c pass`", "ms"),
    "cold_ms": ("cold query, whole process", "ms"),
    "cold_anonymous_mb": ("cold query, anonymous memory", "MB"),
    "client_ms": ("query through a server: client", "ms"),
    "both_ms": ("query through a server: client and server", "ms"),
    "question_ms": ("a new question in a warm process", "ms"),
    "rerank_ms": ("rerank of 50 stored candidates", "ms"),
    "bm25_mean_ms": ("BM25, mean", "ms"),
    "bm25_p95_ms": ("BM25, p95", "ms"),
    "sync_ms": ("sync of an unchanged tree", "ms"),
}
_ANONYMOUS = (  # the command line ends by os._exit, which runs no exit handlers
    "import atexit, os, sys\n"
    "def tell():\n"
    "    lines = open('/proc/self/status').read().split('\\n')\n"
    "    print(next(x.split()[1] for x in lines if x.startswith('RssAnon')), file=sys.stderr, flush=True)\n"
    "atexit.register(tell)\n"
    "leave = os._exit\n"
    "os._exit = lambda code: (tell(), leave(code))\n"
)


@dataclass(frozen=True)
class Tree:
    """One tree. work: its cache, indexes and documents."""

    name: str
    root: Path
    work: Path

    @property
    def index(self) -> str:
        """The index of the bundled corpus."""
        return str(self.work / "corpus")

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its processes. Compiled modules are kept, as those of an installation are."""
        left_out = ("RAGSEARCH_", "PYTHONDONTWRITEBYTECODE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        own = {"XDG_CACHE_HOME": self.work / "cache", "PYTHONPYCACHEPREFIX": self.work / "compiled"}
        own |= {"RAGSEARCH_INDEX": Path(self.index)}  # so that a query is of words alone
        return {**kept, "PYTHONPATH": str(self.root), **{name: str(path) for name, path in own.items()}}

    def command(self, *arguments: str, before: str = "") -> list[str]:
        """Return the command line of `ragsearch` in this tree, without pip's wrapper. before: code that runs first."""
        module = "entry" if (self.root / "rag_search" / "cli" / "entry.py").exists() else "app"
        return [sys.executable, "-c", f"{before}from rag_search.cli.{module} import main; main()", *arguments]

    def job(self, *arguments: str) -> dict[str, Any]:
        """Run a job of beside_job.py."""
        command = [sys.executable, str(Path(__file__).with_name("beside_job.py")), *arguments]
        done = subprocess.run(command, env=self.environment, cwd=self.work, capture_output=True, text=True, check=True)
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result


@dataclass(frozen=True)
class Usage:
    """One process. cpu: seconds of user and system time. peak: kilobytes."""

    cpu: float
    peak: int
    output: str
    errors: str


def measure(command: Sequence[str], tree: Tree) -> Usage:
    """Run a process and return what it used. Exit code 1 (nothing found) is fine, too."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, env=tree.environment, cwd=tree.work, stdout=out, stderr=err)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    if process.returncode not in (0, 1):
        raise SystemExit(f"{tree.name}: {' '.join(command)} ended with {process.returncode}\n{texts[1]}")
    return Usage(used.ru_utime + used.ru_stime, used.ru_maxrss, *texts)


@contextmanager
def checked_out(revision: str, folder: Path) -> Iterator[Path]:
    """Check the other commit out into a worktree that goes afterwards."""
    place = folder / "tree"
    subprocess.run(["git", "-C", ROOT, "worktree", "add", "--detach", place, revision], check=True, capture_output=True)
    try:
        yield place
    finally:
        subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", place], check=True)


@contextmanager
def server(tree: Tree, port: int) -> Iterator[int]:
    """Start `ragsearch serve` and yield its process id once a query goes through it."""
    command = tree.command("serve", "--port", str(port), "--index", tree.index)
    with subprocess.Popen(
        command, env=tree.environment, cwd=tree.work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait_for(port)
            yield process.pid
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    """Return when a server listens, and two seconds later, when it has announced itself."""
    for _ in range(240):
        time.sleep(0.5)
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            time.sleep(2)
            return
    raise SystemExit(f"no server listens on port {port}")


def cpu_of(pid: int) -> float:
    """Return the processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_round(tree: Tree, number: int, questions: Sequence[str]) -> dict[str, float]:
    """Measure the short rows once."""
    values: dict[str, float] = {}
    values["pass_ms"] = measure([sys.executable, "-c", "pass"], tree).cpu * 1e3
    query = ("query", QUESTION)  # no server runs yet
    measure(tree.command(*query), tree)
    values["cold_ms"] = measure(tree.command(*query), tree).cpu * 1e3
    told = measure(tree.command(*query, before=_ANONYMOUS), tree).errors.split()
    values["cold_anonymous_mb"] = int(told[-1]) / 1024
    values |= tree.job("warm", tree.index, str(tree.work / "questions.json"))
    with server(tree, 18500 + number) as pid:
        measure(tree.command(*query), tree)
        before, clients = cpu_of(pid), []
        for question in questions:
            clients.append(measure(tree.command("query", question), tree).cpu)
        values["client_ms"] = statistics.median(clients) * 1e3
        values["both_ms"] = values["client_ms"] + (cpu_of(pid) - before) * 1e3 / len(questions)
    return values


def run_once(tree: Tree, docs: Path, chunks: int, files: int) -> dict[str, Any]:
    """Measure the long rows."""
    shutil.copytree(docs, tree.work / "docs")
    first = tree.work / "first"
    first.mkdir()
    (first / "first.md").write_text("# First\n\nThe model is converted by the first ingest.\n", "utf-8")
    measure(tree.command("ingest", "first", "--index", str(tree.work / "converted")), tree)
    used = measure(tree.command("ingest", "docs", "--index", tree.index), tree)
    values: dict[str, Any] = {"ingest_s": used.cpu, "ingest_peak_mb": used.peak / 1024}
    values["index_bytes"] = sum(file.stat().st_size for file in Path(tree.index).iterdir())
    return values | tree.job("words", str(tree.work), str(chunks)) | tree.job("sync", str(tree.work), str(files))


def main() -> None:
    """Measure both trees and write the table."""
    parser = argparse.ArgumentParser(description="Compare this tree with another commit.")
    parser.add_argument("revision")
    parser.add_argument("--docs", type=Path, default=ROOT / "corpus" / "docs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--files", type=int, default=5_000)
    options = parser.parse_args()
    lines = (ROOT / "corpus" / "queries.jsonl").read_text("utf-8").split("\n")
    questions = [json.loads(text)["text"].lstrip("[") for text in lines if text]
    with tempfile.TemporaryDirectory() as folder, checked_out(options.revision, Path(folder)) as other:
        trees = [Tree("this", ROOT, Path(folder) / "this"), Tree(options.revision, other, Path(folder) / "other")]
        results: list[dict[str, list[float]]] = []
        digests = []
        for tree in trees:
            tree.work.mkdir()
            (tree.work / "questions.json").write_text(json.dumps(questions[:WARM_QUESTIONS]), "utf-8")
            once = run_once(tree, options.docs, options.chunks, options.files)
            digests.append(once.pop("digest"))
            results.append(defaultdict(list, {name: [value] for name, value in once.items()}))
        for number in range(options.rounds):
            for place, tree in enumerate(trees):
                few = questions[number * 5 : number * 5 + 5]
                for name, value in run_round(tree, 2 * number + place, few).items():
                    results[place][name].append(value)
            medians = [{name: statistics.median(values) for name, values in result.items()} for result in results]
            write(medians, options, rounds=number + 1, same_bm25=digests[0] == digests[1])


def write(medians: Sequence[dict[str, float]], options: argparse.Namespace, *, rounds: int, same_bm25: bool) -> None:
    """Write the table of both trees and their ratios after so many rounds."""
    this, other = medians
    rows = [f"| what | {options.revision} | this tree | ratio |", "|---|---:|---:|---:|"]
    for key, (what, unit) in ROWS.items():
        digits = 0 if unit == "bytes" else 1
        cells = [f"{value[key]:,.{digits}f} {unit}" for value in (other, this)]
        rows.append(f"| {what} | {cells[0]} | {cells[1]} | {this[key] / other[key]:.2f} |")
    equal = "equal" if same_bm25 else "NOT equal"
    note = (
        f"Processor time of user and system, medians of {rounds} alternating rounds (ingest, BM25 and sync: "
        f"one each). Documents: {_describe(options.docs)}. "
        f"BM25 over {options.chunks:,} chunks; ids and scores are {equal}. Sync of {options.files:,} files."
    )
    text = "\n".join([f"# Beside {options.revision}", "", *rows, "", note, "", line(facts())])
    (RESULTS / "beside.md").write_text(text + "\n", "utf-8")
    data = {"revision": options.revision, "this": this, "other": other, "where": facts()}
    (RESULTS / "beside.json").write_text(json.dumps(data, indent=2) + "\n", "utf-8")
    print(text)


def _describe(docs: Path) -> str:
    """Return the number and the size of the Markdown files in a folder."""
    sizes = [file.stat().st_size for file in docs.rglob("*.md")]
    return f"{len(sizes):,} files, {sum(sizes):,} bytes"


if __name__ == "__main__":
    main()
