"""Read the tables of an evaluation set as other tools write them: JSON lines, TSV, TREC, Parquet."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rag_search.errors import InputError, MissingExtraError

QRELS_SUFFIXES = (".tsv", ".txt", ".qrels", ".trec", ".jsonl", ".parquet")
_ROW_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
_QUERY_IDS = ("query-id", "query_id", "qid")
_DOCUMENT_IDS = ("corpus-id", "corpus_id", "doc-id", "doc_id", "docid", "pid")

Judgment = tuple[str, str, str]  # query id, document id, grade as written


def rows_file(root: Path, name: str) -> Path | None:
    """Return the table `name` of a set: `NAME.jsonl`, `.jsonl.gz` or `.parquet`, or a folder with one such file."""
    files = [root / f"{name}{suffix}" for suffix in _ROW_SUFFIXES]
    if (root / name).is_dir():
        files += sorted(file for file in (root / name).iterdir() if file.name.endswith(_ROW_SUFFIXES))
    return next((file for file in files if file.is_file()), None)


def read_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows of a table with their numbers. Raises InputError for a row that cannot be read."""
    if path.suffix == ".parquet":
        yield from enumerate(_parquet(path), 1)
        return
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}:{number} is not JSON: {error}.") from error
        if not isinstance(row, dict):
            raise InputError(f"{path}:{number} is not a JSON object.")
        yield number, row


def row_id(row: Mapping[str, Any], place: str) -> str:
    """Return the id of a row, `_id` or `id`. Raises InputError if it has none."""
    for key in ("_id", "id"):
        if row.get(key) is not None:
            return str(row[key])
    raise InputError(f"{place} has no field '_id'.", remedy="Give every row an `_id`.")


def read_judgments(path: Path) -> Iterator[tuple[int, Judgment]]:
    """Yield the judgments of a file with their line numbers; header lines and unreadable grades are the caller's."""
    if path.suffix in (".jsonl", ".parquet"):
        for number, row in read_rows(path):
            query = next((row[key] for key in _QUERY_IDS if key in row), None)
            document = next((row[key] for key in _DOCUMENT_IDS if key in row), None)
            if query is None or document is None:
                raise InputError(f"{path}:{number} has no query-id or corpus-id.")
            yield number, (str(query), str(document), str(row.get("score", row.get("relevance", 1))))
        return
    for number, line in enumerate(_lines(path), 1):
        fields = _fields(line.rstrip("\r"))
        if len(fields) == 4:  # TREC: query, iteration, document, grade
            fields = [fields[0], fields[2], fields[3]]
        if fields and len(fields) != 3:
            raise InputError(
                f"{path}:{number} is not `query-id<TAB>document-id<TAB>grade`: {line[:80]!r}.",
                remedy="TREC's four columns are read as well: `query-id 0 document-id grade`.",
            )
        if fields:
            yield number, (fields[0], fields[1], fields[2])


def _fields(line: str) -> list[str]:
    if not line.strip():
        return []
    fields = next(csv.reader([line], delimiter="\t")) if '"' in line else line.split("\t")
    return fields if len(fields) > 1 else line.split()


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError as error:
        raise MissingExtraError("pyarrow", "parquet") from error
    try:
        for batch in ParquetFile(path).iter_batches():
            yield from batch.to_pylist()
    except (OSError, ArrowException) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error


def _lines(path: Path) -> list[str]:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return content.decode("utf-8-sig").split("\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
