"""A large tree: its texts are stored before the first vector is made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rag_search.errors import EngineError
from rag_search.index import open_reader, open_writer, verify
from rag_search.ingest import IngestOptions, IngestReport, Step, sync_folders
from rag_search.records import SearchOptions
from rag_search.search.searcher import Searcher
from tests.ingest.syncing import EMBEDDER, MANIFEST, Counting, Dying, counts, on_disk, stored
from tests.support.fakes import WordEmbedder

FIRST = IngestOptions(words_first=0)
WHOLE = IngestOptions(words_first=10**9)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """600 notes, two or three groups."""
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(600):
        (folder / f"{number:03d}.md").write_text(f"# Note {number}\n\nredis timeout{number} and pool{number % 7}\n")
    return folder


def sync(
    docs: Path, embedder: WordEmbedder = EMBEDDER, options: IngestOptions = FIRST, steps: list[Step] | None = None
) -> IngestReport:
    steps = [] if steps is None else steps
    with open_writer(docs.parent / "index", MANIFEST) as writer:
        return sync_folders(writer, embedder, [docs], base=docs.parent, options=options, on_step=steps.append)


def contents(docs: Path) -> dict[str, bytes]:
    """Path to the vectors and token vectors of its chunks."""
    with open_reader(docs.parent / "index") as reader:
        ids = {path: [chunk.chunk_id for chunk in reader.document_chunks(path)] for path in reader.documents()}
        return {
            path: reader.vectors(own).tobytes() + reader.token_vectors(own).rows.tobytes() for path, own in ids.items()
        }


def test_the_index_is_that_of_whole_documents(many: Path, tmp_path: Path) -> None:
    steps: list[Step] = []
    report = sync(many, steps=steps)
    assert counts(report) == (600, 0, 0, 0, 0)
    assert report.embedded == 600
    found = contents(many)
    assert [step.stage for step in steps] == ["words"] * 4 + ["meaning"] * 4
    assert [step.documents for step in steps] == [0, 256, 512, 600, 0, 256, 512, 600]
    (tmp_path / "index").rename(tmp_path / "first")
    assert sync(many, options=WHOLE).tokens == report.tokens
    assert contents(many) == found
    assert verify(tmp_path / "first") == []


def test_an_engine_that_fails_loses_no_words(many: Path) -> None:
    with pytest.raises(EngineError):
        sync(many, Dying(tokens=True))
    assert stored(many) == on_disk(many)
    assert verify(many.parent / "index") == []
    with open_reader(many.parent / "index") as reader:
        assert 0 < reader.pending_count < 600
        assert len(reader.search_lexical(["timeout555"], 5)[0]) == 1
        pending = reader.pending_count
    report = sync(many, options=WHOLE)  # nothing is new, and what is missing is made all the same
    assert (report.unchanged, report.embedded) == (600, pending)
    with open_reader(many.parent / "index") as reader:
        assert reader.pending_count == 0


def test_a_query_says_how_far_the_vectors_are(many: Path) -> None:
    """And what has none is ranked as it will be later, when its words make it a candidate."""
    with pytest.raises(EngineError):
        sync(many, Dying(tokens=True))
    options = SearchOptions(system="hybrid", top_k=1)
    with open_reader(many.parent / "index") as reader:
        early = Searcher(reader, EMBEDDER).search("timeout555", options)
        share = int(100 * (600 - reader.pending_count) / 600)
    assert [hit.chunk.path for hit in early.hits] == ["docs/555.md"]
    assert any(note.startswith(f"meaning: {share} % of 600 passages") for note in early.notes)
    sync(many)
    with open_reader(many.parent / "index") as reader:
        late = Searcher(reader, EMBEDDER).search("timeout555", options)
    assert [hit.chunk.path for hit in late.hits] == ["docs/555.md"]
    assert early.hits[0].scores.dense == pytest.approx(late.hits[0].scores.dense, abs=1e-3)
    assert late.notes == ()


def test_only_passages_not_seen_before_are_embedded(many: Path) -> None:
    sync(many)
    (many / "deep").mkdir()
    (many / "001.md").rename(many / "deep" / "moved.md")
    (many / "002.md").write_text("# Note 2\n\nsomething else\n")
    (many / "003.md").unlink()
    embedder = Counting()
    assert counts(sync(many, embedder)) == (1, 1, 597, 2, 0)
    assert len(embedder.seen) == 1  # type: ignore[attr-defined]
    assert stored(many) == on_disk(many)
    assert verify(many.parent / "index") == []


KILLED = """
import sys
from pathlib import Path
from tests.ingest.test_words_first import FIRST
from tests.ingest.syncing import EMBEDDER, MANIFEST
from rag_search.index import open_writer
from rag_search.ingest import sync_folders

docs = Path(sys.argv[1])
with open_writer(docs.parent / "index", MANIFEST) as writer:
    def wait(step):
        print(step.stage, flush=True)
        sys.stdin.readline()

    sync_folders(writer, EMBEDDER, [docs], base=docs.parent, options=FIRST, on_step=wait)
"""


@pytest.mark.parametrize("steps", [1, 2, 5, 6])
def test_a_killed_ingest_loses_nothing(many: Path, steps: int) -> None:
    """It is killed while it waits after a commit; what was committed is whole, and the next run goes on."""
    command = [sys.executable, "-c", KILLED, str(many)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(steps):
            process.stdout.readline()
            process.stdin.write("\n")
            process.stdin.flush()
        stage = process.stdout.readline().strip()
        process.kill()
    assert stage == ("words" if steps < 4 else "meaning")
    assert verify(many.parent / "index") == []
    with open_reader(many.parent / "index") as reader:
        assert len(reader.documents()) == min(600, 256 * steps)
        assert reader.pending_count == min(600, 256 * steps) - 256 * max(0, steps - 4)
    embedder = Counting()
    sync(many, embedder)
    assert len(embedder.seen) == 600 - 256 * max(0, steps - 4)  # type: ignore[attr-defined]
    assert stored(many) == on_disk(many)
    assert verify(many.parent / "index") == []


def test_small_changes_are_stored_whole(many: Path) -> None:
    steps: list[Step] = []
    sync(many, options=IngestOptions(), steps=steps)
    assert {step.stage for step in steps} == {""}
    with open_reader(many.parent / "index") as reader:
        assert np.all(np.linalg.norm(reader.vectors([0, 1]), axis=1) > 0.9)
