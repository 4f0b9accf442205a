"""multilingual-e5-small on the CPU: one pass gives a text's vector and its token vectors.

One text is one run of the network, and the threads take different texts. So there is no padding, a vector never
depends on the texts beside it (dynamic quantisation takes its scale from the whole batch), the activations stay in
the core's own cache, and memory is bounded whatever comes in: a process that only answers queries stays near 110 MB,
one that ingests near 450 MB with two threads (most of it the Rust tokenizer), plus what it returns.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from rag_search.embed.builtin.convert import ensure_converted, fingerprint_of
from rag_search.embed.builtin.network import TOKEN_DIM, Model, network_path
from rag_search.embed.builtin.tokenizer import E5Tokenizer
from rag_search.embed.builtin.weights import MAX_TOKENS, E5File, dequantise, find_weights
from rag_search.embed.token_quantizer import columns_of, pack
from rag_search.errors import EngineError
from rag_search.records import Encoded, FloatMatrix, FloatVector, TokenVectors
from rag_search.runtime.threads import begin

DIM = 384
KEPT_QUERIES = 128  # so that search and reranking share one pass, also when a server answers many at once


class BuiltinEmbedder:
    """An Embedder without torch and without a model hub; the model is converted into `cache_dir` on first use.

    threads: texts encoded at the same time; by default one for each physical core. The network opens in another thread;
    `wait_until_open` raises what went wrong there, and so does everything that needs it.
    """

    def __init__(self, *, cache_dir: Path, model: Model = "zero-shot", threads: int | None = None) -> None:
        weights, network = find_weights(), network_path(model)
        converted = ensure_converted(cache_dir, weights, network)
        self._fingerprint = fingerprint_of(network)
        self._model = model
        self._file = E5File(weights)
        self._words = self._file.word_blocks()
        self._tokenizer = E5Tokenizer(self._file, converted.table)
        self._query_prefix = self._tokenizer.ids_of_one("query:")
        self._passage_prefix = self._tokenizer.ids_of_one("passage:")
        self._opening = begin(lambda: _open_session(converted.graph))  # takes 70 ms
        self._threads = threads or physical_cores()
        self._queries: OrderedDict[str, tuple[FloatVector, FloatMatrix]] = OrderedDict()
        self._queries_lock = threading.Lock()
        self._passages_cut = 0

    def wait_until_open(self) -> None:
        """Raises EngineError when the network cannot be opened."""
        self._opening.result()

    @property
    def name(self) -> str:
        base = "multilingual-e5-small" if self._model == "zero-shot" else f"{self._model} (multilingual-e5-small)"
        return f"{base} (builtin, int8)"

    @property
    def model(self) -> Model:
        """Which network: reranking scores are calibrated for each."""
        return self._model

    @property
    def dim(self) -> int:
        return DIM

    @property
    def token_dim(self) -> int:
        return TOKEN_DIM

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    @property
    def follows_instructions(self) -> bool:
        return False

    @property
    def passages_cut(self) -> int:
        """How many passages so far were longer than the model reads, and lost their end."""
        return self._passages_cut

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        return np.array([len(ids) for ids in self._tokenizer.ids(texts)], np.int64)

    def encode_documents(self, passages: Sequence[str]) -> Encoded:
        room = MAX_TOKENS - 2 - len(self._passage_prefix)
        ids = self._tokenizer.ids(passages)
        self._passages_cut += sum(len(row) > room for row in ids)
        outputs = self._map([self._frame(self._passage_prefix, row[:room]) for row in ids], ["dense", "units"])
        vectors = np.array([dense for dense, _ in outputs], np.float32).reshape(-1, DIM)
        rows = [pack(self._content(units, self._passage_prefix)) for _, units in outputs]
        lengths = np.array([len(row) for row in rows], np.int64)
        nothing = np.empty((0, columns_of(TOKEN_DIM)), np.uint8)
        return Encoded(vectors, TokenVectors(np.concatenate([nothing, *rows]), lengths))

    def embed_queries(self, queries: Sequence[str], *, instruction: str | None = None) -> FloatMatrix:  # noqa: ARG002
        """Unit rows; `instruction` changes nothing (`follows_instructions` is False)."""
        return np.array([dense for dense, _ in self._encode_queries(queries)], np.float32).reshape(-1, DIM)

    def encode_query(self, query: str) -> tuple[FloatVector, FloatMatrix]:
        """Vector (384,) and unit token vectors (t, 128) of a query; t is 0 when it has no content. The last
        KEPT_QUERIES are kept."""
        return self._encode_queries([query])[0]

    def forget_queries(self) -> None:
        """Drop the kept queries."""
        with self._queries_lock:
            self._queries.clear()

    def _encode_queries(self, queries: Sequence[str]) -> list[tuple[FloatVector, FloatMatrix]]:
        with self._queries_lock:
            known = {query: self._queries[query] for query in queries if query in self._queries}
        new = [query for query in dict.fromkeys(queries) if query not in known]
        outputs = self._map([self._query_ids(query) for query in new], ["dense", "units"])
        for query, (dense, units) in zip(new, outputs, strict=True):
            known[query] = (dense, self._content(units, self._query_prefix))
        self._keep(known)
        return [known[query] for query in queries]

    def _keep(self, encoded: dict[str, tuple[FloatVector, FloatMatrix]]) -> None:
        with self._queries_lock:
            for query, vectors in encoded.items():
                self._queries[query] = vectors
                self._queries.move_to_end(query)
            while len(self._queries) > KEPT_QUERIES:
                self._queries.popitem(last=False)

    def _query_ids(self, query: str) -> NDArray[np.int32]:
        (ids,) = self._tokenizer.ids([query])
        return self._frame(self._query_prefix, ids[: MAX_TOKENS - 2 - len(self._query_prefix)])

    def _frame(self, prefix: NDArray[np.int32], ids: NDArray[np.int32]) -> NDArray[np.int32]:
        special = self._file.special
        return np.concatenate(([special.bos], prefix, ids, [special.eos])).astype(np.int32)

    def _content(self, units: FloatMatrix, prefix: NDArray[np.int32]) -> FloatMatrix:
        """Token vectors without those of special tokens and prefix: matching them cost a Chinese question that English
        passages answer ten points of Top-1, and leaving them out of the passages saves their room."""
        return units[1 + len(prefix) : -1]

    def _map(self, ids: list[NDArray[np.int32]], outputs: list[str]) -> list[list[NDArray[Any]]]:
        if self._threads == 1 or len(ids) == 1:
            return [self._run(row, outputs) for row in ids]
        with ThreadPoolExecutor(self._threads) as pool:
            return list(pool.map(lambda row: self._run(row, outputs), ids))

    def _run(self, ids: NDArray[np.int32], outputs: list[str]) -> list[NDArray[Any]]:
        """One pass over one text; each output without its leading axis of length 1."""
        embeddings = dequantise(self._words[ids])[None]  # (1, t, 384)
        session = self._opening.result()
        try:
            results = session.run(outputs, {"embeddings": embeddings})
        except Exception as error:  # ONNX Runtime has a class for each kind of error, and none for all
            raise EngineError(f"ONNX Runtime failed on a text of {len(ids)} tokens: {error}") from error
        return [result[0] for result in results]


def _open_session(graph: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # parallel over texts, and no pool of spinning threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # plans memory by shape, and every length is another shape
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # built optimised
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # as above
        raise EngineError(
            f"{graph} cannot be opened: {error}", remedy=f"Remove {graph.parent}; it is made again."
        ) from error


def physical_cores() -> int:
    """Physical cores that this process may use; logical ones where the system does not tell."""
    try:
        cpus = os.sched_getaffinity(0)
    except AttributeError:  # not Linux
        return os.cpu_count() or 1
    siblings = (Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") for cpu in cpus)
    return len({path.read_text() if path.exists() else str(path) for path in siblings})
