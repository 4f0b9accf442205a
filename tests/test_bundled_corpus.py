"""The documents of the bundled corpus: 127 of them, well formed, as messy as in life, none like another."""

import re
from collections import Counter
from itertools import combinations
from urllib.parse import unquote

import pytest

from rag_search.embed.builtin.normalise import translation, words
from rag_search.embed.builtin.rust_tokenizer import load_rust_tokenizer
from rag_search.embed.builtin.weights import E5File, find_weights
from tests.support.bundled import BY_NAME, DOCS, PAGES, Page

MAX_OVERLAP = 0.03  # share of the smaller document's shingles that the larger one has too
SHINGLE = 8  # tokens in a row: a word, or one CJK character
MAX_SHARED_HEADINGS = 0.34  # of the document with fewer
LONG = 5_000  # tokens
BOM = b"\xef\xbb\xbf"
VERSIONS = {  # each in a file NAME-2021 and a file NAME-2024
    "api-auth", "ci-pipeline", "es-ilm", "kafka-cluster", "mysql-backup", "pod-security", "python-packaging",
    "redis-deploy",
}  # fmt: skip
READERS = {  # a beginner's guide: an expert's on the same subject
    "cache-for-beginners": "cache-consistency-advanced",
    "grpc-first-service": "grpc-production",
    "jwt-basics": "jwt-hardening",
    "kafka-consumer-basics": "kafka-consumer-advanced",
    "mysql-index-basics": "mysql-index-internals",
    "resources-for-beginners": "resources-expert",
    "vacuum-explained": "vacuum-wraparound",
    "vector-search-intro": "ann-index-tuning",
}


def test_127_documents_in_three_categories_and_two_languages() -> None:
    assert len(PAGES) == len({page.path.stem for page in PAGES}) == 127
    assert Counter(page.name.split("/")[0] for page in PAGES) == {
        "api": 45,
        "troubleshooting": 45,
        "best-practices": 37,
    }
    assert Counter(page.lang for page in PAGES) == {"zh": 95, "en": 32}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.stem)
def test_a_document_is_well_formed(page: Page) -> None:
    assert page.head["category"] == page.name.split("/")[0]
    tags = page.head["tags"]
    assert isinstance(tags, list)
    assert len(tags) >= 2
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", str(page.head["updated"]))
    assert 60 <= len(page.text.rstrip("\n").split("\n")) <= 250
    assert len(page.headings) >= 4


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.stem)
def test_links_between_documents_lead_somewhere(page: Page) -> None:
    for href in (str(child.attrs["href"]) for child in page.inline if child.type == "link_open"):
        file, _, anchor = unquote(href).partition("#")
        if "://" in href:
            continue
        target = BY_NAME[(page.path.parent / file).resolve().relative_to(DOCS.resolve()).as_posix()] if file else page
        assert not anchor or anchor in [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in target.headings]


def test_every_document_but_one_has_a_title_of_its_own() -> None:
    untitled = [page.path.stem for page in PAGES if "title" not in page.head and not page.has(r"^# ")]
    titles = {page.head["title"] for page in PAGES if "title" in page.head}
    assert untitled == ["ci-flaky-pull"]
    assert len(titles) == 126


def test_one_file_has_windows_line_ends_and_a_byte_order_mark() -> None:
    assert [page.path.stem for page in PAGES if page.raw.startswith(BOM)] == ["mysql-charset"]
    assert [page.path.stem for page in PAGES if b"\r" in page.raw] == ["mysql-charset"]
    raw = BY_NAME["troubleshooting/mysql/mysql-charset.md"].raw
    assert raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r")


def test_one_table_is_broken() -> None:
    broken = [page.path.stem for page in PAGES if any(len(set(cells)) > 1 for cells in page.rows)]
    assert broken == ["prometheus-query-cookbook"]


def test_markdown_is_as_messy_as_in_life() -> None:
    def count(*found: bool) -> int:
        return sum(found)

    assert count(*(any(t.type.endswith("list_open") and t.level >= 2 for t in page.tokens) for page in PAGES)) >= 8
    assert count(*(max(map(max, page.rows), default=0) >= 8 for page in PAGES)) >= 8
    assert count(*(page.has(r"^> \[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]") for page in PAGES)) >= 5
    assert count(*(page.has(r"^(:::|!!!) ?\w+") for page in PAGES)) >= 2
    assert count(*(any(t.type.startswith("html_") for t in page.tokens + page.inline) for page in PAGES)) >= 2
    fences = Counter(t.info.split()[0] for page in PAGES for t in page.tokens if t.type == "fence" and t.info.strip())
    assert set(fences) >= {
        "bash", "sql", "python", "java", "go", "lua", "js", "json", "yaml", "toml", "xml", "ini", "nginx", "http",
        "promql", "dockerfile", "protobuf", "groovy", "properties", "text",
    }  # fmt: skip


def test_seven_documents_are_longer_than_5000_tokens() -> None:
    long = [page for page in PAGES if len(page.text) > 9_000]
    file = E5File(find_weights())
    table = translation(file.normalisation())
    cut = load_rust_tokenizer(file).encode_batch_fast(
        [words(page.text, table) for page in long], is_pretokenized=True, add_special_tokens=False
    )
    assert sum(len(encoding.ids) > LONG for encoding in cut) == 7


def test_old_and_new_versions_stand_side_by_side() -> None:
    for name in VERSIONS:
        old, new = sorted((page for page in PAGES if page.path.stem.startswith(f"{name}-20")), key=lambda p: p.name)
        assert old.path.parent == new.path.parent
        for page, year in ((old, "2021"), (new, "2024")):
            assert page.path.stem == f"{name}-{year}"
            assert year in str(page.head["title"])
            assert str(page.head["updated"]).startswith(year)


def test_beginners_and_experts_have_their_own_guides() -> None:
    stems = {page.path.stem for page in PAGES}
    assert stems >= {*READERS, *READERS.values()}


def test_no_two_documents_share_more_than_a_few_phrases() -> None:
    shingles = {}
    for page in PAGES:
        tokens = re.findall(r"[\u4e00-\u9fff]|[a-z0-9]+", page.body.lower())
        shingles[page.name] = {tuple(tokens[i : i + SHINGLE]) for i in range(len(tokens) - SHINGLE + 1)}
    assert _worst_overlap(shingles)[0] < MAX_OVERLAP, _worst_overlap(shingles)


def test_no_two_documents_share_a_skeleton_of_headings() -> None:
    numbers = re.compile(r"^[\d.一二三四五六七八九十、:： ]+")
    headings = {page.name: {numbers.sub("", h).strip().lower() for h in page.headings} for page in PAGES}
    assert _worst_overlap(headings)[0] < MAX_SHARED_HEADINGS, _worst_overlap(headings)


def _worst_overlap(sets: dict[str, set]) -> tuple[float, str, str]:
    pairs = combinations(sets, 2)
    return max((len(sets[a] & sets[b]) / min(len(sets[a]), len(sets[b])), a, b) for a, b in pairs)
