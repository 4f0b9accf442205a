"""The bundled corpus is what its README says: 127 documents, 130 questions, judgments, and no document like another."""

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from rag_search.evaluation.dataset import load_dataset

CORPUS = Path(__file__).parents[1] / "corpus"
DOCS = sorted((CORPUS / "docs").rglob("*.md"))
MAX_OVERLAP = 0.05  # share of the smaller document's shingles that the larger one has too
SHINGLE = 8  # tokens in a row: a word, or one CJK character
KINDS = {
    "symptom", "error", "howto", "colloquial", "constraint", "negation", "keyword", "typo", "crosslingual", "time",
    "instruction", "none",
}  # fmt: skip


def body(path: Path) -> str:
    text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    return re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)


def front_matter(path: Path) -> dict[str, object]:
    text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    match = re.match(r"---\n(.*?)\n---\n", text, flags=re.DOTALL)
    return yaml.safe_load(match.group(1)) if match else {}


def queries() -> list[dict[str, str]]:
    return [json.loads(line) for line in (CORPUS / "queries.jsonl").read_text("utf-8").split("\n") if line]


def qrels() -> list[tuple[str, str, int]]:
    lines = (CORPUS / "qrels.tsv").read_text("utf-8").split("\n")[1:]
    return [(query, path, int(grade)) for query, path, grade in (line.split("\t") for line in lines if line)]


def test_127_documents_in_three_categories() -> None:
    folders = Counter(path.relative_to(CORPUS / "docs").parts[0] for path in DOCS)
    assert len(DOCS) == 127
    assert folders == {"api": 45, "troubleshooting": 45, "best-practices": 37}


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.stem)
def test_a_document_is_well_formed(path: Path) -> None:
    head = front_matter(path)
    assert head.get("category") == path.relative_to(CORPUS / "docs").parts[0]
    assert isinstance(head.get("tags"), list)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", str(head.get("updated")))
    lines = body(path).rstrip("\n").split("\n")
    assert 50 <= len(lines) <= 270
    assert sum(bool(re.match(r"#{1,6} ", line)) for line in lines) >= 3


def test_languages_and_the_odd_ones() -> None:
    chinese = [path for path in DOCS if len(re.findall(r"[\u4e00-\u9fff]", body(path))) > 200]
    assert 90 <= len(chinese) <= 100
    raw = {path: path.read_bytes() for path in DOCS}
    assert [path for path, data in raw.items() if data.startswith(b"\xef\xbb\xbf") and b"\r\n" in data]
    assert [path for path in DOCS if "title" not in front_matter(path) and not re.search(r"^# ", body(path), re.M)]


def test_no_two_documents_share_more_than_a_few_phrases() -> None:
    shingles = {}
    for path in DOCS:
        tokens = re.findall(r"[\u4e00-\u9fff]|[a-z0-9]+", body(path).lower())
        shingles[path] = {tuple(tokens[i : i + SHINGLE]) for i in range(len(tokens) - SHINGLE)}
    worst = max(
        (len(shingles[a] & shingles[b]) / min(len(shingles[a]), len(shingles[b])), a.name, b.name)
        for a, b in combinations(DOCS, 2)
    )
    assert worst[0] < MAX_OVERLAP, worst


def test_130_questions_of_every_kind() -> None:
    rows = queries()
    assert Counter(row["split"] for row in rows) == {"test": 100, "dev": 30}
    assert len({row["_id"] for row in rows}) == 130
    kinds = Counter(row["kind"] for row in rows)
    assert set(kinds) == KINDS
    assert kinds["none"] == 10
    assert kinds["crosslingual"] >= 25
    assert min(kinds.values()) >= 8


def test_instruction_pairs_share_the_text_and_have_different_best_documents() -> None:
    best = {}
    for query, path, grade in qrels():
        if grade == 2:
            best.setdefault(query, set()).add(path)
    pairs: dict[str, list[dict[str, str]]] = {}
    for row in queries():
        if row["kind"] == "instruction":
            pairs.setdefault(row["pair"], []).append(row)
    for one, other in pairs.values():
        assert one["text"] == other["text"]
        assert one["instruction"] != other["instruction"]
        assert best[one["_id"]] != best[other["_id"]]


def test_judgments_name_questions_and_documents_that_exist() -> None:
    known = {row["_id"]: row for row in queries()}
    rows = qrels()
    assert len({(query, path) for query, path, _ in rows}) == len(rows)
    for query, path, grade in rows:
        assert known[query]["kind"] != "none"
        assert (CORPUS / "docs" / path).is_file(), path
        assert grade in (1, 2)
    answered = {query for query, _, grade in rows if grade == 2}
    assert answered == {row["_id"] for row in known.values() if row["kind"] != "none"}


def test_the_scenario() -> None:
    (scenario,) = [row["_id"] for row in queries() if row["text"] == "如何解决Redis连接超时"]
    grades = {path: grade for query, path, grade in qrels() if query == scenario}
    titles = {path: front_matter(CORPUS / "docs" / path).get("title") for path in grades}
    assert [titles[path] for path, grade in grades.items() if grade == 2] == ["连接池配置指南"]
    assert "常见错误码手册" in titles.values()
    assert "安装教程" not in titles.values()


def test_the_evaluation_reads_it() -> None:
    dataset = load_dataset(CORPUS, split="test")
    assert (len(dataset.judged), len(dataset.unanswerable)) == (92, 8)
