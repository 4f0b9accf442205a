"""Find stretches of Markdown that are hidden whatever blocks they are in: module code, comments, embedded pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rag_search.documents.formats.base import Edit
from rag_search.text.data_uris import DATA_URI
from rag_search.text.lines import LINE_END

MAX_STATEMENT_LINES = 400

_FENCE = re.compile(r"[ \t>]{0,12}(`{3,}|~{3,})")
_IMPORT = re.compile(r"import\s(?:[\w*{}\s,$]{1,300}?\sfrom\s+)?[\"'{]|import\s+[\w*{][\w*{}\s,$]{0,300}$")
_EXPORT = re.compile(r"export\s+(?:const|let|var|function|async|class|default|type|interface|\{|\*)")
_NAMES = re.compile(r"[A-Z][\w$]*")
_COMPONENT_END = re.compile(r"^[ \t]{0,40}::[ \t]*$", re.MULTILINE)
_COMPONENT = re.compile(
    r"^[ \t]{0,40}:{2,12}[a-z][\w-]{0,60}(?:\[[^\[\]\r\n]{0,300}\])?(?:\{[^{}\r\n]{0,500}\})?[ \t]*$", re.MULTILINE
)
_COMPONENT_FIELDS = re.compile(r"::[a-z][^\r\n]{0,600}(?:\r\n?|\n)[ \t]{0,40}---[ \t]*[\r\n]")
_OPENING, _CLOSING = frozenset("{[("), frozenset("}])")


def data_uris(text: str) -> Iterator[Edit]:
    """Yield edits that hide base64 data."""
    if ";base64," in text:
        yield from (Edit(*match.span()) for match in DATA_URI.finditer(text))


def hidden_lines(text: str, starts: Sequence[int], first_line: int, *, is_mdx: bool) -> list[Edit]:
    """Return edits for lines of module code and for comments between lines of `%%`, outside of fences.

    In a text that is not MDX, an import is hidden only if the text has a tag of a name that it imports.
    """
    marks = ("\nimport ", "\nexport ", "%%", *(("{/*",) if is_mdx else ()))
    has_fields = "::" in text and _COMPONENT_FIELDS.search(text) is not None
    if not (text.startswith(("import ", "export ")) or has_fields or any(mark in text for mark in marks)):
        return []
    lines = [text[start:end].rstrip() for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    hidden: list[tuple[int, int]] = []
    fence, line = "", first_line
    while line < len(lines):
        content = lines[line]
        if mark := _FENCE.match(content):
            fence = "" if fence and mark[1].startswith(fence) else fence or mark[1]
        elif not fence and content.startswith(("import ", "export ")) and _is_module_code(content, text, is_mdx=is_mdx):
            end = _statement_end(lines, line)
            hidden.append((line, end))
            line = end - 1
        elif not fence and (end := _comment_end(lines, line, is_mdx=is_mdx)):
            hidden.append((line, end))
            line = end - 1
        elif has_fields and not fence and (end := _fields_end(lines, line)):
            hidden.append((line + 1, end))
            line = end - 1
        line += 1
    bounds = [*starts, len(text)]
    return [Edit(bounds[first], bounds[end]) for first, end in hidden]


def _is_module_code(line: str, text: str, *, is_mdx: bool) -> bool:
    if is_mdx:
        return bool(_IMPORT.match(line) or _EXPORT.match(line))
    if not _IMPORT.match(line):
        return False
    names = _NAMES.findall(re.split(r"\sfrom\s", line)[0])
    return any(f"<{name}" in text for name in names)


def _statement_end(lines: Sequence[str], start: int) -> int:
    """Return the line after a statement: its brackets are closed there; an unclosed one ends with the paragraph."""
    depth = 0
    for line in range(start, min(len(lines), start + MAX_STATEMENT_LINES)):
        depth += sum((char in _OPENING) - (char in _CLOSING) for char in lines[line])
        if depth <= 0:
            return line + 1
    return next((line for line in range(start + 1, len(lines)) if not lines[line]), len(lines))


def _comment_end(lines: Sequence[str], start: int, *, is_mdx: bool) -> int:
    """Return the line after a comment that has its lines for itself, 0 if none begins at `start`."""
    if lines[start] == "%%":
        return next((line + 1 for line in range(start + 1, len(lines)) if lines[line] == "%%"), 0)
    if not is_mdx or not lines[start].lstrip().startswith("{/*"):
        return 0
    reach = range(start, min(len(lines), start + MAX_STATEMENT_LINES))
    end = next((line for line in reach if "*/" in lines[line]), -1)
    return end + 1 if end >= 0 and lines[end].endswith("*/}") else 0


def has_components(text: str) -> bool:
    """Return whether a text has components of MDC, `::name` up to `::`, within which an indent does not make code."""
    return "\n::" in text and _COMPONENT_END.search(text) is not None and _COMPONENT.search(text) is not None


def _fields_end(lines: Sequence[str], start: int) -> int:
    """Return the line after the fields in YAML below a component of MDC (`::name`), 0 if there are none."""
    if start + 1 >= len(lines) or lines[start + 1].strip() != "---" or not _COMPONENT.match(lines[start]):
        return 0
    reach = range(start + 2, min(len(lines), start + MAX_STATEMENT_LINES))
    return next((line + 1 for line in reach if lines[line].strip() == "---"), 0)


def masked(text: str, hidden: Sequence[Edit]) -> str:
    """Return `text` with blanks for what is hidden; the lines stay."""
    pieces: list[str] = []
    position = 0
    for edit in hidden:
        lines = "".join(LINE_END.findall(text[edit.start : edit.end]))
        pieces += text[position : edit.start], lines
        position = edit.end
    return "".join([*pieces, text[position:]])
