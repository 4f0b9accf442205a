"""One file to one document: bytes, text, metadata."""

from __future__ import annotations

import hashlib
import os
import shlex
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path

from rag_search.documents.formats.markdown.front_matter import front_matter
from rag_search.documents.metadata import read_metadata, title_of, updated_on
from rag_search.documents.walk import SourceFile
from rag_search.errors import InputError
from rag_search.records import Document

MAX_BYTES = 64 * 1024 * 1024
ATTEMPTS = 3


def read_document(source: SourceFile, *, max_bytes: int = MAX_BYTES) -> Document:
    """The document in `source`. Title, date and metadata as in `records.Document`; front matter stays in the text.

    Raises InputError when the file cannot be read, is larger than `max_bytes`, is not UTF-8 (or UTF-16 with a byte
    order mark), holds a NUL, or keeps changing while it is read.
    """
    content, mtime_ns = _unchanging(source, max_bytes=max_bytes)
    text = _decoded(content, source)
    front = front_matter(text)
    metadata = read_metadata(front)
    return Document(
        path=source.path,
        title=title_of(metadata, text[front.end :], path=source.path),
        text=text,
        metadata=metadata,
        updated=updated_on(metadata, mtime_ns=mtime_ns),
        content_hash=hashlib.sha256(content).hexdigest(),
    )


def _unchanging(source: SourceFile, *, max_bytes: int) -> tuple[bytes, int]:
    """Bytes and mtime of a moment at which both belonged together."""
    for _ in range(ATTEMPTS):
        try:
            with source.absolute.open("rb") as file:
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


def _decoded(content: bytes, source: SourceFile) -> str:
    path = source.path
    encoding, body, unit = "utf-8", content.removeprefix(BOM_UTF8), b"\n"
    for mark, name in ((BOM_UTF16_LE, "utf-16-le"), (BOM_UTF16_BE, "utf-16-be")):
        if content.startswith(mark):
            encoding, body, unit = name, content.removeprefix(mark), "\n".encode(name)
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        offset = error.start + len(content) - len(body)
        line = body[: error.start].count(unit) + 1
        raise InputError(
            f"{path} is not {encoding.upper()}: byte {offset:,} in line {line:,} is 0x{content[offset]:02x}.",
            remedy=_encoding_remedy(body, source.absolute),
        ) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise InputError(f"{path} looks binary: a NUL in line {line:,}.", remedy="Exclude it in .ragsearchignore.")
    return text


def _encoding_remedy(body: bytes, file: Path) -> str:
    try:
        body.decode("gb18030")
    except UnicodeDecodeError:
        return "Save it as UTF-8."
    return f"If it is Chinese in GBK, convert it: iconv -f GB18030 -t UTF-8 {shlex.quote(str(file))}"
