"""The bundled corpus as the tests read it: documents with their Markdown structure, questions, judgments."""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

CORPUS = Path(__file__).parents[2] / "corpus"
DOCS = CORPUS / "docs"
MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Page:
    """One document; its parts are read when asked for."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(DOCS).as_posix()

    @cached_property
    def raw(self) -> bytes:
        return self.path.read_bytes()

    @cached_property
    def text(self) -> str:
        return self.raw.decode("utf-8-sig").replace("\r\n", "\n")

    @cached_property
    def head(self) -> dict[str, object]:
        return yaml.safe_load(self.text.split("\n---\n")[0].removeprefix("---\n"))

    @cached_property
    def body(self) -> str:
        return self.text.split("\n---\n", 1)[1]

    @cached_property
    def tokens(self) -> list[Token]:
        return MARKDOWN.parse(self.body)

    @cached_property
    def headings(self) -> list[str]:
        following = zip(self.tokens, self.tokens[1:], strict=False)
        return [after.content for token, after in following if token.type == "heading_open"]

    @cached_property
    def inline(self) -> list[Token]:
        return [child for token in self.tokens for child in token.children or []]

    @cached_property
    def rows(self) -> list[list[int]]:
        """Of each table: the cells of each line, as typed."""
        lines = self.body.split("\n")
        spans = [token.map for token in self.tokens if token.type == "table_open" and token.map]
        return [[len(re.findall(r"(?<!\\)\|", line)) - 1 for line in lines[start:end]] for start, end in spans]

    @property
    def lang(self) -> str:
        return "zh" if len(re.findall(r"[\u4e00-\u9fff]", self.body)) > 200 else "en"

    def has(self, pattern: str) -> bool:
        return bool(re.search(pattern, self.body, flags=re.MULTILINE))


PAGES = [Page(path) for path in sorted(DOCS.rglob("*.md"))]
BY_NAME = {page.name: page for page in PAGES}


def questions() -> list[dict[str, str]]:
    """Lines of queries.jsonl."""
    return [json.loads(line) for line in (CORPUS / "queries.jsonl").read_text("utf-8").split("\n") if line]


def judgments() -> list[tuple[str, str, int]]:
    """Lines of qrels.tsv below its head: question, document, grade."""
    lines = (CORPUS / "qrels.tsv").read_text("utf-8").split("\n")[1:]
    return [(query, path, int(grade)) for query, path, grade in (line.split("\t") for line in lines if line)]
