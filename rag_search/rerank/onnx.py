"""Rerank in this process with any cross-encoder in ONNX, without torch.

One pair is one run of the network, and the threads take different pairs. So nothing is padded, and a score never
depends on the passages beside it: dynamic quantisation takes its scale from the whole batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.fingerprints import file_id
from rag_search.errors import EngineError, first_line
from rag_search.records import FloatVector
from rag_search.rerank.onnx_files import OnnxFiles
from rag_search.rerank.onnx_head import Head, head_of
from rag_search.rerank.pair_tokenizer import Pair, PairTokenizer
from rag_search.runtime.onnx import open_session
from rag_search.runtime.threads import map_parallel

_USUAL_QUERY = 16  # tokens; for counting what is cut, which is asked without the query
_TYPES = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_NOT_A_READER = "Set reranker.model to a cross-encoder: a model that reads query and passage together."


class OnnxReranker:
    """A Reranker whose scores are the sigmoid of the model's logit, not calibrated on any corpus.

    files: the parts of the model. name: for people. longest: tokens of a pair it was trained with, if fewer than it can
    read. head: what its output is; None: looked up in the graph. threads: pairs scored at the same time.
    """

    def __init__(
        self,
        files: OnnxFiles,
        *,
        name: str,
        longest: int | None = None,
        max_tokens_per_doc: int = 2048,
        head: Head | None = None,
        threads: int = 1,
    ) -> None:
        if (files.labels or 1) > 2:
            raise EngineError(
                f"{name} gives {files.labels} labels to a text, not a score to a pair.", remedy=_NOT_A_READER
            )
        self._name, self._files, self._max_tokens, self._threads = name, files, max_tokens_per_doc, threads
        self._tokenizer = PairTokenizer(files.tokenizer, longest=min(longest or files.longest, files.longest))
        self._session = open_session(files.graph, remedy="Get the model again: ragsearch models get")
        self._inputs = {port.name: port.type for port in self._session.get_inputs()}
        self._output = self._session.get_outputs()[0].name
        unknown = sorted(self._inputs.keys() - {"input_ids", "attention_mask", "token_type_ids"})
        if unknown or "input_ids" not in self._inputs or not set(self._inputs.values()) <= _TYPES.keys():
            listed = ", ".join(f"{key} {kind}" for key, kind in sorted(self._inputs.items()))
            raise EngineError(f"{name} reads something else than the tokens of a text: {listed}.", remedy=_NOT_A_READER)
        self._head = head or head_of(files.graph)

    @property
    def name(self) -> str:
        """Name of the model and of its engine, for people."""
        return f"{self._name} (onnx)"

    @property
    def fingerprint(self) -> str:
        """Hash of everything that changes a score."""
        files = [file_id(path) for path in (self._files.graph, self._files.tokenizer)]
        parts = (*files, self._tokenizer.longest, self._max_tokens, self._head)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def follows_instructions(self) -> bool:
        """False: a cross-encoder of this kind has no place for an instruction."""
        return False

    @property
    def threshold(self) -> float | None:
        """None: the scores are not calibrated."""
        return None

    def score(self, query: str, passages: Sequence[str], *, instruction: str | None = None) -> FloatVector:  # noqa: ARG002
        """Return scores float32 (len(passages),) in [0, 1]. instruction: not used."""
        return np.asarray(1 / (1 + np.exp(-self.logits(query, passages))), np.float32)

    def logits(self, query: str, passages: Sequence[str]) -> NDArray[np.float64]:
        """Return the log-odds that each passage answers, float64 (len(passages),)."""
        pairs = self._tokenizer.pairs(query, passages, max_passage=self._max_tokens)
        return np.array(map_parallel(self._logit, pairs, workers=self._threads), np.float64)

    def count_truncated(self, passages: Sequence[str]) -> int:
        """Return how many of the passages are longer than the model reads beside a query of usual length."""
        limit = min(self._max_tokens, self._tokenizer.room(_USUAL_QUERY))
        suspects = [text for text in passages if len(text.encode("utf-8", "replace")) > limit]  # a token has a byte
        return sum(count > limit for count in self._tokenizer.counts(suspects))

    def _logit(self, pair: Pair) -> float:
        """Run the network over one pair. Raises EngineError."""
        rows = {"input_ids": pair.ids, "attention_mask": np.ones_like(pair.ids), "token_type_ids": pair.types}
        inputs: dict[str, NDArray[Any]] = {
            name: rows[name][None].astype(_TYPES[kind]) for name, kind in self._inputs.items()
        }
        try:
            (output,) = self._session.run([self._output], inputs)
        except Exception as error:  # ONNX Runtime has a class for each kind of error, and none for all
            raise EngineError(
                f"{self.name} failed on a pair of {len(pair.ids)} tokens: {first_line(error)}.",
                remedy="Set reranker.max_tokens_per_doc to a smaller number.",
            ) from error
        values = np.asarray(output, np.float64).reshape(-1)
        if len(values) > 2 or len(values) == 0:
            raise EngineError(f"{self.name} gives {len(values)} numbers for a pair.", remedy=_NOT_A_READER)
        return self._head.logit_of(values)
