"""Read one file as one document: bytes, text, metadata."""

from __future__ import annotations

import hashlib
import os
import shlex

from rag_search.documents.formats import DecodingError, Format, ParsedText, format_of
from rag_search.documents.found import SourceFile
from rag_search.documents.git_dates import CommitDays
from rag_search.documents.metadata import title_of, updated_on
from rag_search.errors import InputError
from rag_search.records import Document
from rag_search.runtime.files import open_regular

MAX_BYTES = 64 * 1024 * 1024
ATTEMPTS = 3


def read_document(source: SourceFile, *, max_bytes: int = MAX_BYTES) -> Document:
    """Return the document in `source`; raise as `read_parsed` does."""
    return read_parsed(source, max_bytes=max_bytes)[0]


def read_parsed(
    source: SourceFile, *, max_bytes: int = MAX_BYTES, commit_days: CommitDays | None = None
) -> tuple[Document, ParsedText]:
    """Return the document in `source` and the structure of its text.

    commit_days: dates it if it says nothing itself; None: only the file's time does.

    Raises:
        InputError: the file cannot be read, is larger than `max_bytes`, is not a text of its format, or keeps
            changing while it is read.
    """
    content, mtime_ns = _unchanging(source, max_bytes=max_bytes)
    format_ = format_of(source.path)
    text = _decoded(content, format_, source)
    _check_size(len(text), source.path, max_bytes)  # a packed file may hold much more than its bytes
    parsed = format_.parse(text)
    updated, updated_from = updated_on(
        parsed.metadata,
        path=source.path,
        mtime_ns=mtime_ns,
        committed=lambda: commit_days.day(source.absolute) if commit_days else "",
    )
    document = Document(
        path=source.path,
        title=title_of(parsed.title, path=source.path),
        text=text,
        metadata=parsed.metadata,
        updated=updated,
        updated_from=updated_from,
        content_hash=hashlib.sha256(content).hexdigest(),
        format=format_.name,
    )
    return document, parsed


def _decoded(content: bytes, format_: Format, source: SourceFile) -> str:
    try:
        return format_.decode(content)
    except DecodingError as error:
        remedy = error.remedy.replace("FILE", shlex.quote(str(source.absolute)))
        raise InputError(f"{source.path} {error.problem}", remedy=remedy) from error


def _unchanging(source: SourceFile, *, max_bytes: int) -> tuple[bytes, int]:
    """Return bytes and mtime of one moment."""
    for _ in range(ATTEMPTS):
        try:
            with open_regular(source.absolute) as file:
                before = os.fstat(file.fileno())
                _check_size(before.st_size, source.path, max_bytes)
                content = file.read(max_bytes + 1)
                after = os.fstat(file.fileno())
        except OSError as error:
            raise InputError(f"{source.path} cannot be read: {error.strerror or error}.") from error
        _check_size(len(content), source.path, max_bytes)
        if (
            (before.st_size, before.st_mtime_ns)
            == (after.st_size, after.st_mtime_ns)
            == (len(content), after.st_mtime_ns)
        ):
            return content, after.st_mtime_ns
    raise InputError(f"{source.path} changes while it is read.", remedy="Run it again when it is written.")


def _check_size(size: int, path: str, max_bytes: int) -> None:
    if size > max_bytes:
        raise InputError(
            f"{path} has {size:,} bytes or more; the limit is {max_bytes:,}.",
            remedy="Split it, exclude it in .ragsearchignore, or raise the limit.",
        )
