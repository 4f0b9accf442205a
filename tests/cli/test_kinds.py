"""What the report says about files that are not read."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.project import Run


def test_other_kinds_are_told_in_one_line(project: Path, run: Run) -> None:
    for name in ("a.png", "b.png", "notes.txt"):
        (project / "docs" / name).write_text("x", "utf-8")
    done = run("ingest", "docs")
    assert "skipped 3 files: .png 2, .txt 1 (--include '*.txt' reads .txt)" in done.err
    report = json.loads(run("ingest", "docs", "--include", "*.txt", "--exclude", "deep/", "--json").out)
    assert (report["new"], report["removed"], report["unread"]) == (1, 1, {".png": 2})
    assert run("ingest", "docs", "--exclude", "[").code == 2


def test_patterns_in_the_settings_hold_for_every_ingest(project: Path, run: Run) -> None:
    (project / "ragsearch.toml").write_text('[ingest]\ninclude = ["*.txt"]\n', "utf-8")
    (project / "docs" / "notes.txt").write_text("The anchor weighs nine kilograms.\n", "utf-8")
    assert run("ingest", "docs").code == 0
    assert "notes.txt:1" in run("query", "how heavy is the anchor", "--format", "files", "--no-server").out
