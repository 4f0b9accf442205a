"""Make the index equal to the folders.

    walk -> compare size and mtime, then SHA-256 -> chunk what changed -> embed passages not seen before -> commit

A group of documents is one commit, so an interrupted run keeps what it has committed and the next one goes on from
there. A file that fails keeps its last good version in the index and is reported by name.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rag_search.corpus import SourceFile, read_document
from rag_search.embed.base import Embedder
from rag_search.errors import InputError
from rag_search.index import FileState, IndexWriter
from rag_search.ingestion.plan import plan_sync
from rag_search.ingestion.reports import Failure, IngestOptions, IngestReport, Step
from rag_search.ingestion.storing import Store
from rag_search.records import Document

OnStep = Callable[[Step], None]


def ingest(
    writer: IndexWriter,
    embedder: Embedder,
    roots: Sequence[Path],
    *,
    base: Path,
    options: IngestOptions | None = None,
    on_step: OnStep = lambda _: None,
) -> IngestReport:
    """Bring the index up to date with `roots` and report what was done.

    Documents under a root that are gone from disk leave the index; those under folders that are not named stay unless
    `options.prune`. Raises InputError for a root that is missing or holds no Markdown; failures of single files are
    in the report.
    """
    options = options or IngestOptions()
    start = time.perf_counter()
    known = writer.files()
    plan = plan_sync(known, roots, base=base, options=options)
    writer.remove(plan.removed)
    for source in plan.touched:
        writer.touch(source.path, _state(source, known[source.path].content_hash))
    writer.set_roots(_merged_roots(writer.roots(), roots, prune=options.prune))
    writer.commit()
    store = Store(writer, embedder, options.max_tokens)
    work = sorted((*plan.new, *plan.changed), key=lambda source: source.path)
    failed = _store_files(store, work, options, on_step)
    writer.maintain()
    return IngestReport(
        new=sum(source.path in store.paths for source in plan.new),
        changed=sum(source.path in store.paths for source in plan.changed),
        unchanged=plan.unchanged,
        removed=len(plan.removed),
        failed=(*plan.failed, *failed),
        skipped=plan.skipped,
        empty=tuple(store.empty),
        chunks=store.chunks,
        embedded=store.embedded,
        tokens=store.tokens,
        seconds=time.perf_counter() - start,
    )


def ingest_texts(
    writer: IndexWriter,
    embedder: Embedder,
    texts: Iterable[tuple[str, str, str]],
    *,
    options: IngestOptions | None = None,
    on_step: OnStep = lambda _: None,
) -> IngestReport:
    """Make the index equal to (id, title, text) triples that are in no file, such as a BEIR corpus."""
    options = options or IngestOptions()
    start = time.perf_counter()
    known, seen, unchanged = writer.files(), set[str](), 0
    store = Store(writer, embedder, options.max_tokens)
    rows = list(texts)
    total = sum(len(text) for _, _, text in rows)
    done = 0
    for number, (document_id, title, text) in enumerate(rows, 1):
        seen.add(document_id)
        done += len(text)
        digest = hashlib.sha256(f"{title}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()
        if document_id in known and known[document_id].content_hash == digest:
            unchanged += 1
            continue
        document = Document(document_id, title, text, {}, "", digest)
        if store.add(document, FileState(len(text), 0, digest)):
            on_step(Step(number, len(rows), done, total, store.tokens))
    store.flush()
    gone = sorted(set(known) - seen)
    writer.remove(gone)
    writer.commit()
    writer.maintain()
    changed = len(store.paths & set(known))
    return IngestReport(
        new=len(store.paths) - changed,
        changed=changed,
        unchanged=unchanged,
        removed=len(gone),
        failed=tuple(store.failures),
        empty=tuple(store.empty),
        chunks=store.chunks,
        embedded=store.embedded,
        tokens=store.tokens,
        seconds=time.perf_counter() - start,
    )


def _store_files(store: Store, work: Sequence[SourceFile], options: IngestOptions, on_step: OnStep) -> list[Failure]:
    """Read and store each file; a file that cannot be read is a failure and not the end."""
    failed = []
    total, done = sum(source.size for source in work), 0
    for number, source in enumerate(work, 1):
        done += source.size
        try:
            document = read_document(source, max_bytes=options.max_bytes)
        except InputError as error:
            failed.append(Failure(source.path, error.message))
            continue
        store.add(document, _state(source, document.content_hash))
        on_step(Step(number, len(work), done, total, store.tokens))
    store.flush()
    return failed + store.failures


def _state(source: SourceFile, content_hash: str) -> FileState:
    return FileState(source.size, source.mtime_ns, content_hash)


def _merged_roots(known: Iterable[str], roots: Sequence[Path], *, prune: bool) -> list[str]:
    named = {os.path.abspath(root.expanduser()) for root in roots}  # noqa: PTH100 (as `walk` names them)
    return sorted(named if prune else named | set(known))
