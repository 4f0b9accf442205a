"""The questions and judgments of the bundled corpus are what its README says."""

import re
from collections import Counter, defaultdict

from rag_search.evaluation.dataset import load_dataset
from tests.support.bundled import BY_NAME, CORPUS, judgments, questions

LEAST = {  # questions of each kind
    "crosslingual": 25, "instruction": 12, "error": 8, "howto": 8, "symptom": 8, "colloquial": 8, "constraint": 8,
    "keyword": 8, "negation": 8, "time": 8, "typo": 8,
}  # fmt: skip


def best_documents() -> dict[str, set[str]]:
    best: dict[str, set[str]] = defaultdict(set)
    for query, path, grade in judgments():
        if grade == 2:
            best[query].add(path)
    return best


def test_130_questions_of_every_kind() -> None:
    rows = questions()
    assert Counter(row["split"] for row in rows) == {"test": 100, "dev": 30}
    assert len({row["_id"] for row in rows}) == 130
    assert all(row["text"].strip() for row in rows)
    kinds = Counter(row["kind"] for row in rows)
    assert kinds.pop("none") == 10
    assert set(kinds) == set(LEAST)
    assert all(kinds[kind] >= least for kind, least in LEAST.items()), kinds


def test_only_instructions_repeat_a_text() -> None:
    once = [row["text"] for row in questions() if row["kind"] != "instruction"]
    assert len(set(once)) == len(once)
    assert all(("instruction" in row) == (row["kind"] == "instruction") for row in questions())


def test_cross_lingual_answers_are_in_the_other_language() -> None:
    """Each cross-lingual question has its answers in documents of the other language."""
    rows = [row for row in questions() if row["kind"] == "crosslingual"]
    directions = Counter((row["lang"], row["target_lang"]) for row in rows)
    assert set(directions) == {("zh", "en"), ("en", "zh")}
    assert min(directions.values()) >= 10
    best = best_documents()
    for row in rows:
        assert {BY_NAME[path].lang for path in best[row["_id"]]} == {row["target_lang"]}, row["_id"]


def test_instruction_pairs_share_the_text_and_no_best_document() -> None:
    best = best_documents()
    pairs: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in questions():
        if row["kind"] == "instruction":
            pairs[row["pair"]].append(row)
    for one, other in pairs.values():
        assert (one["text"], one["split"]) == (other["text"], other["split"])
        assert one["instruction"] != other["instruction"]
        assert not best[one["_id"]] & best[other["_id"]], one["pair"]


def test_judgments_name_questions_and_documents_that_exist() -> None:
    known = {row["_id"]: row for row in questions()}
    rows = judgments()
    assert len({(query, path) for query, path, _ in rows}) == len(rows)
    for query, path, grade in rows:
        assert known[query]["kind"] != "none"
        assert path in BY_NAME
        assert grade in (1, 2)
    assert set(best_documents()) == {row["_id"] for row in known.values() if row["kind"] != "none"}


def test_the_answers_are_spread_over_the_corpus() -> None:
    best = Counter(path for paths in best_documents().values() for path in paths)
    assert len(best) >= 80
    assert {path.split("/")[0] for path in best} == {"api", "best-practices", "troubleshooting"}
    assert max(best.values()) <= 6, best.most_common(3)


def test_the_scenario() -> None:
    (scenario,) = [row["_id"] for row in questions() if row["text"] == "如何解决Redis连接超时"]
    grades = {BY_NAME[path].head["title"]: grade for query, path, grade in judgments() if query == scenario}
    assert [title for title, grade in grades.items() if grade == 2] == ["连接池配置指南"]
    assert grades["常见错误码手册"] == 1
    assert "安装教程" not in grades
    guide = next(page for page in BY_NAME.values() if page.head.get("title") == "安装教程")
    assert "Redis" in guide.body
    assert "超时" in guide.body


def test_the_readme_counts_questions_by_kind_language_and_split() -> None:
    table = re.findall(r"^\| (\w+) [^|]*\| *([\d+]*) *\| *([\d+]*) *\| *([\d+]*) *\| (\d+) \|$", _readme(), re.M)
    rows = questions()
    kinds = {row["kind"] for row in rows}
    assert {kind for kind, *_ in table} == {*kinds, "all"}
    for kind, *cells, total in table:
        of_kind = [row for row in rows if kind in ("all", row["kind"])]
        assert int(total) == len(of_kind)
        for cell, lang in zip(cells, ("zh", "en", "mixed"), strict=True):
            splits = Counter(row["split"] for row in of_kind if row["lang"] == lang)
            dev = f"+{splits['dev']}" if splits["dev"] else ""
            assert cell == (f"{splits['test']}{dev}" if splits else ""), (kind, lang)


def test_the_readme_counts_documents_and_judgments() -> None:
    counted = Counter((page.name.split("/")[0], page.lang) for page in BY_NAME.values())
    for category in ("api", "troubleshooting", "best-practices"):
        zh, en = counted[category, "zh"], counted[category, "en"]
        assert f"| {category} | {zh} | {en} | {zh + en} |" in _readme()
    grades = Counter(grade for _, _, grade in judgments())
    answering = {path for _, path, grade in judgments() if grade == 2}
    stated = (
        f"{grades[2]} judgments of grade 2 and {grades[1]} of grade 1; {len(answering)} documents answer at least one"
    )
    assert stated in _readme()


def test_the_evaluation_reads_it() -> None:
    dataset = load_dataset(CORPUS, split="test")
    assert (len(dataset.judged), len(dataset.unanswerable)) == (92, 8)


def _readme() -> str:
    return (CORPUS / "README.md").read_text("utf-8")
