"""The contract of every format: blocks in order, edits inside the text, nothing crashes, time grows linearly."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_search.documents.formats import ALL_FORMATS, FORMATS, Block, DecodingError, Format, format_named, format_of
from rag_search.documents.formats.fields import Fields, json_fields, toml_fields, yaml_fields
from rag_search.documents.formats.visible import VisibleText
from rag_search.text.lines import line_starts
from tests.chunking.hostile import HOSTILE
from tests.chunking.test_partition import MARKDOWN

EVERY = pytest.mark.parametrize("format_", ALL_FORMATS, ids=lambda format_: format_.name)


def check(format_: Format, text: str) -> None:
    """Assert what `base.ParsedText` promises."""
    parsed = format_.parse(text)
    starts = [*line_starts(text), len(text)]
    check_blocks(parsed.blocks, 0, len(starts) - 1)
    assert all(0 <= edit.start <= edit.end <= len(text) for edit in parsed.edits)
    assert "\n" not in parsed.title
    assert all(isinstance(key, str) for key in parsed.metadata)
    visible = VisibleText(text, parsed.edits)
    inside = {line for block in parsed.blocks for line in range(block.start, block.end)}
    for line in set(range(len(starts) - 1)) - inside:
        assert not visible.between(starts[line], starts[line + 1]).strip(), f"line {line + 1} is in no block"


def check_blocks(blocks: Sequence[Block], start: int, end: int) -> None:
    """Assert that blocks are in order and disjoint, within the lines of their parent, and children are within them."""
    for block in blocks:
        assert start <= block.start < block.end <= end
        assert block.kind == "heading" or not (block.level or block.content)
        check_blocks(block.children, block.start, block.end)
        start = block.end


@EVERY
@given(text=MARKDOWN)
@settings(max_examples=100, deadline=None)
def test_any_text_is_parsed(format_: Format, text: str) -> None:
    check(format_, text)


@EVERY
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_parsed(format_: Format, name: str) -> None:
    check(format_, HOSTILE[name](2000))


@EVERY
@given(content=st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_decoded_or_refused(format_: Format, content: bytes) -> None:
    """A format returns text that it can parse, or names the problem and the remedy."""
    try:
        text = format_.decode(content)
    except DecodingError as error:
        assert error.problem and error.remedy
    else:
        assert "\0" not in text
        check(format_, text)


def seconds(format_: Format, texts: Iterable[str]) -> float:
    """Return the CPU time of parsing the texts, without that of collecting what other tests left."""
    gc.collect()
    gc.disable()
    try:
        start = time.process_time()
        for text in texts:
            format_.parse(text)
        return time.process_time() - start
    finally:
        gc.enable()


@pytest.mark.slow
@EVERY
@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_linearly(format_: Format, name: str) -> None:
    """Eight times the text takes about eight times as long; quadratic growth would be 64."""
    small = seconds(format_, [HOSTILE[name](20_000)] * 3) / 3
    large = HOSTILE[name](160_000)  # a busy machine may make one run slow, but not three
    assert any(seconds(format_, [large]) < max(1.0, 24 * small) for _ in range(3))


def test_each_suffix_has_one_format() -> None:
    assert sum(len(format_.suffixes) for format_ in ALL_FORMATS) == len(FORMATS)
    assert len({format_.name for format_ in ALL_FORMATS}) == len(ALL_FORMATS)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in FORMATS)
    assert format_of("a/B.MD").name == "markdown"
    assert format_named("of a later version").name == "markdown"


def test_plain_text_has_no_markup() -> None:
    parsed = format_named("text").parse("# not a heading\n*x*\n\n\r\nlast")
    assert (parsed.title, parsed.edits) == ("", ())
    assert [(block.start, block.end) for block in parsed.blocks] == [(0, 2), (4, 5)]


@pytest.mark.parametrize(
    ("read", "text", "values"),
    [
        (toml_fields, "title = 'T'\nn = {n}\n", {}),
        (json_fields, '{"title": "T", "n": {n}}', {}),
        (yaml_fields, "title: T\nn: {n}\n", {"title": "T", "n": "9" * 5000}),
    ],
)
def test_a_number_of_thousands_of_digits(read: Callable[[str], Fields], text: str, values: dict[str, object]) -> None:
    """Python makes no number of it: the front matter has a problem, or the value is text, and the file is read."""
    fields = read(text.replace("{n}", "9" * 5000))
    assert fields.values == values
    assert bool(fields.problem) != bool(values)
