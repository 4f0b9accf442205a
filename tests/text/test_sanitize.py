from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_search.text.sanitize import json_text, one_line, plain, visible

CASES = {
    "plain 文字\n\ttab": "plain 文字\n\ttab",
    "\x1b[31mred\x1b[0m": "red",
    "\x1b]0;title\x07text": "text",
    "\x1b]8;;http://a.example\x1b\\link\x1b]8;;\x1b\\": "link",
    "\x9b2Jgone": "gone",
    "a\rb\r\nc\u2028d": "a\nb\nc\nd",
    "bell\x07 nul\x00 del\x7f": "bell nul del",
    "admin\u202etxt.exe": "admintxt.exe",
    "key\u200bword\ufeff": "keyword",
    "می\u200cخواهم 👩\u200d👧": "می\u200cخواهم 👩\u200d👧",
    "\ud800half": "half",
    "tag\U000e0041\U000e007f": "tag",
}


@pytest.mark.parametrize("text", CASES)
def test_plain(text: str) -> None:
    assert plain(text) == CASES[text]


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = plain(text)
    assert not any((ord(char) < 32 and char not in "\n\t") or 0x7F <= ord(char) < 0xA0 for char in shown)
    assert plain(shown) == shown
    shown.encode("utf-8")


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert plain(line) == line


@given(st.text(), st.text())
def test_visible_text_is_one_line(text: str, other: str) -> None:
    """It removes nothing, so two texts without backslashes stay different."""
    shown = visible(text)
    assert len(shown.splitlines()) <= 1
    assert plain(shown) == shown
    if text != other and "\\" not in text + other:
        assert shown != visible(other)


@given(st.recursive(st.text() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_is_safe_and_means_the_same(value: object) -> None:
    text = json_text(value)
    assert plain(text) == text
    assert len(text.splitlines()) == 1
    assert json.loads(text) == value
