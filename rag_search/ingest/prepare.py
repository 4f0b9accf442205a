"""Read and chunk files and texts, in groups: the part of an ingest that needs neither the model nor the index.

It runs a group ahead of the encoder, in a background thread, so that the model does not wait for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from rag_search.chunking import chunk_document
from rag_search.documents import SourceFile, read_parsed
from rag_search.documents.formats import ParsedText
from rag_search.documents.git_dates import CommitDays
from rag_search.errors import InputError, RagSearchError, first_line
from rag_search.index import FileState
from rag_search.ingest.reports import Failure, IngestOptions
from rag_search.records import Chunk, CountTokens, Document
from rag_search.text.names import chunk_terms
from rag_search.text.passages import hidden_addresses
from rag_search.text.terms import terms

GROUP_CHUNKS = 256  # passages between two commits: enough to batch by length, few to lose


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document with its chunks, ready to be encoded.

    terms: those of each chunk, joined by spaces. problem: what cost a part of the text, "" if nothing did.
    """

    document: Document
    chunks: tuple[Chunk, ...]
    terms: tuple[str, ...]
    state: FileState
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A file or text of `size` bytes or characters. outcome: the document, the failure, or None if unchanged."""

    size: int
    outcome: Prepared | Failure | None


@dataclass(frozen=True, slots=True)
class Group:
    """Items with about GROUP_CHUNKS passages, encoded and committed together."""

    items: tuple[Item, ...]

    @property
    def documents(self) -> list[Prepared]:
        """Documents to encode and store."""
        return [item.outcome for item in self.items if isinstance(item.outcome, Prepared)]

    @property
    def failures(self) -> list[Failure]:
        """Files and texts that failed."""
        return [item.outcome for item in self.items if isinstance(item.outcome, Failure)]

    @property
    def unchanged(self) -> int:
        """Number of items that the index has already."""
        return sum(item.outcome is None for item in self.items)


def group_items(items: Iterable[Item]) -> Iterator[Group]:
    """Group items in order; the one that reaches GROUP_CHUNKS passages ends its group."""
    group: list[Item] = []
    chunks = 0
    for item in items:
        group.append(item)
        chunks += len(item.outcome.chunks) if isinstance(item.outcome, Prepared) else 0
        if chunks >= GROUP_CHUNKS:
            yield Group(tuple(group))
            group, chunks = [], 0
    if group:
        yield Group(tuple(group))


def prepare_files(
    sources: Sequence[SourceFile], *, count_tokens: CountTokens, options: IngestOptions
) -> Iterator[Item]:
    """Read and chunk each file; any error of one is its Failure, and the others go on.

    Raises RagSearchError other than InputError: the tokenizer that all need.
    """
    commit_days = CommitDays(source.absolute for source in sources)
    for source in sources:
        prepare = partial(_prepare_file, source, count_tokens, options, commit_days)
        yield Item(source.size, _or_failure(source.path, prepare))


def _prepare_file(
    source: SourceFile, count_tokens: CountTokens, options: IngestOptions, commit_days: CommitDays
) -> Prepared:
    document, parsed = read_parsed(source, max_bytes=options.max_bytes, commit_days=commit_days)
    state = FileState(source.size, source.mtime_ns, document.content_hash)
    return _prepare(document, state, count_tokens, options.max_tokens, parsed)


def prepare_texts(
    rows: Sequence[tuple[str, str, str]],
    known: Mapping[str, FileState],
    *,
    count_tokens: CountTokens,
    options: IngestOptions,
) -> Iterator[Item]:
    """Chunk each (id, title, text) that differs from its state in `known`."""
    for document_id, title, text in rows:
        digest = hashlib.sha256(f"{title}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()
        state = FileState(len(text), 0, digest)
        if known.get(document_id) == state:
            yield Item(len(text), None)
            continue
        document = Document(document_id, title, text, {}, "", digest)
        prepare = partial(_prepare_text, document, state, count_tokens, options)
        yield Item(len(text), _or_failure(document_id, prepare))


def _prepare_text(document: Document, state: FileState, count_tokens: CountTokens, options: IngestOptions) -> Prepared:
    prepared = _prepare(document, state, count_tokens, options.max_tokens)
    lines = tuple(" ".join(terms(chunk.passage)) for chunk in prepared.chunks)  # an id is not the name of a file
    return replace(prepared, terms=lines)


def _or_failure(path: str, prepare: Callable[[], Prepared]) -> Prepared | Failure:
    """Return what `prepare` returns, or its error as the Failure of one document."""
    try:
        return prepare()
    except InputError as error:
        return Failure.of(path, error)
    except RagSearchError:
        raise
    except Exception as error:  # noqa: BLE001 - one file must not end the ingest of all others
        return Failure.of(path, InputError(f"{path} cannot be processed: {type(error).__name__}: {first_line(error)}."))


def _prepare(
    document: Document,
    state: FileState,
    count_tokens: CountTokens,
    max_tokens: int,
    parsed: ParsedText | None = None,
) -> Prepared:
    chunks = tuple(chunk_document(document, count_tokens=count_tokens, max_tokens=max_tokens, parsed=parsed))
    lines = tuple(chunk_terms(document, chunk.passage, hidden_addresses(chunk)) for chunk in chunks)
    return Prepared(document, chunks, lines, state, parsed.problem if parsed else "")
