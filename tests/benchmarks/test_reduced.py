"""The reduced tree of a set: pages that answer, and others up to a size."""

from pathlib import Path

from benchmarks import reduced


def test_a_tree_keeps_what_answers_and_names(tmp_path: Path) -> None:
    """The long page that answers stays; another long one goes; sections are judged by their page."""
    source = tmp_path / "set"
    pages = {"faq/index.md": 70_000, "guide/v1.2/long.md": 70_000, **{f"guide/{n}.md": 100 for n in range(5)}}
    for name, size in pages.items():
        (source / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (source / "docs" / name).write_text("x" * size, "utf-8")
    (source / "qrels").mkdir()
    (source / "qrels" / "faq.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tfaq/index.md#s3\t1\n", "utf-8")
    (source / "queries.jsonl").write_text('{"_id": "q1", "text": "how"}\n', "utf-8")
    out = tmp_path / "out"
    reduced.reduce_tree(source, out)
    kept = {str(path.relative_to(out / "docs")) for path in (out / "docs").rglob("*") if path.is_file()}
    assert kept == pages.keys() - {"guide/v1.2/long.md"}
    assert (out / "qrels" / "pages-faq.tsv").read_text("utf-8").splitlines()[1:] == ["q1\tfaq/index.md\t1"]
    assert (out / "queries.jsonl").read_text("utf-8") == '{"_id": "q1", "text": "how"}\n'
