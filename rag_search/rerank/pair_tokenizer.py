"""Turn a query and passages into the ids that a cross-encoder reads, by the model's tokenizer.json alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from rag_search.errors import EngineError, first_line
from rag_search.text.sanitize import encodable

_UNKNOWN = ("[UNK]", "<unk>", "<UNK>")  # special tokens that stand for words, so they stay in a text
_QUERY, _PASSAGE, _TEMPLATE = 0, 1, -1  # the part of a pair that a token comes from


class Pair(NamedTuple):
    """One query with one passage. ids: of its tokens, int64 (t,). types: 0 or 1 for each, int64 (t,)."""

    ids: NDArray[np.int64]
    types: NDArray[np.int64]


class PairTokenizer:
    """The tokenizer of a cross-encoder. longest: tokens of a pair that the model reads.

    A setting for padding or truncation that was saved in the file is not obeyed. A special token that a text contains
    is left out: it would end the text for the model.
    """

    def __init__(self, file: Path, *, longest: int) -> None:
        try:
            self._tokenizer: Any = Tokenizer.from_file(str(file))
        except Exception as error:  # tokenizers raises no class of its own
            raise EngineError(
                f"{file} is not a tokenizer: {first_line(error)}.", remedy="Get the model again: ragsearch models get"
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.longest = longest
        template = self._parts(self._tokenizer.encode("a", "a"))
        if len(template.special) == 0:
            raise EngineError(
                f"{file} has no template for pairs, so the model would not see where the passage begins.",
                remedy="Take the tokenizer.json that was saved with this cross-encoder.",
            )
        self._around = len(template.special)
        added = self._tokenizer.get_added_tokens_decoder()
        unknown = {self._tokenizer.token_to_id(token) for token in _UNKNOWN}
        reserved = {number for number, token in added.items() if token.special} | set(template.special.tolist())
        self._reserved = np.array(sorted(reserved - unknown), np.int64)

    def pairs(self, query: str, passages: Sequence[str], *, max_passage: int) -> list[Pair]:
        """Return the ids of each pair.

        A query longer than half of `longest` is cut, then the passage, at `max_passage` tokens or where the pair is
        full. The tokens of the template stay.
        """
        texts = [(encodable(query), encodable(passage)) for passage in passages]
        return [self._fitted(encoding, max_passage) for encoding in self._tokenizer.encode_batch(texts)]

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, without those of the template."""
        encodings = self._tokenizer.encode_batch([encodable(text) for text in texts], add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]

    def room(self, query_tokens: int) -> int:
        """Return the tokens of a passage that fit into a pair beside a query."""
        return self.longest - self._around - min(query_tokens, self._longest_query)

    @property
    def _longest_query(self) -> int:
        return max(1, (self.longest - self._around) // 2)

    def _fitted(self, encoding: Any, max_passage: int) -> Pair:
        """Return the ids of a pair without reserved tokens in its texts, cut to the length that the model reads."""
        parts = self._parts(encoding)
        is_text = parts.origin != _TEMPLATE
        keep = ~(is_text & np.isin(parts.ids, self._reserved))
        query = (parts.origin == _QUERY) & keep
        passage = (parts.origin == _PASSAGE) & keep
        limit = min(max_passage, self.room(int(query.sum())))
        keep &= ~query | (np.cumsum(query) <= self._longest_query)
        keep &= ~passage | (np.cumsum(passage) <= limit)
        return Pair(parts.ids[keep], np.array(encoding.type_ids, np.int64)[keep])

    def _parts(self, encoding: Any) -> _Parts:
        """Return ids and the part of the pair that each token comes from."""
        origin = [_TEMPLATE if part is None else part for part in encoding.sequence_ids]
        return _Parts(np.array(encoding.ids, np.int64), np.array(origin, np.int64))


class _Parts(NamedTuple):
    ids: NDArray[np.int64]
    origin: NDArray[np.int64]

    @property
    def special(self) -> NDArray[np.int64]:
        """The ids of the template's own tokens."""
        return np.asarray(self.ids[self.origin == _TEMPLATE], np.int64)
