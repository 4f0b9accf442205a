"""Radicals that a PDF reader returns are found by the characters that people type."""

import unicodedata

from rag_search.chunking.passage import passage_of
from rag_search.text.evidence import normalise
from rag_search.text.query import parse_query
from rag_search.text.radicals import unify
from rag_search.text.terms import terms

# what pypdf 7.1 reads from a page of Chromium in Noto Sans CJK SC, and what was printed
READ = "⽤⼾⼿册：⻚⾯⻓度，⻔⼾，⻋辆⻛险，⻩⾊⻰⻥⻦"
PRINTED = "用户手册：页面长度，门户，车辆风险，黄色龙鱼鸟"


def test_terms_are_those_of_the_characters() -> None:
    """BM25 counts the same terms; NFKC alone would leave ten of the characters apart."""
    assert terms(READ) == terms(PRINTED)
    assert unicodedata.normalize("NFKC", READ) != PRINTED


def test_models_read_the_characters() -> None:
    """Passages and questions hold characters, each in the place of its radical."""
    passage = passage_of(READ, [(READ, 7)])
    assert unicodedata.normalize("NFKC", passage.text) == unicodedata.normalize("NFKC", f"{PRINTED}\n{PRINTED}")
    assert (passage.lines, len(passage.text)) == ((0, 7), 2 * len(READ) + 1)
    assert parse_query("⻚").text == "页"
    assert normalise(READ) == normalise(PRINTED)


def test_other_text_stays() -> None:
    """Parts that are never written alone, Kangxi radicals that NFKC knows, and other scripts are left alone."""
    for text in ("⺅⺡", "⼀⼈", "plain", "ü 한국어", ""):
        assert unify(text) == text
