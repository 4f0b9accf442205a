"""Read the tables of an evaluation set as other tools write them: JSON lines, TSV, TREC, Parquet."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rag_search.errors import InputError, MissingExtraError
from rag_search.runtime.foreign_json import parse_json

_PLAIN = (".tsv", ".txt", ".qrels", ".trec", ".jsonl")
_QRELS_SUFFIXES = (*_PLAIN, *(f"{suffix}.gz" for suffix in _PLAIN), ".parquet")
_ROW_SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet", ".tsv", ".tsv.gz")
_QUERY_IDS = ("query-id", "query_id", "qid")
_DOCUMENT_IDS = ("corpus-id", "corpus_id", "doc-id", "doc_id", "docid", "pid")
_IDS = ("_id", "id", *_DOCUMENT_IDS, *_QUERY_IDS)
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")  # how the datasets library names the parts of a table
_JSON_LINES = "Write one JSON object a line."

Judgment = tuple[str, str, str]  # query id, document id, grade as written


def rows_files(root: Path, name: str) -> list[Path]:
    """Return the files of the table `name`: `NAME.jsonl` (or another form), its parts, or all in the folder `NAME`."""
    for suffix in _ROW_SUFFIXES:
        if (root / f"{name}{suffix}").is_file():
            return [root / f"{name}{suffix}"]
    for folder in (root, root / name):
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        parts = [file for file in files if table_name(file, _ROW_SUFFIXES) is not None and file.is_file()]
        parts = [file for file in parts if folder != root or table_name(file, _ROW_SUFFIXES) == name]
        if parts:
            return parts
    return []


def qrels_files(folder: Path) -> dict[str, list[Path]]:
    """Return the judgments in a folder: name -> files, several if a table has parts."""
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.glob("*")):
        name = table_name(file, _QRELS_SUFFIXES)
        if name is not None and file.is_file():
            found.setdefault(name, []).append(file)
    return found


def table_name(file: Path, suffixes: Sequence[str]) -> str | None:
    """Return the name of a file without its suffix and the number of its part; None for other files."""
    suffix = next((suffix for suffix in sorted(suffixes, key=len, reverse=True) if file.name.endswith(suffix)), None)
    return None if suffix is None else _SHARD.sub("", file.name.removesuffix(suffix))


def read_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the rows of a table with their numbers. Raises InputError for a row that cannot be read."""
    if path.suffix == ".parquet":
        yield from enumerate(_parquet(path), 1)
        return
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        if ".tsv" in path.suffixes:
            name, *texts = line.rstrip("\r").split("\t")
            if number > 1 or name not in _IDS:
                yield number, {"_id": name, "title": " ".join(texts[:-1]), **({"text": texts[-1]} if texts else {})}
            continue
        try:
            row = parse_json(line)
        except ValueError as error:
            raise InputError(f"{path}:{number} is not JSON: {error}.", remedy=_JSON_LINES) from error
        if not isinstance(row, dict):
            raise InputError(f"{path}:{number} is not a JSON object.", remedy=_JSON_LINES)
        yield number, row


def row_id(row: Mapping[str, Any], place: str) -> str:
    """Return the id of a row, by any of its usual names. Raises InputError if it has none."""
    for key in _IDS:
        if row.get(key) is not None:
            return str(row[key])
    raise InputError(f"{place} has no field '_id'.", remedy="Give every row an `_id`.")


def row_text(row: Mapping[str, Any], place: str) -> str:
    """Return the text of a row; Pyserini calls it `contents`. Raises InputError if it has none."""
    for key in ("text", "contents"):
        if key in row:
            return "" if row[key] is None else str(row[key])
    raise InputError(f"{place} has no field 'text'.", remedy="Give every row a `text`.")


def read_judgments(path: Path) -> Iterator[tuple[int, Judgment]]:
    """Yield the judgments of a file with their line numbers; header lines and unreadable grades are the caller's."""
    if {".jsonl", ".parquet"} & set(path.suffixes):
        for number, row in read_rows(path):
            query = next((row[key] for key in _QUERY_IDS if key in row), None)
            document = next((row[key] for key in _DOCUMENT_IDS if key in row), None)
            if query is None or document is None:
                remedy = "Give every row a `query-id` and a `corpus-id`."
                raise InputError(f"{path}:{number} has no query-id or corpus-id.", remedy=remedy)
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
        remedy = "Put a readable Parquet file in its place."
        raise InputError(f"{path} cannot be read: {error}.", remedy=remedy) from error


def _lines(path: Path) -> list[str]:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return content.decode("utf-8-sig").split("\n")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        remedy = "Put a readable file of UTF-8 text in its place, or one packed with gzip."
        raise InputError(f"{path} cannot be read: {error}.", remedy=remedy) from error
