"""Measure how soon an ingest of a folder can be asked: by words, and at the end by meaning.

    python -m benchmarks.first_answer [FOLDER]      (default: the bundled corpus)

A process ingests the folder into a new index; beside it, readers open the index until it holds documents, and until it
holds all words. Times are of the ingest's processor, so that a busy machine changes them little. Writes
benchmarks/results/first_answer.md and .json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.beside import cpu_of
from rag_search.errors import RagSearchError
from rag_search.index import IndexReader, open_reader
from tests.support.machine import facts, line

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results")
POLL_S = 0.1


def measure(docs: Path, index: Path) -> dict[str, float]:
    """Ingest `docs` into `index` and return processor seconds until each stage, sizes, and the peak of memory."""
    files = sum(1 for _ in docs.rglob("*.md"))
    command = [sys.executable, "-m", "rag_search", "ingest", str(docs), "--index", str(index), "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    values: dict[str, float] = {"files": files, "bytes": sum(file.stat().st_size for file in docs.rglob("*.md"))}
    used = 0.0
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        used = cpu_of(process.pid)
        _note(values, index, used, files=files)
        time.sleep(POLL_S)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the ingest ended with {process.returncode}")
    with open_reader(index) as reader:
        values["passages"] = reader.chunk_count
    values["whole_s"] = usage.ru_utime + usage.ru_stime
    values["peak_mb"] = usage.ru_maxrss / 1024
    return values


def _note(values: dict[str, float], index: Path, used: float, *, files: int) -> None:
    """Note the time at which the first documents are there, and the one at which all are."""
    try:
        with open_reader(index) as reader:
            if "first_s" not in values and _has_answer(reader):
                values["first_s"] = used
            if "words_s" not in values and reader.counts.documents == files:
                values["words_s"] = used
    except RagSearchError:  # not there yet
        pass


def _has_answer(reader: IndexReader) -> bool:
    return bool(reader.chunk_count) and bool(len(reader.search_lexical(["the", "的"], 1)[0]))


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description="Measure how soon an ingest can be asked.")
    parser.add_argument("docs", nargs="?", type=Path, default=ROOT / "corpus" / "docs")
    docs = parser.parse_args().docs
    with tempfile.TemporaryDirectory() as folder:
        values = measure(docs, Path(folder) / "index")
    rows = ["| until | processor time | share of the whole |", "|---|---:|---:|"]
    stages = {"first_s": "the first answer by words", "words_s": "all answers by words", "whole_s": "all by meaning"}
    for key, stage in stages.items():
        rows.append(f"| {stage} | {values[key]:,.1f} s | {values[key] / values['whole_s']:.1%} |")
    note = (
        f"{docs.name}: {values['files']:,.0f} files, {values['bytes']:,.0f} bytes, {values['passages']:,.0f} passages. "
        f"Peak memory of the ingest: {values['peak_mb']:,.0f} MB."
    )
    text = "\n".join(["# Until the first answer", "", *rows, "", note, "", line(facts())])
    (RESULTS / "first_answer.md").write_text(text + "\n", "utf-8")
    (RESULTS / "first_answer.json").write_text(json.dumps({**values, "where": facts()}, indent=2) + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
