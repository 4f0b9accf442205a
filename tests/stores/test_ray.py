"""Ingest by Ray workers: the same index as by this process, whoever dies meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rag_search.errors import EngineError
from rag_search.index.store.layout import IndexManifest
from rag_search.ingest import IngestOptions, sync_folders
from rag_search.ingest.ray_workers import RayWorkers
from tests.stores.harness import StoreUnderTest
from tests.support.fakes import WordEmbedder

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

MANIFEST = IndexManifest("words", "words-1-True", 64, 64, "1")
DOCUMENTS = 40


class Embedder(WordEmbedder):
    """An embedder that may end its process at one document, once: a worker that dies."""

    def encode_documents(self, passages: Any) -> Any:
        marker = os.environ.get("RAGSEARCH_TEST_DEATH")
        if marker and any("number 17" in passage for passage in passages) and not Path(marker).exists():
            Path(marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if any("number 23 fails" in passage for passage in passages):
            raise EngineError("this passage cannot be encoded.")
        return super().encode_documents(passages)


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    pytest.importorskip("ray.data")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(DOCUMENTS):
        (folder / f"{number}.md").write_text(
            f"# Document {number}\n\nThe text of number {number}.\n\n## Part\n\nMore.\n"
        )
    (folder / "broken.md").write_bytes(b"\xff\xfe\x00")
    return folder


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Two nodes of one core each; the path of the file that a dying worker leaves behind."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    marker = tmp_path / "died"
    monkeypatch.setenv("RAGSEARCH_TEST_DEATH", str(marker))
    import ray
    from ray.cluster_utils import Cluster

    memory = 100 * 2**20
    nodes = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": memory}
    )
    nodes.add_node(num_cpus=1, object_store_memory=memory)
    ray.init(address=nodes.address, log_to_driver=False, logging_level="error")
    yield marker
    ray.shutdown()
    nodes.shutdown()


def ingested(store: StoreUnderTest, docs: Path, workers: RayWorkers | None) -> Any:
    with store.writer(MANIFEST) as writer:
        return sync_folders(writer, Embedder(True), [docs], base=docs.parent, options=IngestOptions(), workers=workers)


def contents(store: StoreUnderTest) -> dict[str, Any]:
    """Return documents, chunks without ids, vectors and token vectors, as bytes."""
    found = {}
    with store.reader() as reader:
        for path in reader.documents():
            chunks = reader.document_chunks(path)
            ids = [chunk.chunk_id for chunk in chunks]
            tokens = reader.token_vectors(ids)
            texts = [(chunk.text, chunk.passage, chunk.start, chunk.line_start) for chunk in chunks]
            arrays = (reader.vectors(ids).tobytes(), tokens.rows.tobytes(), tokens.lengths.tolist())
            found[path] = (reader.document(path), texts, arrays, reader.term_lines(ids))
    return found


def test_workers_make_the_same_index(cluster: Path, docs: Path, store: StoreUnderTest, local: StoreUnderTest) -> None:
    """Bit for bit, although a worker is killed on the way; a file that cannot be read costs only itself."""
    by_ray = ingested(store, docs, RayWorkers("ray", partial(Embedder, True), silence_s=300))
    assert cluster.exists(), "no worker died"
    plain = ingested(local, docs, None)
    assert (by_ray.new, by_ray.chunks, by_ray.tokens) == (plain.new, plain.chunks, plain.tokens)
    assert {failure.path for failure in by_ray.failed} == {failure.path for failure in plain.failed}
    assert contents(store) == contents(local)
    again = ingested(store, docs, RayWorkers("ray", partial(Embedder, True)))
    assert (again.new, again.changed, again.unchanged) == (0, 0, plain.new)


def test_a_document_that_fails_costs_itself(cluster: Path, docs: Path, local: StoreUnderTest) -> None:
    (docs / "23.md").write_text("number 23 fails\n")
    report = ingested(local, docs, RayWorkers("ray", partial(Embedder, True), silence_s=300))
    assert report.new == DOCUMENTS - 1
    reasons = {failure.path: failure.reason for failure in report.failed}
    assert "cannot be encoded" in reasons["docs/23.md"]
