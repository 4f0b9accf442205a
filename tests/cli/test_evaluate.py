"""`ragsearch evaluate` as a person meets it, on a set of two pages."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rag_search.errors import pip_install
from tests.support.project import Run

ARGS = ("--format", "json", "--systems", "dense")


@pytest.fixture
def judged(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The documents of the project as a set."""
    rows = [{"_id": "q1", "text": "Redis 连接超时"}, {"_id": "q2", "text": "kafka consumer lag"}]
    (project / "queries.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    (project / "qrels.tsv").write_text("q1\tredis.md\t1\nq2\tdeep/kafka.md\t1\n", "utf-8")
    return project


def test_a_set_that_is_a_link_is_measured_like_the_folder(judged: Path, run: Run) -> None:
    link = judged.with_name("link")
    link.symlink_to(judged)
    (system,) = json.loads(run("evaluate", str(link), *ARGS).out)["systems"]
    assert system["metrics"]["top1"] == 1.0


def test_a_set_without_its_documents_is_a_clear_error(judged: Path, run: Run) -> None:
    """A set that has lost its documents is reported in the terms of `evaluate`."""
    assert run("evaluate", str(judged), *ARGS).code == 0
    for path in (judged / "docs").rglob("*.md"):
        path.unlink()
    done = run("evaluate", str(judged), *ARGS)
    assert (done.code, "no documents under" in done.err, "--allow-empty" in done.err) == (2, True, False)
    assert f"Put the documents of the set into {judged / 'docs'}" in done.err


def test_judged_documents_that_are_not_in_the_set_are_said(judged: Path, run: Run) -> None:
    """A path that is judged but not there is named; if that is so for all, there is nothing to measure."""
    qrels = judged / "qrels.tsv"
    qrels.write_text("q1\tredis.md\t1\nq2\tdocs/deep/kafka.md\t1\n", "utf-8")
    done = run("evaluate", str(judged), *ARGS)
    assert (done.code, json.loads(done.out)["absent_documents"]) == (0, ["docs/deep/kafka.md"])
    assert "not in the set: 1 judged document, such as docs/deep/kafka.md" in done.err
    qrels.write_text("q1\tdocs/redis.md\t1\n", "utf-8")
    done = run("evaluate", str(judged), *ARGS)
    assert (done.code, "'docs/redis.md'" in done.err, "relative to docs/" in done.err) == (2, True, True)


def test_a_folder_for_reports_is_made_first(judged: Path, run: Run) -> None:
    """A report that cannot be written is said before an hour of measuring."""
    (judged / "taken").write_text("a file", "utf-8")
    (judged / "queries.jsonl").write_text("not read", "utf-8")
    done = run("evaluate", str(judged), *ARGS, "--out", str(judged / "taken"))
    assert (done.code, "File exists" in done.err, done.out) == (2, True, "")


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    """After the README's first install, `evaluate` says what to install."""
    code = "import sys; sys.modules['ir_measures'] = None; from rag_search.cli.app import main; main()"
    command = [sys.executable, "-c", code, "evaluate", "."]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    said = f"error: the package 'ir_measures' is not installed.\n  Run: {pip_install('eval')}\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


@pytest.mark.parametrize("systems", ["", " , "])
def test_no_system_is_an_error(judged: Path, run: Run, systems: str) -> None:
    done = run("evaluate", str(judged), "--systems", systems)
    assert (done.code, done.out) == (2, "")
    assert "Use some of: dense, bm25, hybrid, rerank." in done.err


def test_evaluate_offers_no_index_since_it_makes_its_own(run: Run) -> None:
    assert "--index" not in run("evaluate", "--help").out
