"""Serve the vectors that all dense peers share: multilingual-e5-small in float32, each text embedded once and cached.

A peer that embeds by itself would compute the same numbers, only slower (`export.py` writes the same weights as a model
that it can load, and `quality.py` compares a sample). So each peer's embedding hook asks this process over a local
socket, and the comparison is of chunking, index, search and fusion.
"""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection, Listener
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks.peers.protocol import AUTHKEY
from rag_search.embed.builtin.embedder import physical_cores
from rag_search.embed.builtin.network import load_network, network_path
from rag_search.embed.builtin.normalise import translation, words
from rag_search.embed.builtin.onnx_graph import build_graph
from rag_search.embed.builtin.rust_tokenizer import load_rust_tokenizer
from rag_search.embed.builtin.weights import MAX_TOKENS, E5File, dequantize_blocks, find_weights
from rag_search.records import FloatMatrix

DIM = 384
Vectors = Callable[[list[str]], FloatMatrix]
GROUP = 256  # texts embedded between two writes to the disk


class Encoder:
    """The float32 graph in ONNX Runtime. Texts include the prefix; they are cut at 512 tokens, as transformers does."""

    def __init__(self, model: str) -> None:
        self._file = E5File(find_weights())
        graph = build_graph(load_network(self._file, network_path(model)), "fp32").SerializeToString()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.enable_mem_pattern = False
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._tokenizer = load_rust_tokenizer(self._file)
        self._translation = translation(self._file.normalisation())

    def encode(self, texts: Sequence[str]) -> FloatMatrix:
        """Return unit rows float32 (n, 384)."""
        clean = [words(text, self._translation) for text in texts]
        encodings = self._tokenizer.encode_batch_fast(clean, is_pretokenized=True, add_special_tokens=False)
        with ThreadPoolExecutor(physical_cores()) as pool:
            rows = list(pool.map(self._run, [encoding.ids for encoding in encodings]))
        return np.array(rows, np.float32).reshape(-1, DIM)

    def _run(self, ids: list[int]) -> np.ndarray:
        special = self._file.special
        framed = np.array([special.bos, *ids[: MAX_TOKENS - 2], special.eos], np.int32)
        embeddings = dequantize_blocks(self._file.word_blocks()[framed])[None]
        dense: np.ndarray = self._session.run(["dense"], {"embeddings": embeddings})[0][0]
        return dense


class SharedVectors:
    """Text -> unit row, from the disk if it was embedded before."""

    def __init__(self, path: Path, model: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, check_same_thread=False, timeout=300)
        self._database.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, row BLOB) WITHOUT ROWID")
        self._model = model
        self._encoder: Encoder | None = None
        self._lock = threading.Lock()

    def __call__(self, texts: list[str]) -> FloatMatrix:
        """Return unit rows float32 (n, 384)."""
        with self._lock:
            found = {text: row for text in dict.fromkeys(texts) if (row := self._find(text)) is not None}
            missing = [text for text in dict.fromkeys(texts) if text not in found]
            for start in range(0, len(missing), GROUP):
                found.update(self._embed(missing[start : start + GROUP]))
        return np.array([found[text] for text in texts], np.float32).reshape(-1, DIM)

    def _find(self, text: str) -> np.ndarray | None:
        row = self._database.execute("SELECT row FROM vectors WHERE key = ?", (self._key(text),)).fetchone()
        return None if row is None else np.frombuffer(row[0], np.float32)

    def _embed(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        self._encoder = self._encoder or Encoder(self._model)
        made = dict(zip(texts, self._encoder.encode(texts), strict=True))
        with self._database:
            rows = ((self._key(text), row.tobytes()) for text, row in made.items())
            self._database.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows)
        return made

    def _key(self, text: str) -> bytes:
        return hashlib.sha256(f"{self._model}\n{text}".encode("utf-8", "surrogatepass")).digest()


@contextmanager
def served(vectors: Vectors) -> Iterator[str]:
    """Answer the peers' processes on a local socket; yield its address."""
    with tempfile.TemporaryDirectory() as folder, Listener(f"{folder}/vectors", "AF_UNIX", authkey=AUTHKEY) as listener:
        threading.Thread(target=_accept, args=(listener, vectors), daemon=True).start()
        yield str(listener.address)


def _accept(listener: Listener, vectors: Vectors) -> None:
    while True:
        try:
            connection = listener.accept()
        except OSError:  # closed
            return
        threading.Thread(target=_answer, args=(connection, vectors), daemon=True).start()


def _answer(connection: Connection, vectors: Vectors) -> None:
    with connection:
        while True:
            try:
                texts = connection.recv()
            except (EOFError, ConnectionResetError):
                return
            connection.send(vectors(texts))
