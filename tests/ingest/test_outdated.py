"""Documents that were cut into chunks by other rules than those of now."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from rag_search.errors import EngineError
from rag_search.index import open_reader, open_writer
from rag_search.ingest import IngestOptions, IngestReport, outdated, plan_sync, sync_folders, sync_texts
from tests.ingest.syncing import EMBEDDER, MANIFEST, Counting, Dying, counts, sync
from tests.support.fakes import WordEmbedder

LONG = "# Long\n\n" + "One sentence of seven words is here. " * 60


def sync_cut(docs: Path, max_tokens: int, embedder: WordEmbedder = EMBEDDER, root: str = "") -> IngestReport:
    with open_writer(docs.parent / "index", MANIFEST) as writer:
        options = IngestOptions(max_tokens=max_tokens)
        return sync_folders(writer, embedder, [docs / root], base=docs.parent, options=options)


def chunks_by_document(docs: Path) -> dict[str, int]:
    with open_reader(docs.parent / "index") as reader:
        return {path: len(reader.document_chunks(path)) for path in reader.documents()}


def test_another_passage_length_cuts_every_document_again(docs: Path) -> None:
    (docs / "long.md").write_text(LONG, "utf-8")
    (docs / "deep" / "long.md").write_text(LONG.replace("seven", "7"), "utf-8")
    sync(docs)
    coarse = chunks_by_document(docs)
    with open_reader(docs.parent / "index") as reader:
        known = list(outdated(reader.files(), reader.chunking(), IngestOptions(max_tokens=64)))
    assert len(plan_sync(known, [docs], base=docs.parent).changed) == 5
    embedder = Counting()
    assert counts(sync_cut(docs, 64, embedder)) == (0, 5, 0, 0, 0)
    assert all("sentence" in passage for passage in embedder.seen)  # type: ignore[attr-defined]
    fine = chunks_by_document(docs)
    assert {path for path in fine if fine[path] > coarse[path]} == {"docs/long.md", "docs/deep/long.md"}
    assert counts(sync_cut(docs, 64)) == (0, 0, 5, 0, 0)
    assert counts(sync(docs)) == (0, 5, 0, 0, 0)
    assert chunks_by_document(docs) == coarse


def test_what_was_not_cut_again_is_left_to_the_next_ingest(docs: Path) -> None:
    sync(docs)
    assert counts(sync_cut(docs, 64, root="deep")) == (0, 1, 0, 0, 0)
    os.utime(docs / "a.md", ns=(1, 1))
    with pytest.raises(EngineError), open_writer(docs.parent / "index", MANIFEST) as writer:
        (docs / "b.md").write_text("# Note 399\n", "utf-8")
        sync_folders(writer, Dying(tokens=True), [docs], base=docs.parent, options=IngestOptions(max_tokens=64))
    assert counts(sync_cut(docs, 64)) == (0, 2, 1, 0, 0)
    assert counts(sync_cut(docs, 64)) == (0, 0, 3, 0, 0)


def test_an_index_without_rules_has_those_of_version_1(docs: Path) -> None:
    """An index that does not record how it was cut was cut by version 1, so its documents are cut again."""
    sync(docs)
    assert counts(sync(docs)) == (0, 0, 3, 0, 0)
    with closing(sqlite3.connect(docs.parent / "index" / "meta.db")) as database, database:
        database.execute("DELETE FROM meta WHERE key = 'chunking'")
    with open_reader(docs.parent / "index") as reader:
        assert reader.chunking() is None
    assert counts(sync(docs)) == (0, 3, 0, 0, 0)


def test_texts_are_cut_again_too(tmp_path: Path) -> None:
    rows = [("d1", "One", LONG), ("d2", "", "beta")]
    with open_writer(tmp_path / "index", MANIFEST) as writer:
        first = sync_texts(writer, EMBEDDER, rows)
        second = sync_texts(writer, EMBEDDER, rows, options=IngestOptions(max_tokens=64))
        third = sync_texts(writer, EMBEDDER, rows, options=IngestOptions(max_tokens=64))
    assert counts(second) == (0, 2, 0, 0, 0)
    assert second.chunks > first.chunks
    assert counts(third) == (0, 0, 2, 0, 0)
