"""Evaluation sets and runs as other tools write and read them."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from rag_search.errors import InputError
from rag_search.evaluation.dataset import guess_language, load_dataset, read_corpus
from rag_search.evaluation.trec import trec_run, trec_token

DOCS = [{"_id": 1, "title": "One", "text": "alpha"}, {"_id": 2, "text": "beta"}]
QUERIES = [{"_id": 7, "text": "alpha?"}, {"_id": 8, "text": "beta?"}]


def rows(*values: dict[str, object]) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def folder(tmp_path: Path, qrels: str = "7\t1\t1\n8\t2\t2\n", name: str = "qrels/test.tsv") -> Path:
    (tmp_path / "qrels").mkdir(exist_ok=True)
    (tmp_path / "corpus.jsonl").write_text(rows(*DOCS), "utf-8")
    (tmp_path / "queries.jsonl").write_text(rows(*QUERIES), "utf-8")
    (tmp_path / name).write_text(qrels, "utf-8")
    return tmp_path


EXPECTED = {"7": {"1": 1}, "8": {"2": 2}}
QRELS = {
    "integer ids": ("7\t1\t1\n8\t2\t2\n", "qrels/test.tsv"),
    "a header": ("query-id\tcorpus-id\tscore\n7\t1\t1.0\n8\t2\t2\n", "qrels/test.tsv"),
    "quoted fields": ('"query-id"\t"corpus-id"\t"score"\n"7"\t"1"\t1\n8\t"2"\t2\n', "qrels/test.tsv"),
    "four columns": ("7\t0\t1\t1\n8\t0\t2\t2\n", "qrels/test.tsv"),
    "TREC with blanks": ("7 0 1 1\n8 Q0 2 2\n7 0 2 0\n", "qrels/test.txt"),
    "JSON lines": (rows({"query-id": 7, "corpus-id": 1, "score": 1}, {"query-id": 8, "corpus-id": 2, "score": 2.0}),
                   "qrels/test.jsonl"),
}  # fmt: skip


@pytest.mark.parametrize("name", QRELS)
def test_judgments_of_other_tools(tmp_path: Path, name: str) -> None:
    dataset = load_dataset(folder(tmp_path, *QRELS[name]))
    assert dataset.qrels == EXPECTED
    assert [query.query_id for query in dataset.queries] == ["7", "8"]


@pytest.mark.parametrize("line", ["7\t1\n", "7 0 1 1 run\n", "7\t1\tgood\n7\t1\tgood\n", "7\t1\t0.5\n"])
def test_a_line_that_is_not_a_judgment_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(InputError, match=r"test.tsv:\d is not `query-id<TAB>document-id<TAB>grade`"):
        load_dataset(folder(tmp_path, line))


@pytest.mark.parametrize("line", ["{", '{"_id": ' + "[" * 100_000, '{"_id": ' + "9" * 5000 + "}", "[]"])
def test_a_row_that_is_not_json_is_named(tmp_path: Path, line: str) -> None:
    root = folder(tmp_path)
    (root / "queries.jsonl").write_text(f"{line}\n", "utf-8")
    with pytest.raises(InputError, match=r"queries\.jsonl:1 is not (a )?JSON"):
        load_dataset(root)


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:12] + b"\xff" * 20, lambda _: b"x"])
def test_a_damaged_gzip_file_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    root = folder(tmp_path)
    content = gzip.compress((root / "queries.jsonl").read_bytes())
    (root / "queries.jsonl").unlink()
    (root / "queries.jsonl.gz").write_bytes(damage(content))
    with pytest.raises(InputError, match=r"queries\.jsonl\.gz cannot be read"):
        load_dataset(root)


def test_tables_in_folders_and_with_gzip(tmp_path: Path) -> None:
    """`id` stands for `_id`, a missing title is empty, tables may be compressed or in folders of their name."""
    root = folder(tmp_path)
    (root / "corpus.jsonl").unlink()
    (root / "queries.jsonl").unlink()
    (root / "corpus").mkdir()
    (root / "corpus" / "corpus-00000.jsonl").write_text(
        rows(*[{"id": 1, "text": "a"}, {"id": 2, "text": "b"}]), "utf-8"
    )
    (root / "queries.jsonl.gz").write_bytes(gzip.compress(rows(*QUERIES).encode()))
    dataset = load_dataset(root)
    assert list(read_corpus(dataset.corpus)) == [("1", "", "a"), ("2", "", "b")]
    assert dataset.qrels == EXPECTED


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    root = folder(tmp_path)
    for name, values in (("corpus", DOCS), ("queries", QUERIES)):
        (root / f"{name}.jsonl").unlink()
        parquet.write_table(pyarrow.Table.from_pylist(values), root / f"{name}.parquet")
    dataset = load_dataset(root)
    assert list(read_corpus(dataset.corpus)) == [("1", "One", "alpha"), ("2", "", "beta")]
    assert dataset.qrels == EXPECTED


@pytest.mark.parametrize("place", ["default", "data", "qrels"])
def test_the_parquet_of_mteb(tmp_path: Path, place: str) -> None:
    """The datasets library cuts tables into parts; all of them are read, and judgments have the name of their split."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    judgments = [{"query-id": "7", "corpus-id": "1", "score": 1.0}, {"query-id": "8", "corpus-id": "2", "score": 2.0}]
    for folder_name, name, values in (
        ("corpus", "corpus", DOCS),
        ("queries", "queries", QUERIES),
        (place, "test", judgments),
    ):
        (tmp_path / folder_name).mkdir()
        for part, value in enumerate(values):
            file = tmp_path / folder_name / f"{name}-{part:05}-of-00002.parquet"
            parquet.write_table(pyarrow.Table.from_pylist([value]), file)
    dataset = load_dataset(tmp_path)
    assert [row[2] for row in read_corpus(dataset.corpus)] == ["alpha", "beta"]
    assert (dataset.qrels_name, dataset.qrels) == ("test", EXPECTED)
    assert [query.query_id for query in dataset.queries] == ["7", "8"]


def test_names_of_ir_datasets_and_pyserini(tmp_path: Path) -> None:
    """Ids are `doc_id` and `query_id`, or `id` with `contents`; topics are a table with tabs; judgments are packed."""
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text(
        rows({"doc_id": "1", "text": "alpha"}, {"id": 2, "contents": "beta"}, {"id": 3, "text": None}), "utf-8"
    )
    (tmp_path / "queries.tsv").write_bytes("\ufeffqid\ttext\r\n7\talpha?\r\n8\tbeta?\r\n".encode())
    (tmp_path / "qrels" / "test.tsv.gz").write_bytes(
        gzip.compress(b"qid\titeration\tdocid\trelevance\r\n7\t0\t1\t1\r\n8\t0\t2\t2\r\n")
    )
    dataset = load_dataset(tmp_path)
    assert list(read_corpus(dataset.corpus)) == [("1", "", "alpha"), ("2", "", "beta"), ("3", "", "")]
    assert dataset.qrels == EXPECTED
    assert [query.text for query in dataset.queries] == ["alpha?", "beta?"]
    (tmp_path / "queries.tsv").unlink()
    (tmp_path / "queries.jsonl").write_text(rows({"query_id": "7", "text": "alpha?"}), "utf-8")
    assert [query.query_id for query in load_dataset(tmp_path).queries] == ["7"]


def test_a_row_without_a_text_is_named(tmp_path: Path) -> None:
    root = folder(tmp_path)
    (root / "corpus.jsonl").write_text(rows({"_id": 1, "title": "One"}), "utf-8")
    with pytest.raises(InputError, match=r"corpus.jsonl:1 has no field 'text'"):
        list(read_corpus(load_dataset(root).corpus))


def test_a_row_without_an_id_is_named(tmp_path: Path) -> None:
    root = folder(tmp_path)
    (root / "queries.jsonl").write_text(rows({"text": "alpha?"}), "utf-8")
    with pytest.raises(InputError, match=r"queries.jsonl:1 has no field '_id'"):
        load_dataset(root)


@pytest.mark.parametrize("score", [40.77, 0.5, 1e-30, -40.77, 0.0, 1e9])
def test_ties_of_a_run_survive_32_bits(score: float) -> None:
    """The order of a run is that of its scores as trec_eval reads them."""
    lines = list(trec_run({"q": [(name, score) for name in "dcba"]}, "tag"))
    as_float32 = [struct.unpack("f", struct.pack("f", float(line.split()[4])))[0] for line in lines]
    assert as_float32 == sorted(set(as_float32), reverse=True)
    assert len(as_float32) == 4
    assert as_float32[0] == pytest.approx(score)
    assert [line.split()[2] for line in lines] == list("dcba")


def test_equal_documents_have_the_figures_of_the_report() -> None:
    """Four documents with BM25 score 40.77, the first of which is right: Success@1 is 1."""
    measures = pytest.importorskip("ir_measures")
    run = list(measures.read_trec_run("".join(trec_run({"q": [(name, 40.77) for name in "dcba"]}, "bm25"))))
    qrels = list(measures.read_trec_qrels("q 0 d 1\n"))
    assert measures.calc_aggregate([measures.Success @ 1], qrels, run) == {measures.Success @ 1: 1.0}


def test_languages_by_script() -> None:
    assert [guess_language(text) for text in ("如何", "どうやって", "how?", "как", "42")] == [
        "zh",
        "other",
        "en",
        "other",
        "other",
    ]


@pytest.mark.parametrize("char", [*" \t\n\r\x1b\x85\x9b\u202e\u2028\u3000\udcff"])
def test_an_id_is_one_field_of_one_line(char: str) -> None:
    """Whatever a path or a question's name holds, the line has six fields, and other ids stay other ids."""
    (line,) = trec_run({f"q{char}1": [(f"a{char}1 Q0 forged{char}{char}b", 0.5)]}, "tag")
    assert len(line.splitlines()) == 1
    assert len(line.split()) == 6
    assert trec_token(f"a{char}b") != trec_token(f"a{char}{char}b") != trec_token("ab")
    line.encode("utf-8")
