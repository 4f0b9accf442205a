from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_search.embed.builtin.convert import Converted
from rag_search.embed.builtin.normalise import translation, words
from rag_search.embed.builtin.piece_table import PieceTable
from rag_search.embed.builtin.rust_tokenizer import SELDOM, RustTokenizer
from rag_search.embed.builtin.tokenizer import FEW_SELDOM, E5Tokenizer
from rag_search.embed.builtin.weights import E5File

REPOSITORY = Path(__file__).parents[2]
HOSTILE = [
    "",
    " \t\n\u3000",
    "\x00",
    "a\x00b\x01c",
    "\ud800x\udfff",
    "▁▁a▁ b ▁",
    "</s> <s> <mask> <unk> <pad>",
    "😀👨‍👩‍👧‍👦🏳️‍🌈 x",
    "e\u0301 é ﬁ ½ Ⅷ ㍿ ﷺ",
    "𓀀𓀁𓀂 ಠ_ಠ \U0010ffff\U0010fffe",
    "\u2028\u2029\u0085\u200b\ufeff\u202ex",
    "`" * 2000,
    "x" * 2000,
    "中" * 2000,
    "\u0301" * 500,
    "ab " * 700,
]
WILD = st.text(st.one_of(st.characters(), st.sampled_from("如何解决Redis连接超时，。 ▁\x00`<s>/ąß한ひ")), max_size=200)


@pytest.fixture(scope="module")
def both(e5_file: E5File) -> tuple[RustTokenizer, RustTokenizer]:
    return RustTokenizer(e5_file, is_complete=False), RustTokenizer(e5_file, is_complete=True)


def agree(tokenizer: E5Tokenizer, texts: list[str]) -> None:
    bulk = tokenizer.ids_in_bulk(texts)
    for text, expected in zip(texts, bulk, strict=True):
        assert tokenizer.ids_of_one(text).tolist() == expected.tolist(), repr(text[:80])


def test_hostile_texts_give_the_same_ids_both_ways(tokenizer: E5Tokenizer) -> None:
    agree(tokenizer, HOSTILE)


@settings(max_examples=300, deadline=None)
@given(st.lists(WILD, max_size=5))
def test_any_text_gives_the_same_ids_both_ways(tokenizer: E5Tokenizer, texts: list[str]) -> None:
    agree(tokenizer, texts)


def test_same_ids_both_ways(tokenizer: E5Tokenizer) -> None:
    """For the documents of the repository."""
    files = sorted(REPOSITORY.glob("*.md")) + sorted(REPOSITORY.glob("corpus/**/*.md"))[:40]
    files += sorted(REPOSITORY.glob("rag_search/**/*.py"))[:40]
    agree(tokenizer, [file.read_text("utf-8") for file in files])


@settings(max_examples=300, deadline=None)
@given(st.lists(WILD, max_size=5))
def test_seldom_pieces_are_not_missed(both: tuple[RustTokenizer, RustTokenizer], texts: list[str]) -> None:
    """A text without their characters is cut as with them."""
    clean = [words(SELDOM.sub("", text), {}) for text in [*texts, *HOSTILE]]
    clean = [[word.encode("utf-8", "replace").decode() for word in text] for text in clean]
    for some, every in zip(both[0].ids(clean), both[1].ids(clean), strict=True):
        assert some.tolist() == every.tolist()


def test_much_text_in_a_seldom_script_loads_its_pieces(e5_file: E5File, converted: Converted) -> None:
    """Before that, Python cuts it, with the same ids."""
    tokenizer = E5Tokenizer(e5_file, converted.table)
    text = "Как устранить тайм-аут соединения Redis? 연결 시간 초과. "
    first, other = tokenizer.ids_in_bulk([text, "How to fix it"])
    (later,) = tokenizer.ids_in_bulk([text * (FEW_SELDOM // len(text) + 1)])
    assert later[: len(first)].tolist() == first.tolist()
    assert tokenizer.ids_in_bulk(["How to fix it"])[0].tolist() == other.tolist()
    assert 5 < len(first) < 60


def test_every_piece_is_found_under_its_own_id(e5_file: E5File, converted: Converted) -> None:
    table = PieceTable(e5_file, converted.table)
    offsets, blob = e5_file.piece_offsets().tolist(), bytes(e5_file.piece_blob())
    for piece in range(e5_file.pieces):
        expected = -1 if piece in e5_file.special_ids else piece
        assert table.find(blob[offsets[piece] : offsets[piece + 1]]) == expected
    assert table.find("▁nosuchpiece".encode()) == table.find(b"") == -1


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("query: Hello world!", [41, 1294, 12, 35378, 8999, 38]),
        ("Hello   world!", [35378, 8999, 38]),
        ("如何", [6, 5733]),
    ],
)
def test_ids_known_from_xlm_roberta(tokenizer: E5Tokenizer, text: str, ids: list[int]) -> None:
    assert tokenizer.ids_of_one(text).tolist() == ids


def test_special_tokens_in_a_text_are_text(tokenizer: E5Tokenizer, e5_file: E5File) -> None:
    for text in ("</s>", "<s>", "<mask>", "<pad>", "<unk>", "a</s>b"):
        for ids in (tokenizer.ids_of_one(text), tokenizer.ids_in_bulk([text])[0]):
            assert len(ids) > 1
            assert not e5_file.special_ids & set(ids.tolist())


def test_a_prefix_and_its_text_are_cut_apart(tokenizer: E5Tokenizer) -> None:
    whole = tokenizer.ids_of_one("passage: 连接池 and more")
    parts = [tokenizer.ids_of_one("passage:"), tokenizer.ids_of_one("连接池 and more")]
    assert whole.tolist() == np.concatenate(parts).tolist()


def test_words_of_a_text_that_needs_cleaning(e5_file: E5File) -> None:
    table = translation(e5_file.normalisation())
    assert words("  a\tb\u3000\n c\x00d\ud800 ▁e ", table) == ["▁a", "▁b", "▁cd\ufffd", "▁e"]
    assert words("ﬁ ½", table) == ["▁fi", "▁1⁄2"]
    assert words(" \n", table) == []


@pytest.mark.parametrize(
    "unit",
    ["`", "x", "中文", " ", "ab ", "\u0301", "😀", "#"],
    ids=["tick", "x", "zh", "space", "ab", "mark", "emoji", "hash"],
)
def test_time_grows_with_the_length_and_not_faster(tokenizer: E5Tokenizer, unit: str) -> None:
    """A million characters without a break take seconds at most: quadratic time would take hours."""
    tokenizer.ids_in_bulk(["warm"])
    start = time.monotonic()
    tokenizer.ids([unit * (1_000_000 // len(unit))])
    assert time.monotonic() - start < 10
