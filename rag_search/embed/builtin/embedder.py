"""multilingual-e5-small on the CPU: one pass gives a text's vector and its token vectors.

One text is one run of the network, and the threads take different texts. So nothing is padded, a vector never
depends on the texts beside it (dynamic quantisation takes its scale from the whole batch), the activations stay in
the core's own cache, and memory has a bound: a process that only answers queries stays near 110 MB, one that ingests
near 290 MB with two threads (a third of it the Rust tokenizer), plus what it returns.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.builtin.convert import Converted, ensure_converted, fingerprint_of, verify_converted
from rag_search.embed.builtin.network import TOKEN_DIM, network_name, network_path
from rag_search.embed.builtin.tokenizer import E5Tokenizer
from rag_search.embed.builtin.weights import MAX_TOKENS, E5File, dequantize_blocks, find_weights, verify_weights
from rag_search.errors import EngineError
from rag_search.records import Encoded, EncodedQueries, FloatMatrix
from rag_search.runtime.onnx import open_session
from rag_search.runtime.threads import Running, map_parallel

Kind = Literal["query", "passage"]

DIM = 384
OUTPUTS = ("dense", "units")  # of the network: the vector of a text, and a unit vector of each token


class BuiltinEmbedder:
    """An Embedder without torch and without a model hub; the model is converted into `cache_dir` on first use.

    model: a packaged network, or the path of an .npz file. threads: texts encoded at the same time; None: one for each
    physical core. graph: an ONNX network to run instead of the converted one. few_runs: open faster, for a process that
    encodes a few texts and ends. The network opens in another thread; `wait_until_open` raises what went wrong there,
    and so does every method that needs it.
    """

    def __init__(
        self,
        *,
        cache_dir: Path,
        model: str = "zero-shot",
        threads: int | None = None,
        graph: Path | None = None,
        few_runs: bool = False,
    ) -> None:
        weights, network = find_weights(), network_path(model)
        converted = ensure_converted(cache_dir, weights, network)
        self._verify: Callable[[], None] | None = partial(_verify, weights, converted)
        self._fingerprint = fingerprint_of(network)
        self._model = network_name(network)
        self._file = E5File(weights)
        self._words = self._file.word_blocks()
        self._tokenizer = E5Tokenizer(self._file, converted.table)
        self._prefixes: dict[Kind, NDArray[np.int32]] = {
            "query": self._tokenizer.ids_of_one("query:"),
            "passage": self._tokenizer.ids_of_one("passage:"),
        }
        remedy = f"Remove {converted.folder}; it is made again."
        self._opening = Running(  # takes 70 ms; one thread, since texts run in parallel
            lambda: open_session(graph or converted.graph, remedy=remedy, is_optimised=True, few_runs=few_runs)
        )
        self._threads = threads or physical_cores()
        self._passages_truncated = 0

    def wait_until_open(self) -> None:
        """Wait until the network is open. Raises EngineError if it cannot be opened."""
        self._opening.result()

    def verify_files(self) -> None:
        """Compare weights, network and piece table with their SHA-256, once (0.2 s). Raises EngineError."""
        if self._verify is not None:
            self._verify()
            self._verify = None

    @property
    def name(self) -> str:
        """Name for people."""
        base = "multilingual-e5-small" if self._model == "zero-shot" else f"{self._model} (multilingual-e5-small)"
        return f"{base} (builtin, int8)"

    @property
    def model(self) -> str:
        """Name of the network: reranking scores are calibrated for each."""
        return self._model

    @property
    def dim(self) -> int:
        """Dimensions of a vector."""
        return DIM

    @property
    def token_dim(self) -> int:
        """Dimensions of a token vector."""
        return TOKEN_DIM

    @property
    def fingerprint(self) -> str:
        """Hash of weights, network and recipe."""
        return self._fingerprint

    @property
    def follows_instructions(self) -> bool:
        """False: the model knows no instructions."""
        return False

    @property
    def passages_truncated(self) -> int:
        """Number of passages so far that lost their end because they were longer than the model reads."""
        return self._passages_truncated

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Count the tokens of each text, without prefix and special tokens: int64 (n,)."""
        return np.array([len(ids) for ids in self._tokenizer.ids(texts)], np.int64)

    def encode_documents(self, passages: Sequence[str]) -> Encoded:
        """Encode passages as vectors float32 (n, 384) and token vectors, pooled and quantized."""
        from rag_search.embed.token_pooling import pooled  # here, and not for queries

        ids = self._tokenizer.ids(passages)
        self._passages_truncated += sum(len(row) > self._room("passage") for row in ids)
        outputs = self.run([self._frame(row, "passage") for row in ids])
        self._file.release()  # else an ingest holds most of the word embeddings in the end, 40 MB
        vectors = np.array([dense for dense, _ in outputs], np.float32).reshape(-1, DIM)
        return Encoded(vectors, pooled([self.content(units, kind="passage") for _, units in outputs], TOKEN_DIM))

    def encode_queries(self, queries: Sequence[str], *, instruction: str | None = None) -> EncodedQueries:  # noqa: ARG002
        """Encode queries as vectors (n, 384) and unit token vectors (t, 128); t is 0 for one without content.

        instruction: not used, since `follows_instructions` is False.
        """
        distinct = list(dict.fromkeys(queries))
        rows = self.run([self._frame(self._tokenizer.ids([query])[0], "query") for query in distinct])
        outputs = dict(zip(distinct, rows, strict=True))
        vectors = np.array([outputs[query][0] for query in queries], np.float32).reshape(-1, DIM)
        return EncodedQueries(vectors, tuple(self.content(outputs[query][1], kind="query") for query in queries))

    def token_ids(self, texts: Sequence[str], *, kind: Kind) -> list[NDArray[np.int32]]:
        """Return the ids that the network reads for each text, int32: with prefix and special tokens, truncated."""
        return [self._frame(row, kind) for row in self._tokenizer.ids(texts)]

    def run(self, ids: Sequence[NDArray[np.int32]], *, outputs: Sequence[str] = OUTPUTS) -> list[list[NDArray[Any]]]:
        """Run the network over texts of `token_ids`; for each the `outputs`, without their leading axis of length 1."""
        return map_parallel(lambda row: self._run_one(row, outputs), ids, workers=self._threads)

    def content(self, units: FloatMatrix, *, kind: Kind) -> FloatMatrix:
        """Return the token vectors without those of special tokens and prefix.

        Matching them cost a Chinese question that English passages answer ten points of Top-1, and leaving them out of
        the passages saves their room.
        """
        return units[1 + len(self._prefixes[kind]) : -1]

    def _room(self, kind: Kind) -> int:
        """Return the tokens of a text that the model reads besides prefix and special tokens."""
        return MAX_TOKENS - 2 - len(self._prefixes[kind])

    def _frame(self, ids: NDArray[np.int32], kind: Kind) -> NDArray[np.int32]:
        """Truncate the ids of a text and add prefix and special tokens."""
        special = self._file.special
        parts = ([special.bos], self._prefixes[kind], ids[: self._room(kind)], [special.eos])
        return np.concatenate(parts).astype(np.int32)

    def _run_one(self, ids: NDArray[np.int32], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Run the network over one text; each output without its leading axis of length 1."""
        embeddings = dequantize_blocks(self._words[ids])[None]  # (1, t, 384)
        session = self._opening.result()
        try:
            results = session.run(list(outputs), {"embeddings": embeddings})
        except Exception as error:  # ONNX Runtime has a class for each kind of error, and none for all
            raise EngineError(f"ONNX Runtime failed on a text of {len(ids)} tokens: {error}") from error
        return [result[0] for result in results]


def _verify(weights: Path, converted: Converted) -> None:
    """Compare all files of the model with their SHA-256. Raises EngineError."""
    verify_weights(weights)
    verify_converted(converted)


def physical_cores() -> int:
    """Return the physical cores that this process may use; logical ones where the system does not tell."""
    try:
        cpus = os.sched_getaffinity(0)
    except AttributeError:  # not Linux
        return os.cpu_count() or 1
    siblings = (Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") for cpu in cpus)
    return len({path.read_text() if path.exists() else str(path) for path in siblings})
