"""Vectors in Milvus, beside the same PostgreSQL: rows that never change, under ids that the database gives out.

Milvus cannot commit several rows at once, and it carries out requests of a writer that is dead already. So it is only
asked which ids are near: the database knows which of them exist, and has the vectors to compute the scores from. A row
that no snapshot knows does no harm, and a row that is missing costs a candidate.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from rag_search.errors import ConfigError, IndexStoreError, MissingExtraError, StoreUnavailableError, first_line
from rag_search.index.store.layout import REBUILD
from rag_search.records import FloatMatrix, FloatVector

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its C library prints what it does about a lost connection
try:
    import grpc
    from pymilvus import DataType, MilvusClient, MilvusException
except ImportError as error:
    raise MissingExtraError(error.name or "pymilvus", "milvus") from error

# After the import, which sets levels of its own: each refused call would print a traceback of 20 lines.
for _name in [name for name in logging.root.manager.loggerDict if name.startswith("pymilvus")]:
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

MAX_RESULTS = 16_384  # of one search; a server refuses more
_ROWS_BYTES = 8 << 20  # of one request; a server refuses 64 MiB
_WEIGHTS_BYTES = 2_000  # of a row, mostly; a text of nothing but different terms has four times as many
_LEAST_SPARSE = (2, 4)
_IDS = 5_000  # of one filter
_NO_CONNECTION, _NO_COLLECTION, _NOT_LOADED = 2, 100, 101
_REPEATS, _RETRY_S = 2, 0.3
# The client would ask every 10 s whether an idle connection is there, which some servers answer by closing it, and wait
# up to two minutes before it looks for a server again that was away.
_GRPC_OPTIONS = {
    "grpc.keepalive_permit_without_calls": 0,
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 1000,
}
_LOST = "Check that Milvus runs and can be reached, then run the command again: what was committed is kept."


class MilvusVectors:
    """The vectors of one edition of an index, in a collection of their own. Safe for many threads."""

    def __init__(self, url: str, edition: int, *, timeout_s: float, has_terms: bool = False) -> None:
        """Connect. url: milvus://[user:password@]host:port/collection. has_terms: rows have weights of terms, too.

        Raises StoreUnavailableError, ConfigError.
        """
        parts = urlsplit(url)
        collection = collection_of(url)
        self.place = f"milvus://{parts.hostname}:{parts.port or 19530}/{collection}"
        self.collection = f"{collection}_{edition}"
        self._timeout = timeout_s
        self._has_terms = has_terms
        token = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
        address = f"http://{parts.hostname}:{parts.port or 19530}"
        with self._errors():
            self._client = self._repeated(
                lambda: MilvusClient(address, token=token, timeout=timeout_s, grpc_options=_GRPC_OPTIONS)
            )

    def version(self) -> str:
        """Return name and version of the server."""
        with self._errors():
            return f"Milvus {str(self._client.get_server_version(timeout=self._timeout)).removeprefix('v')}"

    def create(self, dim: int) -> None:
        """Make the collection unless it is there."""
        with self._errors():
            if self._client.has_collection(self.collection, timeout=self._timeout):
                return
            schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
            schema.add_field("id", DataType.INT64, is_primary=True)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
            index = MilvusClient.prepare_index_params()
            index.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
            if self._has_terms:
                self._require_sparse()
                schema.add_field("terms", DataType.SPARSE_FLOAT_VECTOR)
                index.add_index("terms", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
            self._client.create_collection(
                self.collection, schema=schema, index_params=index, consistency_level="Bounded", timeout=self._timeout
            )

    def _require_sparse(self) -> None:
        """Raise ConfigError for a server without sparse vectors."""
        found = re.search(r"(\d{1,9})\.(\d{1,9})", version := self._client.get_server_version(timeout=self._timeout))
        if found and (int(found[1]), int(found[2])) < _LEAST_SPARSE:
            raise ConfigError(
                f"{self.place} is Milvus {version}, which has no sparse vectors.",
                remedy="Set store.bm25 to database, or use Milvus 2.4 or later.",
            )

    def add(self, ids: Sequence[int], vectors: FloatMatrix, weights: Sequence[Mapping[int, float]] = ()) -> None:
        """Write rows; a row that is there already is written again. weights: of the terms of each row."""
        step = max(1, _ROWS_BYTES // (vectors.shape[1] * 4 + 16 + (_WEIGHTS_BYTES if weights else 0)))
        for start in range(0, len(ids), step):
            part = slice(start, start + step)
            rows: list[dict[str, Any]] = [
                {"id": number, "vector": vector} for number, vector in zip(ids[part], vectors[part], strict=True)
            ]
            for row, own in zip(rows, weights[part], strict=False):
                row["terms"] = own
            self._call("upsert", data=rows)

    def visible(self, ids: Sequence[int]) -> int:
        """Return how many of the rows every later search finds."""
        total = 0
        for start in range(0, len(ids), _IDS):
            total += int(self._count(f"id in {list(map(int, ids[start : start + _IDS]))}"))
        return total

    def _count(self, condition: str) -> int:
        found = self._call("query", filter=condition, output_fields=["count(*)"], consistency_level="Strong")
        return int(found[0]["count(*)"])

    def delete(self, ids: Sequence[int]) -> None:
        """Remove rows; ids that are not there are left out."""
        for start in range(0, len(ids), _IDS):
            self._call("delete", ids=list(map(int, ids[start : start + _IDS])))

    def delete_range(self, first: int, last: int) -> None:
        """Remove the rows of a writer that did not commit: ids from `first` to `last`."""
        if first <= last:
            self._call("delete", filter=f"id >= {first} and id <= {last}")

    def search(self, query: FloatVector, top_k: int, *, consistency: Literal["Strong", "Bounded"]) -> NDArray[np.int64]:
        """Return the ids of the nearest rows, nearest first; at most MAX_RESULTS."""
        return self._search("vector", query, top_k, consistency)[0]

    def search_terms(
        self, query: Mapping[int, float], top_k: int, *, consistency: Literal["Strong", "Bounded"]
    ) -> tuple[NDArray[np.int64], FloatVector]:
        """Return ids and inner products of the rows with the heaviest terms, best first; at most MAX_RESULTS."""
        return self._search("terms", dict(query), top_k, consistency)

    def _search(self, field: str, query: Any, top_k: int, consistency: str) -> tuple[NDArray[np.int64], FloatVector]:
        (hits,) = self._call(
            "search",
            data=[query],
            anns_field=field,
            limit=min(top_k, MAX_RESULTS),
            search_params={"metric_type": "IP"},
            consistency_level=consistency,
        )
        ids = np.fromiter((hit["id"] for hit in hits), np.int64, len(hits))
        return ids, np.fromiter((hit["distance"] for hit in hits), np.float32, len(hits))

    def flush(self) -> None:
        """Have the server build its index over what was written; until then it searches those rows roughly."""
        with self._errors():
            self._client.flush(self.collection, timeout=self._timeout)

    def drop(self) -> None:
        """Remove the collection, if it is there."""
        with self._errors():
            if self._client.has_collection(self.collection, timeout=self._timeout):
                self._client.drop_collection(self.collection, timeout=self._timeout)

    def close(self) -> None:
        """Close the connection."""
        with suppress(MilvusException, grpc.RpcError):
            self._client.close()

    def _call(self, method: str, **arguments: Any) -> Any:
        """Call a method of the client on the collection."""
        call = getattr(self._client, method)
        with self._errors():
            return self._repeated(lambda: call(self.collection, timeout=self._timeout, **arguments))

    def _repeated(self, call: Callable[[], Any]) -> Any:
        """Return what a call returns. It may be repeated: one that met a broken connection is.

        A collection that a restart has unloaded is loaded first.
        """
        left = {_NO_CONNECTION: _REPEATS, _NOT_LOADED: _REPEATS}
        while True:
            try:
                return call()
            except MilvusException as error:
                if not left.get(error.code):
                    raise
                left[error.code] -= 1
                if error.code == _NOT_LOADED:
                    self._client.load_collection(self.collection, timeout=self._timeout)
                else:
                    time.sleep(_RETRY_S)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn errors of the client into ours."""
        try:
            yield
        except MilvusException as error:
            if error.code == _NO_CONNECTION:
                raise StoreUnavailableError(f"{self.place} does not answer.", remedy=_LOST) from error
            if error.code == _NO_COLLECTION:
                raise IndexStoreError(f"{self.place} has lost its collection.", remedy=REBUILD) from error
            raise IndexStoreError(f"{self.place}: {first_line(error)}.", remedy="Run: ragsearch verify") from error
        except grpc.RpcError as error:  # a time limit, a message that is too large
            raise StoreUnavailableError(f"{self.place} does not answer: {_details(error)}.", remedy=_LOST) from error


def collection_of(url: str) -> str:
    """Return the collection that a URL names. Raises ConfigError."""
    parts = urlsplit(url)
    name = parts.path.strip("/")
    if parts.scheme != "milvus" or not parts.hostname or not name.isidentifier() or not name.isascii():
        raise ConfigError(
            "store.vectors is not an address of Milvus.", remedy="Write it as milvus://host:19530/collection"
        )
    return name


def _details(error: grpc.RpcError) -> str:
    details = getattr(error, "details", None)
    return str(details() if callable(details) else error).split("\n")[0].rstrip(".")
