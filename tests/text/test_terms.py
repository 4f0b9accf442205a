from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_search.text.terms import MAX_TERM_CHARS, terms

CASES = {
    "maxIdleTime": ["maxidletime", "max", "idle", "time"],
    "ERR_CONN_TIMEOUT": ["err_conn_timeout", "err", "conn", "timeout"],
    "redis-cli --verbose": ["redis-cli", "redis", "cli", "verbose"],
    "spring.redis.timeout=2000": ["spring.redis.timeout", "spring", "redis", "timeout", "2000"],
    "HTTPServer2 E1001 ORA-12154": [
        "httpserver2", "http", "server", "e1001", "1001", "ora-12154", "ora", "12154",
    ],
    "C++ and C#, issue#3": ["c++", "and", "c#", "issue", "3"],
    "10.0.0.1:6379": ["10.0.0.1", "10", "6379"],
    "__init__ don't a--b": ["init", "don", "t", "a--b"],
    "连接池": ["连", "连接", "接", "接池", "池"],
    "解决Redis超时": ["解", "解决", "决", "redis", "超", "超时", "时"],
    "プール 연결": ["プ", "プー", "ー", "ール", "ル", "연", "연결", "결"],
    "Ｒｅｄｉｓ　１２３ ﬁle": ["redis", "123", "file"],
    "Café naïve Straße ÉCOLE İstanbul": ["cafe", "naive", "strasse", "ecole", "istanbul"],
    "cafe\u0301": ["cafe"],
    "Ёлка чай Ελλάδα": ["елка", "чай", "ελλαδα"],
    "العربيّة أحمد": ["العربية", "احمد"],
    "हिन्दी में": ["हिन्दी", "में"],
    "เวลา ก": ["เว", "วล", "ลา", "ก"],
    '" \t，。\u2028': [],
}  # fmt: skip


@pytest.mark.parametrize("text", CASES)
def test_terms(text: str) -> None:
    assert terms(text) == CASES[text]


@given(st.text())
def test_terms_can_be_joined_by_blanks_and_quoted(text: str) -> None:
    found = terms(text)
    assert " ".join(found).split() == found
    assert all(term and '"' not in term and len(term) <= 4 * MAX_TERM_CHARS for term in found)


@given(st.text(alphabet=st.characters(codec="ascii")))
def test_case_matters_only_for_the_parts(text: str) -> None:
    assert set(terms(text.lower())) <= set(terms(text)) | set(terms(text.swapcase())) | set(terms(text.upper()))


@pytest.mark.parametrize(
    "unit", ["a", "aB", "-_", "a-", "a..", "中", "ก", "#", "a#", "+", "\u0301\u0316", "\u0915\u094d"]
)
def test_a_long_text_ends_quickly(unit: str) -> None:
    assert len(terms(unit * 100_000)) <= 200_000


@given(st.text(alphabet=st.characters(max_codepoint=127)) | st.text(alphabet="aZbB09-_.+# \n"))
def test_ascii_text_has_the_same_terms_beside_other_text(text: str) -> None:
    """ASCII text takes a shorter way, which a character beyond ASCII turns off."""
    assert [*terms(text), "\u4e2d"] == terms(f"{text} \u4e2d")
