"""Many questions in one load, and the run file that other tools read."""

import json
from pathlib import Path

from tests.support.project import Run


def test_a_batch_is_a_list_also_of_one_question(indexed: Path, run: Run) -> None:
    Path("q.txt").write_text("kafka lag\n", "utf-8")
    (document,) = json.loads(run("query", "--batch", "q.txt", "--format", "json", "--min-score", "0").out)
    assert document["query"] == "kafka lag"


def test_a_byte_order_mark_belongs_to_no_question_and_no_passage(indexed: Path, run: Run) -> None:
    Path("q.jsonl").write_text('{"_id": "a", "text": "kafka lag"}\n', "utf-8-sig")
    (document,) = json.loads(run("query", "--batch", "q.jsonl", "--format", "json").out)
    assert document["query"] == "kafka lag"
    Path("p.txt").write_text("kafka lag\n", "utf-8-sig")
    (row,) = json.loads(run("rerank", "kafka", "p.txt", "--json").out)["results"]
    assert row["text"] == "kafka lag"


def test_a_batch_line_without_a_bottom_is_one_error(indexed: Path, run: Run) -> None:
    Path("q.jsonl").write_text('{"text": ' + "[" * 100_000 + "\n", "utf-8")
    done = run("query", "--batch", "q.jsonl")
    assert (done.code, done.out) == (2, "")
    assert "query 1 of the batch is not JSON" in done.err


def test_two_rankings_of_one_id_are_refused_in_a_run_file(indexed: Path, run: Run) -> None:
    Path("q.jsonl").write_text('{"_id": "a", "text": "kafka"}\n{"_id": "a", "text": "redis"}\n', "utf-8")
    done = run("query", "--batch", "q.jsonl", "--trec", "out.run")
    assert (done.code, done.out, "'a'" in done.err, Path("out.run").exists()) == (2, "", True, False)
    assert run("query", "--batch", "q.jsonl", "--min-score", "0", "--format", "files").code == 0


def test_a_run_file_ranks_each_document_once(project: Path, run: Run) -> None:
    parts = "".join(f"## Part {i}\n\n{'Work off the consumer lag of kafka. ' * 40}\n\n" for i in range(3))
    (project / "docs" / "long.md").write_text(f"# Lag\n\n{parts}", "utf-8")
    run("ingest", "docs")
    done = run(
        "query", "kafka lag", "--no-group", "--trec", "out.run", "-k", "9", "--min-score", "0", "--format", "csv"
    )
    rows = [line.split(" ") for line in Path("out.run").read_text("utf-8").splitlines()]
    assert done.out.count("docs/long.md") > 1
    assert sorted(row[2] for row in rows) == ["docs/backup.md", "docs/deep/kafka.md", "docs/long.md", "docs/redis.md"]
    assert [row[3] for row in rows] == ["1", "2", "3", "4"]
    assert "wrote 4 lines" in done.err
