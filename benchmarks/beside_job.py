"""Measure one tree from inside, for beside.py: it runs with PYTHONPATH set to that tree and prints one JSON object.

    beside_job.py warm INDEX QUESTIONS_FILE
    beside_job.py words FOLDER CHUNKS
    beside_job.py sync FOLDER FILES

The imports fit commit c69ecab and later ones, whose modules have other places. Times are of the processor.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from rag_search.index import FileState, IndexManifest, open_reader, open_writer
from rag_search.records import Chunk, Document, Encoded, SearchOptions

WORDS, TERMS, QUERY_TERMS, QUERIES = 50_000, 80, 9, 60
DIM = 8


def warm(index: str, questions: str) -> dict[str, Any]:
    """Search distinct questions in one warm process, and rerank the candidates of each once more."""
    from rag_search.config import load_config

    try:
        from rag_search.engines.open import searching
    except ImportError:
        from rag_search.wiring import searching  # type: ignore[no-redef]
    from rag_search.rerank.late_interaction import late_interaction

    texts = json.loads(Path(questions).read_text("utf-8"))
    with searching(load_config({"index": index})) as searcher:
        searcher.search("warm up")
        whole, rerank = [], []
        for text in texts:
            start = time.process_time()
            searcher.search(text)
            whole.append(time.process_time() - start)
            hits = searcher.search(text, SearchOptions(top_k=50, system="hybrid", group=False)).hits
            units = _units(searcher.embedder, text)
            start = time.process_time()
            late_interaction(units, searcher.index.token_vectors([hit.chunk.chunk_id for hit in hits]))
            rerank.append(time.process_time() - start)
    return {"question_ms": float(np.median(whole)) * 1e3, "rerank_ms": float(np.median(rerank)) * 1e3}


def _units(embedder: Any, text: str) -> Any:
    if hasattr(embedder, "encode_query"):
        return embedder.encode_query(text)[1]
    return embedder.encode_queries([text]).tokens[0]


def words(folder: str, chunks: str) -> dict[str, Any]:
    """Search by BM25 in many chunks whose words follow Zipf's law."""
    index, count = Path(folder) / "words", int(chunks)
    manifest = IndexManifest("words", "w" * 64, DIM, 0, "1")
    random = np.random.default_rng(1)
    with open_writer(index, manifest) as writer:
        for number in range(count // 100):
            lines = [_words(random, TERMS) for _ in range(100)]
            writer.put(*_document(f"{number}.md", lines, random), state=FileState(1, 1, "0" * 64))
            if number % 20 == 19:
                writer.commit()
        writer.commit()
        writer.maintain()
    digest, times = hashlib.sha256(), []
    with open_reader(index) as reader:
        reader.search_lexical(["w1"], 10)
        for _ in range(QUERIES):
            terms = list(dict.fromkeys(_words(random, QUERY_TERMS).split()))
            start = time.process_time()
            ids, scores = reader.search_lexical(terms, 1000)
            times.append(time.process_time() - start)
            digest.update(ids.tobytes() + scores.tobytes())
    return {
        "bm25_mean_ms": float(np.mean(times)) * 1e3,
        "bm25_p95_ms": float(np.quantile(times, 0.95)) * 1e3,
        "digest": digest.hexdigest()[:16],
    }


def _words(random: np.random.Generator, count: int) -> str:
    return " ".join(f"w{i}" for i in np.minimum(random.zipf(1.1, count), WORDS))


def _document(path: str, lines: list[str], random: np.random.Generator) -> tuple[Any, ...]:
    ends = np.cumsum([len(line) for line in lines]).tolist()
    chunks = [
        Chunk(path, path, i, line, (), end - len(line), end, i + 1, i + 1, line)
        for i, (line, end) in enumerate(zip(lines, ends, strict=True))
    ]
    vectors = random.standard_normal((len(lines), DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Document(path, path, "".join(lines), {}, "", "0" * 64), chunks, Encoded(vectors), lines


class HashEmbedder:
    """An embedder that costs nothing."""

    name, dim, token_dim, fingerprint, follows_instructions = "hash", DIM, 0, "h" * 64, False

    def count_tokens(self, texts: Any) -> Any:
        """Count words."""
        return np.array([len(text.split()) for text in texts], np.int64)

    def encode_documents(self, passages: Any) -> Encoded:
        """Return the same vector for every passage."""
        return Encoded(np.tile(np.eye(1, DIM, dtype=np.float32), (len(passages), 1)))


def sync(folder: str, files: str) -> dict[str, Any]:
    """Sync a tree that has not changed since the last sync."""
    try:
        from rag_search.ingest import sync_folders
    except ImportError:
        from rag_search.ingestion import ingest as sync_folders  # type: ignore[no-redef]
    docs, count = Path(folder) / "notes", int(files)
    for number in range(count):
        file = docs / f"{number // 500:03d}" / f"{number:06d}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# Note {number}\n\nabout w{number}\n")
    embedder: Any = HashEmbedder()
    manifest = IndexManifest("hash", embedder.fingerprint, DIM, 0, "1")
    with open_writer(Path(folder) / "synced", manifest) as writer:
        sync_folders(writer, embedder, [docs], base=Path(folder))
    start = time.process_time()
    with open_writer(Path(folder) / "synced", manifest) as writer:
        report = sync_folders(writer, embedder, [docs], base=Path(folder))
    if report.unchanged != count:
        raise SystemExit(f"{report.unchanged} of {count} files are unchanged")
    return {"sync_ms": (time.process_time() - start) * 1e3}


if __name__ == "__main__":
    job = {"warm": warm, "words": words, "sync": sync}[sys.argv[1]]
    print(json.dumps(job(*sys.argv[2:])))
