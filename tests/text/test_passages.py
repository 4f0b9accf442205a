"""Parts of a stored passage."""

from __future__ import annotations

from dataclasses import replace

from rag_search.records import Chunk
from rag_search.text.passages import body_lines, body_of, hidden_addresses

TEXT = "## Part\n\nSee [the guide](https://a.example/guide-7) and <https://b.example/>.\n"
PASSAGE = "Title\nPart\nSee the guide and <https://b.example/>."
CHUNK = Chunk("a.md", "Title", 0, TEXT, ("Part",), 0, len(TEXT), 4, 6, PASSAGE, passage_lines=(0, 0, 6))


def test_the_body_has_the_lines_of_the_file() -> None:
    assert body_lines(CHUNK) == [("See the guide and <https://b.example/>.", 6)]


def test_an_old_index_has_the_line_of_the_chunk() -> None:
    """Without recorded lines, title and heading path are recognised by their text, cut or not."""
    old = replace(CHUNK, passage_lines=())
    assert body_lines(old) == [("See the guide and <https://b.example/>.", 4)]
    cut = replace(old, title="A title that is long", passage="A title…\nAbove > Part\nText.")
    assert body_of(cut) == "Text."
    assert body_of(replace(old, passage="Text only.")) == "Text only."


def test_addresses_that_a_reader_does_not_see() -> None:
    assert hidden_addresses(CHUNK) == ["https://a.example/guide-7"]
