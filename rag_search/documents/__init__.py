"""Folders to documents: find the files (`walk`), read one (`read_document`)."""

from rag_search.documents.found import SkippedPath, SourceFile
from rag_search.documents.ignore import IGNORE_FILES, is_ignored
from rag_search.documents.read import MAX_BYTES, read_document, read_parsed
from rag_search.documents.selection import Selection
from rag_search.documents.walk import SUFFIXES, walk

__all__ = [
    "IGNORE_FILES",
    "MAX_BYTES",
    "SUFFIXES",
    "Selection",
    "SkippedPath",
    "SourceFile",
    "is_ignored",
    "read_document",
    "read_parsed",
    "walk",
]
