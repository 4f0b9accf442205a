"""What holds for every text: chunks partition it, offsets and lines are exact, the budget holds, nothing crashes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_search.chunking import chunk_document
from rag_search.records import Chunk, Document
from rag_search.text.sanitize import plain
from tests.chunking.counting import count_tokens
from tests.chunking.hostile import HOSTILE

CORPUS = Path(__file__).parents[2] / "corpus" / "docs"

FRAGMENTS = st.sampled_from(
    [
        "# Heading\n", "## 标题\n", "### \n", "Setext\n===\n", "Two\n---\n", "text ", "连接超时，请重试。",
        "A sentence. ", "\n",
        "\n\n", "\r\n", "\r", "\u2028", "\x85", "\x0b", "\t", "\0", "    code\n", "```py\nx = 1\n", "```\n",
        "~~~\n", "> ", "> quote\n", "- item\n", "  - nested\n", "1. one\n", "| a | b |\n", "|---|---|\n", "| 1 | 2 |\n",
        "<!-- hidden ", "-->", "::: tip\n",
        "<div>\n", "</div>\n", "<br/>", "[text](http://target.example/x \"t\")", "![alt](image.png)",
        "[label]: http://target.example\n", "[label]", "[", "]", "(", ")", "`", "``", "**", "*", "_", "~~", "\\",
        "&lt;", "---\n",
        "title: T\n", "...\n", ":::\n", "import X from 'y'\n", "steps:\n", "注意：\n", "e\u0301",
        "👩‍👩‍👧", "\u202e", "\ud800", "{#id}", "word" * 30,
    ]
)  # fmt: skip
MARKDOWN = st.lists(FRAGMENTS | st.text(max_size=8), max_size=60).map("".join)


def document(text: str, title: str = "Title") -> Document:
    return Document("a.md", title, text, {}, "", "")


def lines_of(text: str) -> list[str]:
    """An oracle for line ends that shares no code with the package."""
    return re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z", text)


def check(text: str, *, title: str = "Title", max_tokens: int = 256) -> list[Chunk]:
    chunks = chunk_document(document(text, title), count_tokens=count_tokens, max_tokens=max_tokens)
    if not plain(text).strip():
        assert chunks == []
        return chunks
    assert "".join(chunk.text for chunk in chunks) == text
    position = 0
    for ordinal, chunk in enumerate(chunks):
        assert (chunk.ordinal, chunk.start, chunk.end) == (ordinal, position, position + len(chunk.text))
        assert chunk.passage.strip()
        position = chunk.end
    lengths = count_tokens([chunk.passage for chunk in chunks])
    assert all(length <= max_tokens or len(chunk.text) < 64 for length, chunk in zip(lengths, chunks, strict=True))
    return chunks


def check_lines(text: str, chunks: list[Chunk]) -> None:
    lines = lines_of(text)
    ends = [sum(map(len, lines[: number + 1])) for number in range(len(lines))]
    for chunk in (chunk for chunk in chunks if chunk.text.strip()):
        first = chunk.start + len(chunk.text) - len(chunk.text.lstrip())
        last = chunk.start + len(chunk.text.rstrip()) - 1
        assert chunk.line_start == 1 + sum(end <= first for end in ends)
        assert chunk.line_end == 1 + sum(end <= last for end in ends)


@given(text=MARKDOWN, max_tokens=st.sampled_from([16, 17, 24, 40, 256]), title=st.text(max_size=300).map("T{}".format))
@settings(max_examples=300, deadline=None)
def test_random_markdown(text: str, max_tokens: int, title: str) -> None:
    check_lines(text, check(text, title=title, max_tokens=max_tokens))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text(name: str) -> None:
    check(HOSTILE[name](3000), max_tokens=64)


@pytest.mark.parametrize("path", sorted(CORPUS.rglob("*.md")), ids=lambda path: path.name)
def test_corpus_document(path: Path) -> None:
    text = path.read_bytes().decode("utf-8")
    check_lines(text, check(text, title=path.stem))


@pytest.mark.slow
@pytest.mark.skipif("RAGSEARCH_DATA" not in os.environ, reason="RAGSEARCH_DATA names no folder of evaluation sets")
def test_documents_of_the_evaluation_sets() -> None:
    paths = sorted(Path(os.environ["RAGSEARCH_DATA"]).rglob("*.md"))
    assert paths
    for path in paths:
        text = path.read_bytes().decode("utf-8-sig")
        check_lines(text, check(text, title=path.stem))
