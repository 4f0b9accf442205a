"""Read, chunk and encode files on many machines with Ray Data; this process only commits what comes back.

Each actor builds the embedder once and takes a few files at a time. A document that fails comes back as a Failure. An
actor or a node that dies costs the work on its last files, which Ray hands to another one. Groups come in any order and
may come twice, so each counts once.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from queue import Empty, Queue
from threading import Thread
from typing import Any

import numpy as np

from rag_search.documents import SourceFile
from rag_search.embed.base import Embedder
from rag_search.errors import EngineError, MissingExtraError, RagSearchError, first_line
from rag_search.ingest.encode import EncodedGroup, encode_group
from rag_search.ingest.prepare import Group, Item, prepare_files
from rag_search.ingest.reports import Failure, IngestOptions
from rag_search.runtime import telemetry

FILES_PER_TASK = 4
SILENCE_S = 1800.0  # a document that kills every actor would be tried for ever
_LOCAL = "ray"
_QUIET = {"RAY_DATA_DISABLE_PROGRESS_BARS": "1", "RAY_enable_metrics_collection": "0", "RAY_DEDUP_LOGS": "1"}
_END = b""


@dataclass(frozen=True)
class RayWorkers:
    """Workers in a Ray cluster.

    address: `ray` starts a cluster here, or joins that of RAY_ADDRESS; `ray://host:10001` is a remote one.
    make_embedder: pickled, and called once in each actor. cpus, gpus: of one actor. silence_s: longest wait for the
    next group.
    """

    address: str
    make_embedder: Callable[[], Embedder]
    cpus: int = 1
    gpus: float = 0
    silence_s: float = SILENCE_S

    def encode_files(
        self, sources: Sequence[SourceFile], options: IngestOptions
    ) -> Generator[EncodedGroup, None, None]:
        """Yield files in groups with their encoded documents, in any order. Raises EngineError, MissingExtraError."""
        tasks = _tasks(sources)
        if not tasks:
            return
        missing = set(range(len(tasks)))
        with _cluster(self.address) as ray, closing(_ahead(self._rows(ray, tasks, options), self.silence_s)) as rows:
            for row in rows:
                number, encoded = pickle.loads(row)  # made by our own code in an actor
                if number in missing:
                    missing.remove(number)
                    yield encoded
        if missing:
            raise EngineError(f"{len(missing)} groups of files did not come back.", remedy="Run the command again.")

    def _rows(self, ray: Any, tasks: Sequence[list[SourceFile]], options: IngestOptions) -> Iterator[bytes]:
        """Yield what the actors return, as it comes."""
        actors = max(1, int(_resources(ray, "CPU") // self.cpus))
        if self.gpus:
            actors = max(1, int(_resources(ray, "GPU") // self.gpus))
        items = [{"task": pickle.dumps((number, task))} for number, task in enumerate(tasks)]
        dataset = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
            _Encode,
            fn_constructor_kwargs={"make_embedder": self.make_embedder, "options": options},
            batch_size=1,
            num_cpus=self.cpus,
            num_gpus=self.gpus or None,
            concurrency=min(actors, len(items)),
        )  # Ray Data's own retries stay: any number of ours turns the death of a node into the end of the run
        for row in dataset.iter_rows():
            yield bytes(row["group"])


def _tasks(sources: Sequence[SourceFile]) -> list[list[SourceFile]]:
    """Return files in tasks of about one size, the larger ones first: so the actors end at about the same time."""
    by_size = sorted(sources, key=lambda source: source.size, reverse=True)
    count = -(-len(by_size) // FILES_PER_TASK)
    return [by_size[number::count] for number in range(count)]


class _Encode:
    """An actor: reads, chunks and encodes files."""

    def __init__(self, make_embedder: Callable[[], Embedder], options: IngestOptions) -> None:
        telemetry.switch_off()
        self._embedder = make_embedder()
        self._options = options

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return one row for each row of tasks; bytes, so that Arrow guesses no types."""
        rows = []
        for content in batch["task"]:
            number, sources = pickle.loads(content)
            rows.append(pickle.dumps((number, self._encode(sources))))
        return {"group": np.array(rows, dtype=object)}

    def _encode(self, sources: Sequence[SourceFile]) -> EncodedGroup:
        """Encode files together; if that fails, one by one, so that one document costs only itself."""
        items = tuple(prepare_files(sources, count_tokens=self._embedder.count_tokens, options=self._options))
        try:
            return encode_group(self._embedder, Group(items), _nothing_stored)
        except RagSearchError:
            return self._encode_one_by_one(items)

    def _encode_one_by_one(self, items: Sequence[Item]) -> EncodedGroup:
        done: list[Item] = []
        parts: list[EncodedGroup] = []
        for item in items:
            try:
                parts.append(encode_group(self._embedder, Group((item,)), _nothing_stored))
                done.append(item)
            except RagSearchError as error:
                path = getattr(getattr(item.outcome, "document", None), "path", "")
                done.append(replace(item, outcome=Failure.of(path, error)))
        encoded = tuple(each for part in parts for each in part.encoded)
        return EncodedGroup(
            Group(tuple(done)), encoded, sum(part.embedded for part in parts), sum(part.tokens for part in parts)
        )


def _nothing_stored(_: Sequence[str]) -> dict[str, Any]:
    """Return what an actor knows of the index: nothing."""
    return {}


@contextmanager
def _cluster(address: str) -> Iterator[Any]:
    """Connect to a cluster, and leave it at the end."""
    telemetry.switch_off()
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtraError(error.name or "ray", "ray") from error
    joined = ray.is_initialized()
    try:
        if not joined:
            ray.init(
                address=None if address == _LOCAL else address, log_to_driver=False, logging_level="error",
                include_dashboard=None if "://" in address else False,
            )  # fmt: skip
    except Exception as error:  # ray raises plain ones, too, such as that of a node that takes too long to start
        raise EngineError(f"{address} does not answer: {first_line(error)}.", remedy="Run: ray status") from error
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield ray
    finally:
        if not joined:
            ray.shutdown()


def _resources(ray: Any, kind: str) -> float:
    return float(ray.cluster_resources().get(kind, 0))


def _ahead(rows: Iterator[bytes], silence_s: float) -> Generator[bytes, None, None]:
    """Yield rows from a thread. Raises EngineError when none comes for `silence_s`, or what the thread raised."""
    queue: Queue[bytes | BaseException] = Queue()

    def fill() -> None:
        try:
            for row in rows:
                queue.put(row)
            queue.put(_END)
        except BaseException as error:  # noqa: BLE001 (raised in the caller's thread)
            queue.put(error)

    Thread(target=fill, daemon=True).start()
    while True:
        try:
            row = queue.get(timeout=silence_s)
        except Empty as error:
            remedy = "Look for a document that ends its worker, then run the command again: what was committed is kept."
            raise EngineError(f"no worker has answered for {silence_s:,.0f} s.", remedy=remedy) from error
        if isinstance(row, BaseException):
            remedy = "Look at the cluster (ray status), then run the command again: what was committed is kept."
            raise EngineError(f"the workers failed: {_cause(row)}.", remedy=remedy) from row
        if row == _END:
            return
        yield row


def _cause(error: BaseException) -> str:
    """Return the last line of an error of Ray, which names the error in the worker; its first lines are a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__
