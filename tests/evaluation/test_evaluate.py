import json
from collections.abc import Sequence
from pathlib import Path

import ir_measures
import pytest

from rag_search.errors import InputError
from rag_search.evaluation.dataset import Dataset, guess_language, load_dataset, read_corpus
from rag_search.evaluation.evaluate import Evaluation, evaluate
from rag_search.evaluation.report import as_dict, to_markdown, write_report
from rag_search.records import EncodedQueries, SearchOptions
from rag_search.search.searcher import Searcher
from tests.support.fakes import MemoryIndex, OverlapReranker, WordEmbedder

DOCS = {"a b.md": "redis pool timeout", "kafka.md": "kafka consumer lag", "disk.md": "disk full cleanup redis"}
QUERIES = [
    {"_id": "q1", "text": "redis timeout", "kind": "howto", "split": "test"},
    {"_id": "q2", "text": "kafka 消费 lag", "kind": "symptom", "split": "test"},
    {"_id": "q 3", "text": "[disk] cleanup", "kind": "howto", "split": "test"},
    {"_id": "q4", "text": "zebra", "kind": "none", "split": "test"},
    {"_id": "q5", "text": "disk", "kind": "howto", "split": "dev"},
]
QRELS = (
    "query-id\tcorpus-id\tscore\n"
    "q1\ta b.md\t2\nq1\tdisk.md\t1\nq2\tkafka.md\t1\nq 3\tkafka.md\t1\nq 3\tdisk.md\t0\nq5\tdisk.md\t1\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "qrels").mkdir()
    rows = [{"_id": name, "title": "", "text": text} for name, text in DOCS.items()]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (tmp_path / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in QUERIES), "utf-8")
    (tmp_path / "qrels" / "test.tsv").write_text(QRELS, "utf-8")
    return tmp_path


def run(dataset: Dataset) -> Evaluation:
    embedder = WordEmbedder()
    index = MemoryIndex({name: [text] for name, text in DOCS.items()}, embedder)
    searcher = Searcher(index, embedder, OverlapReranker(cutoff=0.4))
    return evaluate(lambda: searcher, dataset, document_id=lambda path: path)


def test_a_beir_folder_is_read(folder: Path) -> None:
    dataset = load_dataset(folder, split="test")
    assert [query.query_id for query in dataset.queries] == ["q1", "q2", "q 3", "q4"]
    assert dataset.qrels["q 3"] == {"kafka.md": 1}  # grade 0 is no relevance
    assert [query.query_id for query in dataset.unanswerable] == ["q4"]
    assert next(iter(read_corpus(folder / "corpus.jsonl"))) == ("a b.md", "", "redis pool timeout")


def test_a_markdown_tree_is_judged_by_path(folder: Path) -> None:
    (folder / "qrels" / "pages-faq.tsv").write_text("q1\ta b.md\t1\n", "utf-8")
    assert load_dataset(folder, qrels="pages-faq").docs == folder / "docs"
    (folder / "qrels.tsv").write_text(QRELS, "utf-8")
    assert load_dataset(folder).docs == folder / "docs"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("qrels/test.tsv", "q1 a.md 1\nq2", "query-id<TAB>"),
        ("queries.jsonl", "{broken", "not JSON"),
        ("queries.jsonl", '["list"]', "not a JSON object"),
        ("queries.jsonl", '{"text": "no id"}', "_id"),
        ("queries.jsonl", '{"_id": "q1", "text": "x", "instruction": ["a"]}', "not text"),
        ("qrels/test.tsv", "q1\ta b.md\t0.5\n", "query-id<TAB>"),
        ("qrels/test.tsv", "q1\ta b.md\n", "query-id<TAB>"),
    ],
)
def test_a_broken_file_is_named_with_its_line(folder: Path, name: str, content: str, message: str) -> None:
    (folder / name).write_text(content, "utf-8")
    with pytest.raises(InputError, match=message) as raised:
        load_dataset(folder)
    assert f"{folder / name}:" in raised.value.message


def test_judgments_that_are_not_utf_8_are_named(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").write_bytes("q1\té.md\t1\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"test\.tsv cannot be read"):
        load_dataset(folder)


def test_a_name_beside_a_single_file_of_judgments(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").rename(folder / "qrels.tsv")
    with pytest.raises(InputError, match=r"no judgments 'dev', only qrels\.tsv\. Remove --qrels"):
        load_dataset(folder, qrels="dev")


@pytest.mark.parametrize("head", ["", "\ufeff", "query-id\tcorpus-id\tscore\n", "\ufeffq\tdoc\trelevance\r\n"])
@pytest.mark.parametrize("grade", ["1", "1.0"])
def test_every_judgment_counts_with_and_without_a_header(folder: Path, head: str, grade: str) -> None:
    (folder / "qrels" / "test.tsv").write_text(f"{head}q1\ta b.md\t{grade}\nq2\tkafka.md\t{grade}\n", "utf-8")
    assert load_dataset(folder).qrels == {"q1": {"a b.md": 1}, "q2": {"kafka.md": 1}}


def test_a_byte_order_mark_is_no_text(folder: Path) -> None:
    for name in ("corpus.jsonl", "queries.jsonl"):
        (folder / name).write_text((folder / name).read_text("utf-8"), "utf-8-sig")
    assert len(load_dataset(folder, split="test").queries) == 4
    assert next(iter(read_corpus(folder / "corpus.jsonl")))[0] == "a b.md"


def test_metadata_of_other_tools_is_let_be(folder: Path) -> None:
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "redis", "metadata": "x"}\n', "utf-8")
    (query,) = load_dataset(folder).queries
    assert (query.kind, query.lang) == ("-", "en")


@pytest.mark.parametrize("text", [" ", "x" * 20_001])
def test_a_question_that_cannot_be_asked_is_named(folder: Path, text: str) -> None:
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q1", "text": text}), "utf-8")
    with pytest.raises(InputError, match=r"queries\.jsonl: question 'q1': the query") as raised:
        load_dataset(folder)
    assert raised.value.remedy


def test_two_questions_of_one_id_are_refused(folder: Path) -> None:
    """One would overwrite the other, and the report would count both."""
    rows = [*QUERIES, {**QUERIES[0], "text": "another question"}]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with pytest.raises(InputError, match=r"queries\.jsonl: 2 questions have the id 'q1'"):
        load_dataset(folder)


def test_judgments_of_no_question_are_said(folder: Path) -> None:
    rows = [json.dumps(row) for row in QUERIES if row["kind"] != "none"]
    (folder / "queries.jsonl").write_text("\n".join(rows), "utf-8")
    (folder / "qrels" / "test.tsv").write_text("", "utf-8")
    with pytest.raises(InputError, match=r"no question of .*queries\.jsonl is judged in .*test\.tsv"):
        load_dataset(folder)


def test_missing_things_are_said_with_what_there_is(folder: Path) -> None:
    (folder / "qrels" / "faq.tsv").write_text(QRELS, "utf-8")
    with pytest.raises(InputError) as raised:
        load_dataset(folder, qrels="fqa")
    assert "faq, test" in raised.value.remedy
    with pytest.raises(InputError, match="no judged question in split 'train'"):
        load_dataset(folder, split="train")
    with pytest.raises(InputError, match="is not a folder"):
        load_dataset(folder / "nowhere")


def test_metrics_are_those_of_the_ranking(folder: Path) -> None:
    evaluation = run(load_dataset(folder, split="test"))
    by_name = {result.system: result for result in evaluation.systems}
    assert list(by_name) == ["dense", "bm25", "hybrid", "rerank"]
    assert by_name["rerank"].values["top1"] == {"q1": 1.0, "q2": 1.0, "q 3": 0.0}
    assert by_name["rerank"].metrics["top1"] == pytest.approx(2 / 3)
    assert "q4" in by_name["rerank"].refused
    assert set(by_name["dense"].latency_ms) == {"q1", "q2", "q 3", "q4"}
    assert evaluation.by(lambda query: query.kind)["howto"]["rerank"] == 0.5


def test_the_report_has_the_promised_fields(folder: Path) -> None:
    document = as_dict(run(load_dataset(folder, split="test")))
    assert (document["schema"], document["queries"], document["qrels"]) == (1, 3, "test")
    rerank = document["systems"][-1]
    assert rerank["system"] == "rerank"
    assert set(rerank["metrics"]) == {"top1", "rr@10", "ndcg@10", "r@50"}
    assert len(rerank["top1_ci"]) == 2
    assert set(rerank["latency_ms"]) == {"mean", "p50", "p95"}
    assert set(document["significance"]) == {"rerank vs dense", "rerank vs hybrid"}
    assert document["no_answer"] == {"unanswerable": 1, "refused": 1, "judged": 3, "wrongly_refused": 0}


def test_anyone_gets_the_same_figures_from_the_files(folder: Path, tmp_path: Path) -> None:
    evaluation = run(load_dataset(folder, split="test"))
    out = tmp_path / "out"
    write_report(evaluation, out)
    qrels = list(ir_measures.read_trec_qrels(str(out / "qrels.trec")))
    for result in evaluation.systems:
        ranking = [
            line for line in ir_measures.read_trec_run(str(out / f"{result.system}.run")) if line.query_id != "q4"
        ]
        measured = ir_measures.calc_aggregate([ir_measures.RR @ 10, ir_measures.nDCG @ 10], qrels, ranking)
        assert measured[ir_measures.nDCG @ 10] == pytest.approx(result.metrics["ndcg@10"])
        assert measured[ir_measures.RR @ 10] == pytest.approx(result.metrics["rr@10"])
    assert "| rerank |" in to_markdown(evaluation)


@pytest.mark.parametrize("text", ["[disk] cleanup", " [disk] cleanup", "\n\t[disk] cleanup"])
def test_brackets_of_a_dataset_are_part_of_the_question(folder: Path, text: str) -> None:
    rows = [{"_id": "q1", "text": text}]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    asked = []

    class Listening(WordEmbedder):
        def encode_queries(self, queries: Sequence[str], *, instruction: str | None = None) -> EncodedQueries:
            asked.extend((query, instruction) for query in queries)
            return super().encode_queries(queries, instruction=instruction)

    embedder = Listening()
    index = MemoryIndex({name: [text] for name, text in DOCS.items()}, embedder)
    dataset = load_dataset(folder)
    evaluate(lambda: Searcher(index, embedder), dataset, document_id=lambda path: path, systems=["dense"])
    assert asked[1:] == [("[disk] cleanup", None)] * 2  # as a user asks it, and for all of its candidates


def test_only_candidates_are_ranked(folder: Path) -> None:
    """An evaluation measures what a query sees: no document beyond the candidates of stage one."""
    embedder = WordEmbedder()
    index = MemoryIndex({name: [text] for name, text in DOCS.items()}, embedder)
    dataset = load_dataset(folder, split="test")
    options = SearchOptions(candidates=2)
    searcher = Searcher(index, embedder, OverlapReranker(cutoff=0.4))
    measured = evaluate(lambda: searcher, dataset, document_id=lambda path: path, options=options)
    assert {len(ranking) for result in measured.systems for ranking in result.run.values()} <= {0, 1, 2}


@pytest.mark.parametrize(
    ("text", "language"),
    [("redis", "en"), ("连接超时 timeout", "zh"), ("Привет", "other"), ("接続タイムアウト", "other")],
)
def test_languages_are_guessed_from_the_script(text: str, language: str) -> None:
    assert guess_language(text) == language
