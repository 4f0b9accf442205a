"""`python -m tests.faults [--malformed 10000]`: every fault, and the table in benchmarks/results/serve_faults.md."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from tests.faults.run import Amount, Report, run_faults
from tests.faults.table import as_markdown
from tests.support import machine

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "serve_faults.json"


def main() -> None:
    parser = argparse.ArgumentParser(description="Do everything to `ragsearch serve` that should not be done to it.")
    parser.add_argument("--documents", type=Path, default=Path("corpus/docs/troubleshooting/redis"))
    parser.add_argument("--times", type=int, default=100, help="requests of each fault")
    parser.add_argument("--malformed", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=100, help="of the flood")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--ingests", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    amount = Amount(options.times, options.malformed, options.clients, options.kills, options.ingests)
    with tempfile.TemporaryDirectory() as folder:
        report = run_faults(Path(folder), options.documents, amount, seed=options.seed)
    write(report, machine.facts() | {"command": _command(options)})
    if report.wrong:
        raise SystemExit(f"wrong answers: {', '.join(row.fault for row in report.wrong)}")


def write(report: Report, facts: dict[str, str]) -> None:
    memory = ", ".join(f"{mb:.0f} {when}" for when, mb in report.memory_mb.items())
    ending = f"Memory of the server, without mapped files, in MB: {memory}. Open files: {report.open_files}."
    text = f"{machine.line(facts)}\n\n{as_markdown(report.rows)}\n{ending}\n"
    RESULTS.with_suffix(".md").write_text(text, "utf-8")
    rows = [{"fault": r.fault, "expected": sorted(r.right), "got": dict(r.got), "wrong": r.wrong} for r in report.rows]
    measured = {"rows": rows, "memory_mb": report.memory_mb, "open_files": report.open_files}
    RESULTS.write_text(json.dumps({"schema": 1, "facts": facts, **measured}, indent=2) + "\n", "utf-8")
    print(text)


def _command(options: argparse.Namespace) -> str:
    said = {name: value for name, value in vars(options).items() if name != "documents"}
    return " ".join(["python -m tests.faults", *(f"--{name} {value}" for name, value in said.items())])


if __name__ == "__main__":
    main()
