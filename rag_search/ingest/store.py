"""Commit encoded groups to the index, and count them for the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from rag_search.errors import InputError
from rag_search.index import StagedStore, WriteStore
from rag_search.ingest.encode import EncodedGroup
from rag_search.ingest.prepare import Prepared
from rag_search.ingest.reports import Failure
from rag_search.records import Encoded


@dataclass
class Committer:
    """Commits a group at a time. paths: documents stored; empty: those of them without text."""

    writer: WriteStore
    paths: set[str] = field(default_factory=set)
    empty: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    warnings: list[Failure] = field(default_factory=list)
    unchanged: int = 0
    chunks: int = 0
    embedded: int = 0
    tokens: int = 0

    def commit(self, encoded: EncodedGroup) -> None:
        """Store the documents of a group in one commit."""
        group = encoded.group
        self.failures += group.failures
        self.unchanged += group.unchanged
        self.embedded += encoded.embedded
        self.tokens += encoded.tokens
        pending = encoded.pending or [()] * len(encoded.encoded)
        for prepared, rows, places in zip(group.documents, encoded.encoded, pending, strict=True):
            try:
                self._put(prepared, rows, places)
            except InputError as error:  # text that the database cannot store; the others go on
                self.failures.append(Failure.of(prepared.document.path, error))
                continue
            self._count(prepared)
        self.writer.commit()

    def _put(self, prepared: Prepared, rows: Encoded, pending: Sequence[int]) -> None:
        put = self.writer.put
        if pending:
            if not isinstance(self.writer, StagedStore):
                raise TypeError(f"{self.writer.path} takes no passage without vectors")
            put = partial(self.writer.put, pending=pending)
        put(prepared.document, prepared.chunks, rows, prepared.terms, state=prepared.state)

    def _count(self, prepared: Prepared) -> None:
        self.paths.add(prepared.document.path)
        self.chunks += len(prepared.chunks)
        if prepared.problem:
            self.warnings.append(Failure(prepared.document.path, prepared.problem))
        if not prepared.chunks:
            self.empty.append(prepared.document.path)
