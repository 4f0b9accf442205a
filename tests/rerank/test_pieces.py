"""Long passages are cut into even pieces after sentences, and no text is lost before the limit."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rag_search.rerank.pieces import MAX_PIECES, PIECE, WHOLE, best_of_pieces, cut_passages


def count_tokens(texts: Sequence[str]) -> NDArray[np.int64]:
    """Count four characters as a token."""
    return np.array([len(text) // 4 for text in texts], np.int64)


@pytest.mark.parametrize(
    "sentence", ["The committee looked at the roof. ", "委员会检查了屋顶。", "word " * 7, "x" * 33]
)
def test_pieces_are_even_and_complete(sentence: str) -> None:
    text = sentence * (4 * 3 * PIECE // len(sentence))
    pieces, owners = cut_passages(["short", text], count_tokens)
    assert pieces[0] == "short"
    assert "".join(pieces[1:]) == text
    assert owners.tolist() == [0, *[1] * (len(pieces) - 1)]
    assert all(len(piece) // 4 <= WHOLE for piece in pieces)
    if sentence[-2] in ".。" or sentence[-1] in ".。":
        assert all(piece.rstrip().endswith(sentence.rstrip()) for piece in pieces[1:])


def test_what_fits_is_not_cut() -> None:
    assert cut_passages(["y" * 4 * WHOLE], count_tokens)[0] == ["y" * 4 * WHOLE]
    assert cut_passages([], count_tokens)[0] == []


def test_pieces_are_limited() -> None:
    text = "word " * 100_000
    pieces, _ = cut_passages([text], count_tokens)
    assert len(pieces) == MAX_PIECES
    assert text.startswith("".join(pieces))


@given(st.text(alphabet="a 。.\n", min_size=2100, max_size=9000))
@settings(max_examples=30)
def test_no_character_is_lost(text: str) -> None:
    assert "".join(cut_passages([text], count_tokens)[0]) == text


def test_the_best_piece_counts() -> None:
    scores = best_of_pieces(np.array([0.1, 0.7, 0.2], np.float32), np.array([0, 0, 2]), 3)
    assert scores.tolist() == [np.float32(0.7), -np.inf, np.float32(0.2)]
