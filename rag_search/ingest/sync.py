"""Make the index equal to the folders.

    walk -> compare size and mtime, then SHA-256 -> chunk what changed -> encode new passages -> commit
    -> remove what is gone -> commit

A group of documents is one commit, so an interrupted run keeps what it committed, and the next run resumes there. A
file that fails keeps its last good version in the index and is reported by name.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal, NamedTuple

from rag_search.embed.base import Embedder
from rag_search.errors import InputError
from rag_search.index import FileState, StagedStore, WriteStore
from rag_search.ingest.encode import EncodedGroup, Encoder, FileEncoder, LocalEncoder
from rag_search.ingest.plan import plan_sync
from rag_search.ingest.prepare import group_items, prepare_files, prepare_texts
from rag_search.ingest.reports import LEGACY_CHUNKING, IngestOptions, IngestReport, Plan, Step
from rag_search.ingest.roots import known_roots, merged_roots
from rag_search.ingest.store import Committer
from rag_search.ingest.words_first import complete, without_vectors

OnStep = Callable[[Step], None]
OnCount = Callable[[int], None]
PASSAGE_BYTES = 600  # of a usual passage, for the progress


def sync_folders(
    writer: WriteStore,
    embedder: Embedder,
    roots: Sequence[Path],
    *,
    base: Path,
    options: IngestOptions | None = None,
    encoder: Encoder | None = None,
    workers: FileEncoder | None = None,
    on_found: OnCount = lambda _: None,
    on_tokens: OnCount = lambda _: None,
    on_step: OnStep = lambda _: None,
) -> IngestReport:
    """Make the index equal to `roots` and report what was done.

    Documents under a root are removed when their file is gone; those under other folders stay unless `options.prune`.
    encoder: where passages are encoded, None: in this process by `embedder`. workers: who reads, chunks
    and encodes files instead of this process. on_found: called with the files that the
    walk has found so far. on_tokens: called with the tokens of each batch that this process has embedded.
    Raises InputError for a root that is missing or has no documents; failures of single files are in the report.
    """
    options = options or IngestOptions()
    start = time.perf_counter()
    known = _known(writer, options)
    places = known_roots(writer, base=base)
    plan = plan_sync(known, roots, base=base, options=options, others=places, on_found=on_found)
    for source, content_hash in plan.touched:
        writer.touch(source.path, FileState(source.size, source.mtime_ns, content_hash))
    writer.set_base(base)
    writer.set_roots(merged_roots(places, roots, base=base, prune=options.prune))
    writer.commit()
    work = sorted((*plan.new, *plan.changed), key=lambda source: source.path)
    store = Committer(writer)
    total = _Total(len(work), sum(source.size for source in work))
    if workers:
        _store_all(store, workers.encode_files(work, options), total, on_step)
    else:
        items = group_items(prepare_files(work, count_tokens=embedder.count_tokens, options=options))
        if encoder is None and isinstance(writer, StagedStore) and total.size >= options.words_first:
            _store_all(store, without_vectors(items, embedder, writer.stored), total, on_step, stage="words")
        else:
            own = encoder or LocalEncoder(embedder, on_tokens)
            _store_all(store, own.encode(items, writer.stored), total, on_step)
    writer.remove(plan.removed)  # last: a renamed or moved file finds its vectors under the old name
    writer.commit()
    if isinstance(writer, StagedStore):
        _complete(store, writer, embedder, on_tokens=on_tokens, on_step=on_step)
    writer.maintain()
    return _report(plan, store, seconds=time.perf_counter() - start)


def _report(plan: Plan, store: Committer, *, seconds: float) -> IngestReport:
    """Return what came of a plan."""
    return IngestReport(
        new=sum(source.path in store.paths for source in plan.new),
        changed=sum(source.path in store.paths for source in plan.changed),
        unchanged=plan.unchanged,
        removed=len(plan.removed),
        failed=(*plan.failed, *store.failures),
        skipped=plan.skipped,
        empty=tuple(store.empty),
        chunks=store.chunks,
        embedded=store.embedded,
        tokens=store.tokens,
        seconds=seconds,
        warnings=tuple(store.warnings),
        unread=plan.unread,
    )


def sync_texts(
    writer: WriteStore,
    embedder: Embedder,
    texts: Iterable[tuple[str, str, str]],
    *,
    options: IngestOptions | None = None,
    on_step: OnStep = lambda _: None,
) -> IngestReport:
    """Make the index equal to (id, title, text) triples that are not in files, such as a BEIR corpus.

    Raises InputError for an id that occurs twice, before anything is changed.
    """
    options = options or IngestOptions()
    start = time.perf_counter()
    rows = list(texts)
    _require_distinct(document_id for document_id, _, _ in rows)
    known = dict(_known(writer, options))
    store = Committer(writer)
    items = prepare_texts(rows, known, count_tokens=embedder.count_tokens, options=options)
    total = _Total(len(rows), sum(len(text) for _, _, text in rows))
    _store_all(store, LocalEncoder(embedder).encode(group_items(items), writer.stored), total, on_step)
    gone = sorted(set(known).difference(document_id for document_id, _, _ in rows))
    writer.remove(gone)
    writer.commit()
    writer.maintain()
    changed = len(store.paths & set(known))
    return IngestReport(
        new=len(store.paths) - changed,
        changed=changed,
        unchanged=store.unchanged,
        removed=len(gone),
        failed=tuple(store.failures),
        empty=tuple(store.empty),
        chunks=store.chunks,
        embedded=store.embedded,
        tokens=store.tokens,
        seconds=time.perf_counter() - start,
    )


def _require_distinct(ids: Iterable[str]) -> None:
    for document_id, times in Counter(ids).most_common(1):
        if times > 1:
            raise InputError(f"{times} texts have the id {document_id!r}.", remedy="Give every text its own id.")


def _known(writer: WriteStore, options: IngestOptions) -> Iterator[tuple[str, FileState]]:
    """Return paths and states of the indexed files, all OUTDATED if they were chunked by other rules.

    Passages that come out as before are not embedded again.
    """
    if (writer.chunking() or LEGACY_CHUNKING) != options.chunking:
        writer.set_chunking(options.chunking)
    return writer.files()


class _Total(NamedTuple):
    """The work to do: documents, and bytes of files or characters of texts."""

    documents: int
    size: int


def _store_all(
    store: Committer,
    groups: Generator[EncodedGroup, None, None],
    total: _Total,
    on_step: OnStep,
    *,
    stage: Literal["", "words"] = "",
) -> None:
    """Commit group by group, as they are encoded; `on_step` also hears of the start."""
    documents = size = 0
    if total.documents:
        on_step(Step(0, total.documents, 0, total.size, 0, stage))
    with closing(groups):
        for encoded in groups:
            store.commit(encoded)
            documents += len(encoded.group.items)
            size += sum(item.size for item in encoded.group.items)
            on_step(Step(documents, total.documents, size, total.size, store.tokens, stage))


def _complete(
    store: Committer, writer: StagedStore, embedder: Embedder, *, on_tokens: OnCount, on_step: OnStep
) -> None:
    """Make the vectors that are missing, also those that an interrupted run left."""
    total = writer.pending_count()
    if total:
        on_step(Step(0, total, 0, total * PASSAGE_BYTES, store.tokens, "meaning"))
    done = 0
    for batch in complete(writer, embedder, on_tokens):
        done += batch.passages
        store.embedded += batch.embedded
        store.tokens += batch.tokens
        on_step(Step(done, total, done * PASSAGE_BYTES, total * PASSAGE_BYTES, store.tokens, "meaning"))
