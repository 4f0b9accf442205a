"""Syncs of a folder with an index beside it, and embedders that count or fail."""

from __future__ import annotations

from pathlib import Path

from rag_search.errors import EngineError
from rag_search.index import IndexManifest, open_reader, open_writer
from rag_search.ingest import IngestOptions, IngestReport, sync_folders
from rag_search.text.terms import LEXICAL_VERSION
from tests.support.fakes import WordEmbedder

EMBEDDER = WordEmbedder(tokens=True)
MANIFEST = IndexManifest(
    embedder_name=EMBEDDER.name,
    embedder_fingerprint=EMBEDDER.fingerprint,
    dim=EMBEDDER.dim,
    token_dim=EMBEDDER.token_dim,
    lexical_version=LEXICAL_VERSION,
)


class Counting(WordEmbedder):
    """A WordEmbedder that remembers which passages it was asked to encode."""

    def __init__(self) -> None:
        super().__init__(tokens=True)
        object.__setattr__(self, "seen", [])

    def encode_documents(self, passages):  # type: ignore[no-untyped-def]
        self.seen.extend(passages)  # type: ignore[attr-defined]
        return super().encode_documents(passages)


def sync(docs: Path, embedder: WordEmbedder = EMBEDDER, *more: Path, **options: bool) -> IngestReport:
    with open_writer(docs.parent / "index", MANIFEST) as writer:
        return sync_folders(writer, embedder, [docs, *more], base=docs.parent, options=IngestOptions(**options))


def stored(docs: Path) -> dict[str, str]:
    with open_reader(docs.parent / "index") as reader:
        return {path: reader.document(path).text for path in reader.documents()}


def on_disk(docs: Path) -> dict[str, str]:
    return {path.relative_to(docs.parent).as_posix(): path.read_text("utf-8") for path in sorted(docs.rglob("*.md"))}


def counts(report: IngestReport) -> tuple[int, int, int, int, int]:
    return report.new, report.changed, report.unchanged, report.removed, len(report.failed)


class Dying(WordEmbedder):
    """A WordEmbedder that fails at the second group."""

    def encode_documents(self, passages):  # type: ignore[no-untyped-def]
        if any("Note 399" in passage for passage in passages):
            raise EngineError("the engine is gone")
        return super().encode_documents(passages)
