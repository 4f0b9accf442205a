"""What every vector backend must do, one test for all of them; a new backend is one more line here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest

from rag_search.config.settings import VectorSettings
from rag_search.errors import ConfigError
from rag_search.index import DerivedIndex, VectorRows, VectorSearch, open_reader, open_writer, verify
from rag_search.index.dense.exact import NoDerivedIndex, ScanSearch
from rag_search.index.dense.faiss_file import FaissFile
from rag_search.index.dense.select import BACKENDS, AutoIndex, GpuIndex, derived_index
from rag_search.index.store.derived import read_derived, write_derived
from rag_search.index.store.disk import DISK, Disk
from rag_search.index.store.layout import DerivedFile
from tests.index.test_dense import clustered, make_rows, truth
from tests.index.world import MANIFEST, assert_holds, item, put, random_unit, stored

ROWS, DIM = 3000, 16


@dataclass(frozen=True)
class CopyIndex:
    """The smallest backend with a file: a copy of the rows, searched by NumPy."""

    name = "copy"

    def is_due(self, rows: VectorRows) -> bool:
        return bool(rows.segment.rows) and (rows.derived is None or rows.derived.rows < rows.segment.rows)

    def build(self, rows: VectorRows, *, generation: int, disk: Disk) -> DerivedFile:
        data = np.ascontiguousarray(rows.matrix, np.float32).tobytes()
        path = rows.folder / f"ann-{generation:06d}.faiss"
        return write_derived(path, memoryview(data), rows=rows.segment.rows, disk=disk)

    def open(self, rows: VectorRows) -> VectorSearch | None:
        if rows.derived is None or read_derived(rows.folder, rows.derived) is None:
            return None
        return ScanSearch(rows)


DERIVED: list[DerivedIndex] = [
    NoDerivedIndex(),
    FaissFile(exact_rows=100),
    AutoIndex(exact_rows=100),
    GpuIndex(exact_rows=100),
    CopyIndex(),
]
every_backend = pytest.mark.parametrize("backend", DERIVED, ids=lambda backend: backend.name)


def built(backend: DerivedIndex, rows: VectorRows) -> VectorRows:
    """Return `rows` with the structure that the backend builds when it is due."""
    if not backend.is_due(rows):
        return rows
    return replace(rows, derived=backend.build(rows, generation=7, disk=DISK))


@every_backend
def test_answers_like_numpy(backend: DerivedIndex, tmp_path: Path) -> None:
    """Filtered or not, with deleted rows: the best rows are found and their scores are exact."""
    deleted = np.sort(np.random.default_rng(1).choice(ROWS, ROWS // 5, replace=False))
    rows = built(backend, make_rows(tmp_path, clustered(ROWS, DIM), deleted))
    search = backend.open(rows) or ScanSearch(rows)
    queries = clustered(ROWS, DIM)[:9]
    for allowed in (None, np.arange(0, ROWS, 3)):
        ids, scores = search.search(queries, 20, allowed=allowed)
        for query, found, values in zip(queries, ids, scores, strict=True):
            expected = truth(rows, query, 20, np.arange(ROWS) if allowed is None else allowed)
            assert len(set(found.tolist()) & set(expected)) >= 19
            np.testing.assert_allclose(values, rows.matrix[found] @ query, atol=1e-6)


@every_backend
def test_is_due_until_it_is_built(backend: DerivedIndex, tmp_path: Path) -> None:
    """An empty index needs nothing, and what was just built is not due again."""
    empty = make_rows(tmp_path, np.empty((0, DIM), np.float32), np.empty(0, np.int64))
    assert not backend.is_due(empty)
    rows = built(backend, make_rows(tmp_path, clustered(ROWS, DIM), np.empty(0, np.int64)))
    assert not backend.is_due(rows)


@every_backend
def test_lost_or_damaged_is_not_used(backend: DerivedIndex, tmp_path: Path) -> None:
    """Without its file a backend opens nothing, or what still answers exactly."""
    rows = built(backend, make_rows(tmp_path, clustered(ROWS, DIM), np.empty(0, np.int64)))
    expected = ScanSearch(rows).search(random_unit(3, DIM), 10)[0]
    for damage in (b"damaged", None):
        if rows.derived is not None:
            file = tmp_path / rows.derived.name
            file.unlink() if damage is None else file.write_bytes(damage)
        search = backend.open(rows) or ScanSearch(rows)
        np.testing.assert_array_equal(search.search(random_unit(3, DIM), 10)[0], expected)


@every_backend
def test_newer_rows_are_found(backend: DerivedIndex, tmp_path: Path) -> None:
    """A document stored after the build is found at once."""
    rows = make_rows(tmp_path, clustered(ROWS, DIM), np.empty(0, np.int64))
    rows = built(backend, rows)
    query = random_unit(1, DIM, seed=77)
    first = rows.segment.append(query, DISK)
    newer = replace(rows)
    search = backend.open(newer) or ScanSearch(newer)
    ids, scores = search.search(query, 5)
    assert ids[0, 0] == first
    assert scores[0, 0] == pytest.approx(float(stored(query)[0] @ query[0]), abs=1e-6)


@every_backend
def test_through_writer_and_reader(backend: DerivedIndex, folder: Path) -> None:
    """Ingest, maintenance, compaction and search work with every backend."""
    items = {f"{i}.md": item(f"{i}.md", [f"word{i} a\n", f"word{i} b\n"]) for i in range(80)}
    with open_writer(folder, MANIFEST, vectors=backend) as writer:
        put(writer, items.values())
        writer.maintain()
        writer.remove([f"{i}.md" for i in range(40)])
        writer.maintain()
    with open_reader(folder, vectors=backend) as reader:
        assert_holds(reader, {path: each for path, each in items.items() if int(path[:-3]) >= 40})
    assert verify(folder) == []


def test_the_table_has_every_setting() -> None:
    """The setting accepts exactly the names of the table."""
    assert set(get_args(get_type_hints(VectorSettings)["backend"])) == set(BACKENDS)
    with pytest.raises(ConfigError, match=r"'milvus' is unknown\. Use one of auto, exact"):
        derived_index("milvus")
