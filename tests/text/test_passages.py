"""Parts of a stored passage."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rag_search.records import Chunk
from rag_search.text.data_uris import without_data
from rag_search.text.passages import all_headings, body_lines, body_of, hidden_addresses, shown_part
from tests.documents.test_dialects import chunks_of

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


SCRIPTS = "<script>\n" + "var x = 1;\n" * 200 + "</script>\n"


def test_the_head_of_a_web_page_is_not_shown() -> None:
    """Head and scripts are part of the chunks around them; lines and text of a hit are those that say something."""
    page = f"<html><head>\n{SCRIPTS}</head>\n<main>\n<h1>T</h1>\n<p>One\ntwo.</p>\n{SCRIPTS}</main>\n{SCRIPTS}</html>\n"
    (chunk,) = chunks_of(page, "a.html")
    assert chunk.text == page
    assert shown_part(chunk) == (205, 208, "<main>\n<h1>T</h1>\n<p>One\ntwo.</p>\n")
    (title_only,) = chunks_of(f"<html><head><title>T</title>\n{SCRIPTS}</head><main></main></html>\n", "a.html")
    assert shown_part(title_only) == (1, 1, "T")


@pytest.mark.parametrize("passage_lines", [CHUNK.passage_lines, ()])
def test_all_of_a_short_chunk_is_shown(passage_lines: tuple[int, ...]) -> None:
    assert shown_part(replace(CHUNK, passage_lines=passage_lines)) == (4, 6, TEXT)


GLOSSARY = """\
{top} Glossary

{one} Tiller

A handle.

{one} Winch

{code}
# no heading
{end}

A drum.

{two} Of wood

Old.

{one} Zinc

A rod.
"""
GLOSSARIES = {
    "glossary.md": GLOSSARY.format(top="#", one="##", two="###", code="```sh", end="```"),
    "glossary.adoc": GLOSSARY.format(top="=", one="==", two="===", code="----", end="----"),
    "glossary.org": GLOSSARY.format(top="#+TITLE:", one="*", two="**", code="#+BEGIN_SRC sh", end="#+END_SRC"),
}


@pytest.mark.parametrize("path", GLOSSARIES)
def test_small_sections_in_one_chunk_keep_their_headings(path: str) -> None:
    """The heading path of a line of a glossary is that of its entry, with headings above it, and not of code."""
    lines = GLOSSARIES[path].split("\n")
    found = {}
    for chunk in chunks_of(GLOSSARIES[path], path):
        found |= {lines[n - 1]: all_headings(chunk, n) for n in range(chunk.line_start, chunk.line_end + 1)}
    assert {line: found[line] for line in ("A handle.", "A drum.", "Old.", "A rod.")} == {
        "A handle.": ("Tiller",), "A drum.": ("Winch",), "Old.": ("Winch", "Of wood"), "A rod.": ("Zinc",),
    }  # fmt: skip
    assert found[lines[0]] == ()


def test_base64_of_data_uris_is_cut() -> None:
    text = f"![a](data:image/png;base64,{'QUJD' * 30})\n\ndata:text/plain;base64,QUJD and ;base64,{'QUJD' * 30}\n"
    assert without_data(text) == (
        f"![a](data:image/png;base64,…)\n\ndata:text/plain;base64,QUJD and ;base64,{'QUJD' * 30}\n"
    )
