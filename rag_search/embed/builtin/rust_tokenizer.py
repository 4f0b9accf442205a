"""Load the vocabulary into the Rust tokenizer for bulk text. It takes half a second, so queries do without.

Its tree of pieces takes 280 MB, two thirds of them for scripts that a folder seldom has. A piece is cut out of a text
only if the text has all of its characters, so without such characters the other pieces are enough.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models

from rag_search.embed.builtin.weights import E5File

# Cyrillic to Extended Greek, Yi to the private use area: the characters of these first bytes in UTF-8
SELDOM = re.compile("[\u0400-\u1fff\ua000-\uefff]")
_SELDOM_BYTES = (*range(0xD0, 0xE2), *range(0xEA, 0xEF))


class RustTokenizer:
    """The Rust tokenizer over the pieces of all scripts, or over those without a SELDOM character.

    is_complete: over all. The ids are those of the vocabulary.
    """

    def __init__(self, file: E5File, *, is_complete: bool) -> None:
        self.is_complete = is_complete
        self._pieces = np.arange(file.pieces) if is_complete else _frequent_pieces(file)
        self._tokenizer = load_rust_tokenizer(file, self._pieces)

    def ids(self, texts: Sequence[Sequence[str]]) -> list[NDArray[np.int32]]:
        """Return the ids of each text, which is given by its words, int32."""
        encodings = self._tokenizer.encode_batch_fast(texts, is_pretokenized=True, add_special_tokens=False)
        return [self._pieces[encoding.ids].astype(np.int32) for encoding in encodings]


def load_rust_tokenizer(file: E5File, chosen: NDArray[np.int64] | None = None) -> Tokenizer:
    """Return a tokenizer of the words of rag_search.embed.builtin.normalise.

    chosen: the pieces to load, ascending; None: all. The ids are places in `chosen`.
    """
    chosen = np.arange(file.pieces) if chosen is None else chosen
    offsets, scores, blob = file.piece_offsets(), file.piece_scores(), file.piece_blob()
    vocabulary = []
    for piece, start, end, score in zip(
        chosen.tolist(), offsets[chosen].tolist(), offsets[chosen + 1].tolist(), scores[chosen].tolist(), strict=True
    ):
        text = bytes(blob[start:end]).decode()
        # no word holds a space, so no text is cut into a special token
        vocabulary.append((f" {text}" if piece in file.special_ids else text, score))
    unknown = int(np.searchsorted(chosen, file.special.unk))
    return Tokenizer(models.Unigram(vocabulary, unk_id=unknown, byte_fallback=False))


def _frequent_pieces(file: E5File) -> NDArray[np.int64]:
    """Return the pieces without a SELDOM character, and the rarest one, which sets the score of the unknown."""
    is_seldom = np.isin(np.frombuffer(file.piece_blob(), np.uint8), _SELDOM_BYTES)
    before = np.concatenate(([0], np.cumsum(is_seldom, dtype=np.int64)))
    bounds = before[file.piece_offsets()]
    keep = bounds[1:] == bounds[:-1]
    keep[[file.special.unk, int(file.piece_scores().argmin())]] = True
    return np.flatnonzero(keep)
