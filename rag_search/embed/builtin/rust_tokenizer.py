"""Load the vocabulary into the Rust tokenizer for bulk text. It takes half a second, so queries do without."""

from __future__ import annotations

from itertools import pairwise

from tokenizers import Tokenizer, models

from rag_search.embed.builtin.weights import E5File


def load_rust_tokenizer(file: E5File) -> Tokenizer:
    """Return a tokenizer of the words of rag_search.embed.builtin.normalise."""
    offsets, scores, blob = file.piece_offsets().tolist(), file.piece_scores().tolist(), bytes(file.piece_blob())
    pieces = [blob[start:end].decode() for start, end in pairwise(offsets)]
    for special in file.special_ids:
        pieces[special] = f" {pieces[special]}"  # no word holds a space, so no text is cut into this
    vocabulary = list(zip(pieces, scores, strict=True))
    return Tokenizer(models.Unigram(vocabulary, unk_id=file.special.unk, byte_fallback=False))
