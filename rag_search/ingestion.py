"""Make the index equal to the folders.

    walk -> compare size and mtime, then SHA-256 -> chunk what changed -> embed passages not seen before -> commit

A group of documents is one commit, so an interrupted run keeps what it has committed and the next one goes on from
there. A file that fails keeps its last good version in the index and is reported by name.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rag_search.chunking import chunk_document
from rag_search.corpus import SourceFile, Walk, read_document, walk
from rag_search.embed.base import Embedder
from rag_search.errors import InputError, RagSearchError
from rag_search.index import FileState, IndexWriter
from rag_search.lexical import terms
from rag_search.records import Chunk, Document, Encoded, TokenVectors

GROUP_CHUNKS = 256  # passages embedded between two commits: enough to batch by length, little to lose


@dataclass(frozen=True, slots=True)
class Failure:
    """A path that could not be ingested, and why in one sentence."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What separates the index from the folders. Paths as stored; `touched` changed on disk but not in content."""

    new: tuple[SourceFile, ...] = ()
    changed: tuple[SourceFile, ...] = ()
    touched: tuple[SourceFile, ...] = ()
    unchanged: int = 0
    removed: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()

    @property
    def work(self) -> tuple[SourceFile, ...]:
        return tuple(sorted((*self.new, *self.changed), key=lambda source: source.path))


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one run did. tokens: in the embedder's own tokens, of the passages that had to be embedded."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: tuple[Failure, ...] = ()
    empty: tuple[str, ...] = ()
    chunks: int = 0
    embedded: int = 0
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """max_tokens: of one passage. max_bytes: of one file. prune: remove what lies under other folders than these.
    allow_empty: a folder without Markdown removes what was stored from it, instead of being taken for a mistake."""

    max_tokens: int = 256
    max_bytes: int = 64 * 2**20
    prune: bool = False
    allow_empty: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """Progress after a commit: bytes and documents done of those to do."""

    documents: int
    documents_total: int
    bytes: int
    bytes_total: int
    tokens: int


def ingest(
    writer: IndexWriter,
    embedder: Embedder,
    roots: Sequence[Path],
    *,
    base: Path,
    options: IngestOptions | None = None,
    on_step: Callable[[Step], None] = lambda _: None,
) -> IngestReport:
    """Bring the index up to date with `roots` and report what was done.

    Documents under a root that are gone from disk leave the index; those under roots that are not named stay unless
    `options.prune`. Raises InputError for a root that is missing or holds no Markdown; failures of single files are
    in the report.
    """
    options = options or IngestOptions()
    start = time.perf_counter()
    plan = plan_sync(writer.files(), roots, base=base, options=options)
    run = _Run(writer, embedder, options, plan, on_step)
    writer.remove(plan.removed)
    for source in plan.touched:
        writer.touch(source.path, _state(source, writer.files()[source.path].content_hash))
    writer.set_roots(_merged_roots(writer.roots(), roots, prune=options.prune))
    writer.commit()
    for group in run.groups():
        run.store(group)
    writer.compact_if_needed()
    return run.report(time.perf_counter() - start)


def plan_sync(
    known: Mapping[str, FileState], roots: Sequence[Path], *, base: Path, options: IngestOptions | None = None
) -> Plan:
    """Compare the folders with `known` (path to state). Reads only files whose size or mtime changed."""
    options = options or IngestOptions()
    found = walk(roots, base=base)
    _refuse_empty(found, known, roots, options)
    failed = [Failure(problem.path, problem.reason) for problem in found.problems]
    new, changed, touched, unchanged = [], [], [], 0
    for source in found.files:
        state = known.get(source.path)
        if state is None:
            new.append(source)
        elif (state.size, state.mtime_ns) == (source.size, source.mtime_ns):
            unchanged += 1
        else:
            try:
                same = state.content_hash == _hash_file(source.absolute)
            except OSError as error:
                failed.append(Failure(source.path, f"cannot be read: {error.strerror}"))
                continue
            (touched if same else changed).append(source)
    return Plan(
        new=tuple(new),
        changed=tuple(changed),
        touched=tuple(touched),
        unchanged=unchanged + len(touched),
        removed=tuple(_gone(known, found, roots, base, options)),
        failed=tuple(failed),
    )


def _refuse_empty(found: Walk, known: Mapping[str, FileState], roots: Sequence[Path], options: IngestOptions) -> None:
    if found.files or options.allow_empty:
        return
    names = ", ".join(str(root) for root in roots)
    if found.problems:
        raise InputError(f"nothing under {names} could be read: {found.problems[0].path}: {found.problems[0].reason}.")
    kept = f" The index keeps the {len(known)} documents it has." if known else ""
    raise InputError(
        f"no Markdown files under {names}.{kept}",
        remedy="Name a folder with .md files" + (", or pass --allow-empty to remove them." if known else "."),
    )


def _gone(
    known: Mapping[str, FileState], found: Walk, roots: Sequence[Path], base: Path, options: IngestOptions
) -> Iterator[str]:
    """Known paths that are no longer there. What lies under a folder that could not be read is not gone."""
    present = {source.path for source in found.files}
    unreadable = [(base / problem.path).absolute() for problem in found.problems]
    absolute_roots = [root.absolute().resolve() for root in roots]
    for path in sorted(known):
        place = (base / path).absolute()
        if path in present or any(place.is_relative_to(folder) for folder in unreadable):
            continue
        if options.prune or any(place.is_relative_to(root) for root in absolute_roots):
            yield path


@dataclass
class _Run:
    """The state of one ingest: counters that the report and the progress read."""

    writer: IndexWriter
    embedder: Embedder
    options: IngestOptions
    plan: Plan
    on_step: Callable[[Step], None]
    failures: list[Failure] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    stored: set[str] = field(default_factory=set)
    documents: int = 0
    bytes: int = 0
    chunks: int = 0
    embedded: int = 0
    tokens: int = 0

    def groups(self) -> Iterator[list[_Prepared]]:
        """Documents read and chunked, gathered until a group holds about GROUP_CHUNKS chunks."""
        group: list[_Prepared] = []
        for source in self.plan.work:
            try:
                group.append(_prepare(source, self.embedder, self.options))
            except (RagSearchError, OSError) as error:
                reason = error.message if isinstance(error, RagSearchError) else f"cannot be read: {error.strerror}"
                self.failures.append(Failure(source.path, reason))
                self.documents, self.bytes = self.documents + 1, self.bytes + source.size
                continue
            if sum(len(prepared.chunks) for prepared in group) >= GROUP_CHUNKS:
                yield group
                group = []
        if group:
            yield group

    def store(self, group: Sequence[_Prepared]) -> None:
        """Embed what is new in the group and commit it."""
        passages = [chunk.passage for prepared in group for chunk in prepared.chunks]
        encoded = self._encode(passages)
        start = 0
        for prepared in group:
            stop = start + len(prepared.chunks)
            chunk_terms = [" ".join(terms(chunk.passage)) for chunk in prepared.chunks]
            self.writer.put(
                prepared.document, prepared.chunks, _rows(encoded, start, stop), chunk_terms, state=prepared.state
            )
            start = stop
        self.writer.commit()
        self._count(group)

    def _encode(self, passages: Sequence[str]) -> Encoded:
        """Vectors of the passages, in order; a passage that the index has already is not embedded again."""
        known = self.writer.stored(passages)
        fresh = [passage for passage in dict.fromkeys(passages) if passage not in known]
        self.embedded += len(fresh)
        self.tokens += int(self.embedder.count_tokens(fresh).sum()) if fresh else 0
        if fresh:
            made = self.embedder.encode_documents(fresh)
            known = {**known, **{passage: _rows(made, row, row + 1) for row, passage in enumerate(fresh)}}
        return _joined([known[passage] for passage in passages], self.embedder)

    def _count(self, group: Sequence[_Prepared]) -> None:
        self.documents += len(group)
        self.bytes += sum(prepared.source.size for prepared in group)
        self.chunks += sum(len(prepared.chunks) for prepared in group)
        self.stored.update(prepared.source.path for prepared in group)
        self.empty.extend(prepared.source.path for prepared in group if not prepared.chunks)
        work = self.plan.work
        total = sum(source.size for source in work)
        self.on_step(Step(self.documents, len(work), self.bytes, total, self.tokens))

    def report(self, seconds: float) -> IngestReport:
        return IngestReport(
            new=sum(source.path in self.stored for source in self.plan.new),
            changed=sum(source.path in self.stored for source in self.plan.changed),
            unchanged=self.plan.unchanged,
            removed=len(self.plan.removed),
            failed=(*self.plan.failed, *self.failures),
            empty=tuple(self.empty),
            chunks=self.chunks,
            embedded=self.embedded,
            tokens=self.tokens,
            seconds=seconds,
        )


@dataclass(frozen=True, slots=True)
class _Prepared:
    source: SourceFile
    document: Document
    chunks: tuple[Chunk, ...]
    state: FileState


def _prepare(source: SourceFile, embedder: Embedder, options: IngestOptions) -> _Prepared:
    document = read_document(source, max_bytes=options.max_bytes)
    chunks = chunk_document(document, count_tokens=embedder.count_tokens, max_tokens=options.max_tokens)
    return _Prepared(source, document, tuple(chunks), _state(source, document.content_hash))


def _rows(encoded: Encoded, start: int, stop: int) -> Encoded:
    """Rows `start:stop` of a batch, with their token vectors."""
    tokens = encoded.tokens
    if tokens is not None:
        ends = np.concatenate([[0], np.cumsum(tokens.lengths)])
        tokens = TokenVectors(tokens.rows[ends[start] : ends[stop]], tokens.lengths[start:stop])
    return Encoded(encoded.vectors[start:stop], tokens)


def _joined(parts: Sequence[Encoded], embedder: Embedder) -> Encoded:
    if not parts:
        none = TokenVectors(np.empty((0, embedder.token_dim), np.int8), np.empty(0, np.int64))
        return Encoded(np.empty((0, embedder.dim), np.float32), none if embedder.token_dim else None)
    tokens = [part.tokens for part in parts if part.tokens is not None]
    return Encoded(
        np.concatenate([part.vectors for part in parts]),
        TokenVectors(np.concatenate([t.rows for t in tokens]), np.concatenate([t.lengths for t in tokens]))
        if tokens
        else None,
    )


def _state(source: SourceFile, content_hash: str) -> FileState:
    return FileState(source.size, source.mtime_ns, content_hash)


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _merged_roots(known: Iterable[str], roots: Sequence[Path], *, prune: bool) -> list[str]:
    named = {str(root.absolute()) for root in roots}
    return sorted(named if prune else named | set(known))
