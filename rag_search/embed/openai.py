"""Get embeddings over HTTP from any OpenAI-compatible `/v1/embeddings` (vLLM, TEI, Ollama, hosted).

Requests contain literal text only: `messages`, `/v2/embed` and `input_type` apply a chat template on vLLM, and
`add_special_tokens: false` drops the token whose vector is pooled. Dimensions are cut on our side.
"""

from __future__ import annotations

import base64
import binascii
import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.prompts import POOLING_REMEDY, QWEN3_END, Prompts
from rag_search.embed.token_counts import token_counter
from rag_search.errors import EngineError, KnownAnswerError
from rag_search.records import FloatMatrix
from rag_search.runtime.foreign_json import is_number, is_whole
from rag_search.runtime.model_client import CONCURRENCY, Remote, prompt_tokens_of, tokens_of

MAX_ROWS = 32  # what TEI takes in one request by default
_FIRST_ALIKE = ("alpha one", "alpha two three four")  # one first token, all else different
_PROBE, _PROBE_TOKENS = "hello world", 3  # with the end token


class OpenAIBackend:
    """An EmbedBackend. tokenizer: where to count tokens, if it is not found under the model's name."""

    max_rows = MAX_ROWS
    concurrency = CONCURRENCY

    def __init__(self, remote: Remote, model: str, *, prompts: Prompts, tokenizer: str | None = None) -> None:
        self.remote, self.model, self._prompts = remote, model, prompts
        self._count = token_counter(tokenizer or model)

    @property
    def name(self) -> str:
        """Name for people, with the address."""
        return f"{self.model} ({self.remote.url}, prompts: {self._prompts.name})"

    @property
    def identity(self) -> str:
        """The model; the server does not tell its weights."""
        return f"openai {self.model}"

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Count the tokens of each text, by the tokenizer or an estimate: int64 (n,)."""
        return self._count(texts)

    def embed(self, texts: Sequence[str]) -> FloatMatrix:
        """Encode one batch. Raises EngineError."""
        body = {"model": self.model, "input": list(texts), "encoding_format": "base64"}
        return read_vectors(self.remote.post("/embeddings", body), len(texts), self.name)

    def check_structure(self) -> None:
        """Raise KnownAnswerError when the end token is dropped or the first token alone is pooled."""
        if self._prompts.name != "qwen3":
            return
        tokens = tokens_of(self.remote.probe("/tokenize", {"model": self.model, "prompt": _PROBE}))
        if tokens is not None:
            ends = tokens[-1] == QWEN3_END
        else:
            reply = self.remote.post("/embeddings", {"model": self.model, "input": [_PROBE]})
            ends = prompt_tokens_of(reply) in (None, _PROBE_TOKENS)
        if not ends:
            raise KnownAnswerError(
                f"{self.name} does not append <|endoftext|> ({QWEN3_END}), the token whose vector the model pools.",
                remedy="Serve the model with its own tokenizer.json: no --tokenizer, no add_special_tokens=false.",
            )
        one, two = self.embed(_FIRST_ALIKE)
        if float(one @ two) > 0.9999:
            raise KnownAnswerError(
                f"{self.name} pools the first token: texts that begin alike get one vector.", remedy=POOLING_REMEDY
            )


def read_vectors(answer: Any, count: int, name: str) -> FloatMatrix:
    """Return vectors in the order of the texts. Raises EngineError unless each text has one, all of equal length."""
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _wrong(name, "an answer without data")
    vectors: dict[int, FloatMatrix] = {}
    for row in rows:
        index = row.get("index")
        if not is_whole(index) or not 0 <= index < count:
            raise _wrong(name, f"a vector for text {reprlib.repr(index)} of {count}")
        if index in vectors:
            raise _wrong(name, f"two vectors for text {index}")
        vectors[index] = _vector(row.get("embedding"), name)
    if len(vectors) != count:
        raise _wrong(name, f"{len(vectors)} vectors for {count} texts")
    if len({len(vector) for vector in vectors.values()}) != 1:
        raise _wrong(name, "vectors of different lengths")
    return np.array([vectors[index] for index in range(count)], np.float32)


def _vector(value: Any, name: str) -> FloatMatrix:
    """Decode base64 of little-endian float32, or a list of numbers from servers that ignore `encoding_format`."""
    try:
        if isinstance(value, str):
            return np.frombuffer(base64.b64decode(value, validate=True), "<f4")
        if not isinstance(value, list) or not all(map(is_number, value)):
            raise TypeError("not a list of numbers")
        return np.array(value, np.float32)
    except (ValueError, TypeError, binascii.Error) as error:
        raise _wrong(name, "a vector that is not a list of numbers") from error


def _wrong(name: str, what: str) -> EngineError:
    """Return the error for an answer that is not what the protocol says."""
    return EngineError(f"{name} answered {what}.", remedy="Check embedder.url, then: ragsearch doctor")
