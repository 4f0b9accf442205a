"""Time ragsearch as `worker.py` times a peer: `python -m benchmarks.peers.ours ingest|warm TASK.json`.

The work is that of `ragsearch ingest` and of a library query: everything is on, token vectors, BM25 and reranking too.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.protocol import read_json, resident_mb, write_json
from rag_search.config import Config, load_config
from rag_search.engines import factory
from rag_search.engines.open import searching, writing
from rag_search.ingest import IngestOptions, sync_folders
from rag_search.records import SearchOptions, System


def main() -> None:
    """Do one action and write `out`."""
    action, task = sys.argv[1], read_json(Path(sys.argv[2]))
    config = load_config(settings_of(Path(task["index"]), Path(task["cache"])))
    made = _ingest(config, Path(task["docs"])) if action == "ingest" else _warm(config, task)
    write_json(Path(task["out"]), made)


def settings_of(index: Path, cache: Path) -> dict[str, str]:
    """Return settings of the built-in engine over the weights that the peers have."""
    return {"index": str(index), "cache_dir": str(cache), "profile": "builtin", "embedder.model": "zero-shot"}


def _ingest(config: Config, docs: Path) -> dict[str, float]:
    """Time an ingest in seconds: with the model loaded, to a committed index on disk."""
    embedder = factory.make_embedder(config.settings)
    embedder.count_tokens(["x" * 5000])  # loads the tokenizer of bulk text, which is part of the model
    start = time.perf_counter()
    options = IngestOptions(config.settings.ingest.max_tokens)
    with writing(config, embedder, rebuild=False) as writer:
        sync_folders(writer, embedder, [docs], base=docs, options=options)
    return {"seconds": time.perf_counter() - start, "peak_mb": peak_mb()}


def _warm(config: Config, task: dict[str, Any]) -> dict[str, Any]:
    """Time every question; return system -> milliseconds."""
    times: dict[str, list[float]] = {}
    systems: tuple[System, ...] = ("rerank", "hybrid", "dense")
    for system in systems:
        with searching(config) as searcher:  # a new one: no question has been embedded before
            for question in task["questions"][: task["discarded"]]:
                searcher.search(question, SearchOptions(system=system))
            times[system] = []
            for question in task["questions"][task["discarded"] :]:
                start = time.perf_counter()
                searcher.search(question, SearchOptions(system=system))
                times[system].append(1000 * (time.perf_counter() - start))
    return {"ms": times, "peak_mb": peak_mb(), "resident_mb": resident_mb()}


def peak_mb() -> float:
    """Return the peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kilobytes on Linux


if __name__ == "__main__":
    main()
