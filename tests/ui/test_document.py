"""The preview of a document: right lines marked, nothing alive in it, bounded in size and time."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_search.records import Document
from rag_search.server.ui.document import PREVIEW_CHARS, document_html
from rag_search.text.lines import LINE_END
from tests.ui import hostile
from tests.ui.html_check import visible_text

PIECES = [
    "\n",
    "\n\n",
    "- ",
    "> ",
    "    ",
    "<a ",
    "1. ",
    " ",
    "<",
    ">",
    '"',
    "'",
    "&",
    "onx=",
    "](",
    "[",
    "![",
    "`",
    "|",
]
PIECES += [
    "-",
    "x",
    "javascript:",
    "http://e/",
    "<!--",
    "-->",
    "<?",
    "]]>",
    "&#x27;",
    "\\",
    "*",
    "_",
    "~~",
    "#",
    ")",
    "]",
]


def document(text: str, *, title: str = "Title", **metadata: object) -> Document:
    return Document("docs/a.md", title, text, metadata, "2024-03-18", "hash")


def shown(text: str, first: int = 1, last: int = 1) -> str:
    return document_html(document(text), "docs/a.md", first, last)


def marked(html: str) -> str:
    """Text of the parts with the class `found`."""
    parts = re.findall(r'<(\w+)[^>]* class="found"[^>]*>(.*?)</\1>', html, re.DOTALL)
    parts += re.findall(r'<(\w+) class="found">(.*?)</\1>', html, re.DOTALL)
    return " ".join(dict.fromkeys(re.sub(r"<[^>]*>", "", part).strip() for _, part in parts))


def test_the_passage_is_marked_and_the_rest_is_not() -> None:
    text = "---\ncategory: api\n---\n# Head\n\nfirst\n\nsecond\nline\n\n- one\n- two\n\n| a |\n|---|\n| x |\n| y |\n"
    assert marked(shown(text, 6, 6)) == "first"
    assert marked(shown(text, 9, 9)) == "second\nline"
    assert marked(shown(text, 6, 9)) == "first\nsecond\nline"
    assert marked(shown(text, 12, 12)) == "two"
    assert marked(shown(text, 17, 17)) == "y"
    assert marked(shown(text, 9, 11)) == "second\nline one"


def test_head_shows_place_date_and_single_values() -> None:
    html = document_html(document("text", category="api", tags=["x"], title="T"), "docs/a.md", 7, 9)
    assert "docs/a.md:7" in html
    assert "updated: 2024-03-18" in html
    assert "category: api" in html
    assert "tags" not in html


def test_front_matter_is_no_text_and_lines_still_agree() -> None:
    for end in ("\n", "\r\n", "\r"):
        html = shown(end.join(["---", "a: 1", "---", "", "one", "", "two\u2028still two", ""]), 7, 7)
        assert marked(html) == "two still two"
        assert "a: 1" not in html


@pytest.mark.parametrize("line", range(-3, 60, 3))
def test_a_hostile_document_is_only_text(line: int) -> None:
    hostile_document = document(hostile.DOCUMENT, title=hostile.TITLE, key="<img src=x onerror=window.ran=1>")
    html = document_html(hostile_document, hostile.NAME, line, line + 2)
    text = visible_text(html)
    assert "<script>window.ran='script'</script>" in text
    assert "${window.ran='template'}" in text
    assert not {"\x1b", "\x9b", "\u202e", "\x00"} & set(html)


@given(st.text(max_size=300), st.integers(-5, 50), st.integers(-5, 50))
@settings(max_examples=150, deadline=None)
def test_any_text_gives_well_formed_inert_html(text: str, first: int, last: int) -> None:
    visible_text(shown(text, first, last))


@given(st.lists(st.sampled_from(PIECES), max_size=60), st.integers(1, 20))
@settings(max_examples=300, deadline=None)
def test_any_markdown_gives_well_formed_inert_html(parts: list[str], line: int) -> None:
    visible_text(shown("".join(parts), line, line + 3))


def test_a_long_document_is_shown_around_the_passage() -> None:
    paragraphs = [f"paragraph {i} " + "word " * 20 for i in range(5000)]
    text = "\n\n".join(paragraphs)
    html = shown(text, 2 * 2500 + 1, 2 * 2500 + 1)
    assert marked(html).startswith("paragraph 2500 ")
    assert len(html) < 3 * PREVIEW_CHARS
    above, below = (int(n.replace(",", "")) for n in re.findall(r"… ([\d,]+) lines (?:above|below)", html))
    assert above + below + len(LINE_END.findall(visible_text(html))) < len(LINE_END.findall(text)) + 400
    assert "lines above" not in shown(text, 1, 1)
    assert "lines below" not in shown(text, 9999, 9999)


def test_a_fence_longer_than_the_preview_shows_the_passage() -> None:
    text = "```\n" + "".join(f"code {i}\n" for i in range(20_000)) + "```\n"
    html = shown(text, 10_001, 10_004)
    assert "code 10000" in html
    assert len(html) < PREVIEW_CHARS


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit", ["[", "![[", "*a **a ", "](", "[a](", "<", "> ", "- ", "[][", '[a]: b "x\n', "a\n", "1. a\n"]
)
def test_the_worst_documents_take_bounded_time(unit: str) -> None:
    text = unit * (2_000_000 // len(unit))
    start = time.process_time()
    visible_text(shown(text, 1000, 1003))
    assert time.process_time() - start < 15


def test_plain_text_is_shown_line_by_line() -> None:
    """A document that is not Markdown keeps its lines and marks, and none of it is rendered."""
    text = "# not a heading\n<b>bold</b> *x*\n\nlast\n"
    html = document_html(replace(document(text), format="text"), "docs/a.txt", 2, 2)
    assert marked(html) == "&lt;b&gt;bold&lt;/b&gt; *x*"
    assert "# not a heading\n" in visible_text(html)


def test_long_plain_text_is_shown_around_the_passage() -> None:
    text = "".join(f"line {i}\n" for i in range(20_000))
    html = document_html(replace(document(text), format="text"), "docs/a.txt", 10_001, 10_002)
    assert marked(html) == "line 10000\nline 10001"
    assert len(html) < 2 * PREVIEW_CHARS and "lines above are not shown" in html
