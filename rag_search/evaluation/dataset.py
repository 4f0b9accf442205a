"""Read questions, judgments and documents of an evaluation set.

There are two layouts. BEIR: `corpus.jsonl` {_id, title, text}, `queries.jsonl` {_id, text, ...}, `qrels/NAME.tsv`
(query-id, corpus-id, score). Markdown tree: `docs/` judged by path relative to it, from `qrels.tsv` or from
`qrels/pages-*.tsv`. What other tools write is read as well, in parts and under other names: see `tables`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rag_search.errors import InputError
from rag_search.evaluation.tables import qrels_files, read_judgments, read_rows, row_id, row_text, rows_files
from rag_search.text.query import parse_query
from rag_search.text.sanitize import plain
from rag_search.text.scripts import HAN, KANA

QRELS_FOLDERS = ("qrels", "default", "data")  # MTEB has the last two


@dataclass(frozen=True, slots=True)
class EvalQuery:
    """One question.

    kind, lang: groups of the report; `lang` is guessed from the script if the file has none.
    """

    query_id: str
    text: str
    instruction: str | None
    kind: str
    lang: str
    split: str

    @property
    def literal(self) -> str:
        """The question with a leading bracket marked as text, since in a dataset it is not an instruction."""
        bare = self.text.lstrip()
        return "\\" + bare if bare.startswith("[") else self.text


@dataclass(frozen=True, slots=True)
class Dataset:
    """Questions with judgments.

    queries: those of the split that are judged or of kind `none`, in file order. qrels: query id -> document id ->
    grade > 0; a query without a key there has no answer in the corpus. docs: folder of a Markdown tree, None for BEIR.
    """

    name: str
    root: Path
    qrels_name: str
    queries: tuple[EvalQuery, ...]
    qrels: Mapping[str, Mapping[str, int]]
    docs: Path | None

    @property
    def corpus(self) -> Sequence[Path]:
        """The files of the table of documents of a BEIR set."""
        return rows_files(self.root, "corpus")

    @property
    def judged(self) -> tuple[EvalQuery, ...]:
        """Questions with a judgment."""
        return tuple(query for query in self.queries if query.query_id in self.qrels)

    @property
    def unanswerable(self) -> tuple[EvalQuery, ...]:
        """Questions without an answer in the corpus (kind `none`)."""
        return tuple(q for q in self.queries if q.kind == "none" and q.query_id not in self.qrels)

    def absent(self, documents: Iterable[str]) -> list[str]:
        """Return the documents judged right for a question that are not among `documents`, sorted.

        Raises InputError if none of them is there: no system could find anything.
        """
        judged = {document for query in self.judged for document in self.qrels[query.query_id]}
        absent = sorted(judged.difference(documents))
        if absent and len(absent) == len(judged):
            where = "Paths there are relative to docs/." if self.docs else "Ids there are those of the corpus."
            what = f"no judged document of {self.qrels_name} is in the set: not even {plain(absent[0])[:80]!r}."
            raise InputError(what, remedy=where)
        return absent


def load_dataset(root: Path, *, qrels: str | None = None, split: str | None = None) -> Dataset:
    """Read a set from a folder.

    qrels: name of the judgments, needed if there are several and none is called `test`. split: only these questions.
    Raises InputError for a missing folder, file, name or split, for a line that cannot be read, and for a question
    that cannot be asked.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder.", remedy="Name a folder with queries.jsonl and qrels.")
    name, qrels_parts = _qrels(root, qrels)
    by_path = qrels_parts[0].parent == root or name.startswith("pages-")
    judgments = _read_qrels(qrels_parts)
    questions = rows_files(root, "queries") or [root / "queries.jsonl"]
    found = [query for file in questions for query in _read_queries(file)]
    queries = [q for q in found if q.query_id in judgments or q.kind == "none"]
    if not queries:
        remedy = "Each line there is `query-id<TAB>document-id<TAB>grade`; grade 0 judges nothing."
        raise InputError(f"no question of {questions[0]} is judged in {qrels_parts[0]}.", remedy=remedy)
    wanted = [q for q in queries if split is None or not q.split or q.split == split]
    if not wanted:
        splits = sorted({q.split for q in queries})
        raise InputError(f"{root} has no judged question in split {split!r}.", remedy=f"Splits: {', '.join(splits)}")
    _require_askable(wanted, questions[0])
    docs = root / "docs" if by_path else None
    if docs is None and not rows_files(root, "corpus"):
        raise InputError(f"{root / 'corpus.jsonl'} is missing.", remedy="A BEIR folder holds it beside queries.jsonl.")
    return Dataset(root.resolve().name, root, name, tuple(wanted), judgments, docs)


def read_corpus(files: Path | Sequence[Path]) -> Iterator[tuple[str, str, str]]:
    """Yield id, title and text of each row of a BEIR corpus."""
    for path in [files] if isinstance(files, Path) else files:
        for number, row in read_rows(path):
            place = f"{path}:{number}"
            yield row_id(row, place), str(row.get("title") or ""), row_text(row, place)


def _require_askable(queries: Sequence[EvalQuery], path: Path) -> None:
    """Raise InputError for an id that two questions have, or for a question that no search takes."""
    for query_id, times in Counter(query.query_id for query in queries).most_common(1):
        if times > 1:
            raise InputError(f"{path}: {times} questions have the id {query_id!r}.", remedy="Give each its own.")
    for query in queries:
        try:
            parse_query(query.literal)
        except InputError as error:
            raise InputError(f"{path}: question {query.query_id!r}: {error.message}", remedy=error.remedy) from error


def _qrels(root: Path, name: str | None) -> tuple[str, list[Path]]:
    """Return the name of the judgments and their files."""
    if name is None and (root / "qrels.tsv").is_file():
        return "qrels", [root / "qrels.tsv"]
    folder = next((root / folder for folder in QRELS_FOLDERS if qrels_files(root / folder)), root / "qrels")
    found = qrels_files(folder)
    names = list(found)
    if not found and (root / "qrels.tsv").is_file():
        raise InputError(f"{root} has no judgments {name!r}, only qrels.tsv.", remedy="Remove --qrels.")
    if not found:
        remedy = "Write qrels.tsv there, a judgment a line: query-id<TAB>document-id<TAB>grade."
        raise InputError(f"{root} has neither qrels.tsv nor qrels/*.tsv.", remedy=remedy)
    wanted = name or ("test" if "test" in names else names[0] if len(names) == 1 else None)
    if wanted is None or wanted not in names:
        what = "several judgments" if wanted is None else f"no judgments {wanted!r}"
        raise InputError(f"{folder} has {what}.", remedy=f"Pass --qrels with one of: {', '.join(names)}")
    return wanted, found[wanted]


def _read_qrels(files: Sequence[Path]) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {}
    rows = ((path, number, row) for path in files for number, row in read_judgments(path))
    for path, number, (query, document, written) in rows:
        grade = _number(written)
        if number == 1 and grade is None:  # the header is optional
            continue
        if grade is None or not grade.is_integer():
            line = "\t".join((query, document, written))
            raise InputError(
                f"{path}:{number} is not `query-id<TAB>document-id<TAB>grade`: {line[:80]!r}.",
                remedy="Write the grade as a whole number.",
            )
        if grade > 0:
            qrels.setdefault(query, {})[document] = int(grade)
    return qrels


def _number(text: str) -> float | None:
    """Return a grade, which some tools write as `1.0`; None for a word."""
    try:
        return float(text)
    except ValueError:
        return None


def _read_queries(path: Path) -> Iterator[EvalQuery]:
    for number, row in read_rows(path):
        extra = row.get("metadata")
        extra = extra if isinstance(extra, dict) else {}  # other tools write what they like there
        instruction = row.get("instruction") or None
        if not isinstance(instruction, str | None):
            raise InputError(
                f"{path}:{number}: `instruction` is not text: {str(instruction)[:80]}.",
                remedy="Write it as a string, or remove it.",
            )
        place = f"{path}:{number}"
        text = row_text(row, place)
        yield EvalQuery(
            query_id=row_id(row, place),
            text=text,
            instruction=instruction,
            kind=str(row.get("kind") or extra.get("type") or "-"),
            lang=str(row.get("lang") or extra.get("lang") or guess_language(text)),
            split=str(row.get("split") or ""),
        )


_HAN, _KANA = re.compile(f"[{HAN}]"), re.compile(f"[{KANA}]")


def guess_language(text: str) -> str:
    """Return `zh` for a text with Han characters and no kana, `en` if all letters are ASCII, else `other`."""
    if _HAN.search(text) and not _KANA.search(text):
        return "zh"
    letters = [char for char in text if char.isalpha()]
    return "en" if letters and all(char.isascii() for char in letters) else "other"
