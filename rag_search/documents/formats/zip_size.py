"""Refuse Office files that unpack to more than a machine can hold."""

from __future__ import annotations

import io
import zipfile
import zlib

from rag_search.documents.formats.base import DecodingError

BROKEN = "Open it and save it again, or exclude it in .ragsearchignore."
MAX_UNPACKED_BYTES = 512 * 1024 * 1024
MAX_XML_BYTES = 64 * 1024 * 1024  # its tree takes up to 35 times as much memory
_HEAD_BYTES = 4096
_BLANK = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"  # byte order marks, too


def check_zip(content: bytes) -> None:
    """Raise DecodingError for a file that is not a ZIP archive or unpacks to too much."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(info.file_size for info in archive.infolist())
            xml = sum(info.file_size for info in archive.infolist() if _is_xml(archive, info))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OSError) as error:
        raise DecodingError("is not an Office file.", BROKEN) from error
    if size > MAX_UNPACKED_BYTES or xml > MAX_XML_BYTES:
        raise DecodingError(f"unpacks to {size:,} bytes, {xml:,} of XML.", "Exclude it in .ragsearchignore.")


def _is_xml(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    """Return whether a part begins as XML does: libraries parse it whatever its name is."""
    with archive.open(info) as part:
        return part.read(_HEAD_BYTES).lstrip(_BLANK).startswith(b"<")
