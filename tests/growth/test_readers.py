"""No parser or reader of the package takes more than linear time, whatever is repeated."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import pytest
from rich.text import Text

from rag_search.chunking import chunk_document
from rag_search.documents.formats import ALL_FORMATS, DecodingError, Format
from rag_search.documents.formats.fields import json_fields, property_fields, toml_fields, yaml_fields
from rag_search.documents.gitignore import parse_rules
from rag_search.errors import RagSearchError
from rag_search.evaluation.trec import trec_token
from rag_search.records import Document
from rag_search.render.cjk_wrap import wrapped
from rag_search.render.snippet import highlights, snippet
from rag_search.runtime.foreign_json import parse_json
from rag_search.runtime.model_client import seconds_of
from rag_search.search.instructions import facets_of
from rag_search.text.dates import day_in_name, parse_since
from rag_search.text.evidence import evidence_items, normalise
from rag_search.text.query import parse_query, split_passages
from rag_search.text.sanitize import escape_json, one_line, plain, visible
from rag_search.text.scripts import main_script
from rag_search.text.sentences import split_sentences
from rag_search.text.special_tokens import neutralise
from rag_search.text.terms import terms
from tests.chunking.counting import count_tokens
from tests.chunking.hostile import HOSTILE
from tests.growth.measure import ALPHABET, SEED, growth

QUICK: Mapping[str, Callable[[str], object]] = {
    "plain": plain,
    "one_line": one_line,
    "visible": visible,
    "escape_json": escape_json,
    "terms": terms,
    "split_sentences": split_sentences,
    "snippet": lambda text: snippet(text, "redis timeout"),
    "highlights": lambda text: list(highlights(text, "redis timeout 连接")),
    "wrapped": lambda text: wrapped(Text(text), 80),
    "parse_query": parse_query,
    "split_passages": split_passages,
    "facets_of": facets_of,
    "evidence_items": evidence_items,
    "normalise": normalise,
    "parse_since": parse_since,
    "day_in_name": day_in_name,
    "main_script": main_script,
    "neutralise": neutralise,
    "trec_token": trec_token,
    "seconds_of": seconds_of,
    "parse_json": parse_json,
    "yaml_fields": yaml_fields,
    "toml_fields": toml_fields,
    "json_fields": json_fields,
    "property_fields": property_fields,
    "ignore patterns": lambda text: parse_rules(text.encode("utf-8", "replace")).decide("a/b/c.md", is_folder=False),
    "ignored paths": lambda text: parse_rules(b"*a*b/**/[a-c]?\n").decide(text, is_folder=False),
}
PARSED = [each for each in ALL_FORMATS if each.name not in ("pdf", "docx", "pptx")]


def patiently(call: Callable[[str], object]) -> Callable[[str], object]:
    """Return the call with its expected errors taken for an answer."""

    def run(text: str) -> None:
        with suppress(RagSearchError, DecodingError, ValueError):
            call(text)

    return run


def parsed(format_: Format) -> Callable[[str], Any]:
    return lambda text: format_.parse(format_.decode(text.encode("utf-8", "replace")))


def chunked(text: str) -> object:
    return chunk_document(Document("a.md", "T", text, {}, "", ""), count_tokens=count_tokens)


@pytest.mark.parametrize("name", QUICK)
def test_readers(name: str) -> None:
    """Each character alone, and a sample of pairs; the seed is in the message."""
    draw = random.Random(SEED)
    units = [*ALPHABET, *("".join(draw.sample(ALPHABET, 2)) for _ in range(20))]
    problems = [
        f"{unit!r}: {problem}"
        for unit in units
        if (problem := growth(patiently(QUICK[name]), lambda size, unit=unit: unit * (size // len(unit)) + "x"))  # type: ignore[misc]
    ]
    assert not problems, f"seed {SEED}"


def test_keys_of_many_parts_in_toml() -> None:
    """The standard library takes quadratic time for them."""
    for unit in ("-.", "[a.", "{a."):
        assert not growth(patiently(toml_fields), lambda size: f"x = {unit * (size // 2)}x = 1")  # noqa: B023
        assert not growth(patiently(toml_fields), lambda size: f"{unit * (size // 2)}x = 1")  # noqa: B023


def fails(call: Callable[[str], object], units: list[str]) -> list[str]:
    """Return which units grow too fast, at the start of a line and alone on each line."""
    found = []
    for unit in units:
        for end in ("", "\n"):
            piece = unit + end
            if problem := growth(patiently(call), lambda size: piece * (size // len(piece)) + "x"):  # noqa: B023
                found.append(f"{piece!r}: {problem}")
    return found


@pytest.mark.parametrize("format_", PARSED, ids=lambda each: each.name)
def test_formats(format_: Format) -> None:
    """A sample; the slow test has all characters."""
    assert not fails(parsed(format_), random.Random(SEED).sample(ALPHABET, 4)), f"seed {SEED}"


@pytest.mark.slow
@pytest.mark.parametrize("format_", PARSED, ids=lambda each: each.name)
def test_formats_with_all_characters(format_: Format) -> None:
    assert not fails(parsed(format_), list(ALPHABET))


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_chunks_of_hostile_texts(name: str) -> None:
    assert not growth(chunked, HOSTILE[name])


@pytest.mark.parametrize("format_", PARSED, ids=lambda each: each.name)
@pytest.mark.parametrize("opening", ["", "+++\n", "---\n"])
def test_blank_lines_of_windows(format_: Format, opening: str) -> None:
    """A pattern that takes CR LF for one line end or for two takes exponential time on a few of them."""
    assert not growth(patiently(parsed(format_)), lambda size: opening + "\r\n" * (size // 2) + "x")
