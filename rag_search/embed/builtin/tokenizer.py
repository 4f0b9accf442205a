"""The Unigram tokenizer of XLM-RoBERTa (Kudo 2018) in two implementations with the same ids.

A query is cut here, in Python, over the mapped piece table: ready in a millisecond, where the Rust tokenizer needs half
a second to build its trie. Bulk text goes through Rust, which is loaded for the first bulk:
without the pieces of scripts that most folders lack, until there is much text in them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.builtin.normalise import translation, words
from rag_search.embed.builtin.piece_table import PieceTable
from rag_search.embed.builtin.weights import E5File

if TYPE_CHECKING:
    from rag_search.embed.builtin.rust_tokenizer import RustTokenizer

MAX_PIECE = 16  # characters of the longest piece
UNKNOWN_PENALTY = 10.0  # an unknown character costs this more than the rarest piece, as in sentencepiece
SMALL = 4_000  # characters up to which Python is quicker than loading Rust
FEW_SELDOM = 20_000  # characters of texts in seldom scripts that Python cuts in all: a README in ten languages


class E5Tokenizer:
    """Texts to ids, without special tokens."""

    def __init__(self, file: E5File, table_path: Path) -> None:
        self._file = file
        self._translation = translation(file.normalisation())
        self._pieces = PieceTable(file, table_path)
        self._unknown = file.special.unk
        self._unknown_score = float(file.piece_scores().min()) - UNKNOWN_PENALTY
        self._rust: RustTokenizer | None = None
        self._seldom = 0  # characters of texts in seldom scripts so far
        self._loading = threading.Lock()

    def ids(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Return the ids of each text, int32."""
        if self._rust is None and sum(map(len, texts)) <= SMALL:
            return [self.ids_of_one(text) for text in texts]
        return self.ids_in_bulk(texts)

    def ids_of_one(self, text: str) -> NDArray[np.int32]:
        """Return the ids of a short text, in pure Python."""
        return self._ids_of_words(words(text, self._translation))

    def _ids_of_words(self, text: Sequence[str]) -> NDArray[np.int32]:
        return np.array([piece for word in text for piece in self._cut(word)], np.int32)

    def ids_in_bulk(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """Return the ids of many or long texts, in Rust."""
        from rag_search.embed.builtin.rust_tokenizer import SELDOM

        clean = [words(text, self._translation) for text in texts]
        seldom = {place for place, text in enumerate(clean) if any(map(SELDOM.search, text))}
        rust = self._loaded(sum(len(texts[place]) for place in seldom))
        if rust.is_complete:
            seldom.clear()
        found = iter(rust.ids([text for place, text in enumerate(clean) if place not in seldom]))
        return [self._ids_of_words(text) if place in seldom else next(found) for place, text in enumerate(clean)]

    def _cut(self, word: str) -> list[int]:
        """Cut a word so that the sum of its pieces' scores is largest (Viterbi); runs of unknowns count as one."""
        data, ends = word.encode(), _byte_ends(word)
        n = len(word)
        best = [0.0] + [-np.inf] * n
        start_of, piece_at = [0] * (n + 1), [self._unknown] * (n + 1)
        for start in range(n):
            known = False
            for end in range(start + 1, min(start + MAX_PIECE, n) + 1):
                piece = self._pieces.find(data[ends[start] : ends[end]])
                if piece < 0:
                    continue
                known = known or end == start + 1
                score = best[start] + self._pieces.score(piece)
                if score > best[end]:
                    best[end], start_of[end], piece_at[end] = score, start, piece
            if not known and best[start] + self._unknown_score > best[start + 1]:
                best[start + 1] = best[start] + self._unknown_score
                start_of[start + 1], piece_at[start + 1] = start, self._unknown
        return self._trace(start_of, piece_at)

    def _trace(self, start_of: list[int], piece_at: list[int]) -> list[int]:
        """Return the ids along the best path, from its end."""
        ids: list[int] = []
        end = len(start_of) - 1
        while end:
            if not (ids and ids[-1] == piece_at[end] == self._unknown):
                ids.append(piece_at[end])
            end = start_of[end]
        return ids[::-1]

    def _loaded(self, seldom: int) -> RustTokenizer:
        """Return the Rust tokenizer, with all pieces once there were many characters of texts in seldom scripts.

        seldom: those of the present texts.
        """
        from rag_search.embed.builtin.rust_tokenizer import RustTokenizer

        with self._loading:
            self._seldom += seldom
            needed = self._seldom > FEW_SELDOM
            if self._rust is None or (needed and not self._rust.is_complete):
                self._rust = None  # its memory is used again
                self._rust = RustTokenizer(self._file, is_complete=needed)
            return self._rust


def _byte_ends(word: str) -> list[int]:
    """Return the end of each character in UTF-8, with a 0 in front."""
    ends = [0]
    for character in word:
        ends.append(ends[-1] + len(character.encode()))
    return ends
