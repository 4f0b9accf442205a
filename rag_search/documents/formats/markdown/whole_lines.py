"""Read lines that are marks as a whole: labels, includes, admonition heads, callouts, container lines."""

from __future__ import annotations

import re

from rag_search.documents.formats.markdown.tags import attribute_text

_HIDDEN = re.compile(
    r"\([\w:. -]{1,100}\)=$"  # MyST label
    r"|\[\[_?(?:TOC|TOSP)_?\]\]$|\[TOC\]$"
    r"|[-;]{1,3}8<-{1,3}(?:[ \t].*)?$"  # MkDocs snippet
    r"|<<<[ \t]*[@./~\w].*$"  # VitePress snippet
    r"|\[!(?:INCLUDE|VIDEO|CODE)\b.{0,500}\]$"
    r"|>>>$"  # GitLab quote
    r"|::$|#[a-z][\w-]{0,60}\{[^{}]{0,300}\}$"  # MDC: end and slot of a component
    r"|\+\+\+(?:[ \t]*\{.*\})?$"  # MyST: the border of two cells
    r"|(?:id|collapsed|logseq\.[\w.-]+|background-color|heading)::(?:[ \t].*)?$",
    re.IGNORECASE,
)
_ADMONITION = re.compile(r"(?:!!!|\?\?\?\+?)[ \t]+([\w-]++)[\w \t-]*+(?:\"(.*)\"|'(.*)')?$")
_TAB = re.compile(r"===[+!]?[ \t]+(?:\"(.*)\"|'(.*)')$")
_CALLOUT = re.compile(r"\[!([\w|-]{1,40})\][+-]?[ \t]*(.*)$")
_CONTAINER = re.compile(r"(:{3,})[ \t]*(.*)$")
_CONTAINER_HEAD = re.compile(
    r"(?:\{([\w:.-]+)\}|([\w-]+)(?=[\s\[{]|$))?[ \t]*(?:\[([^\[\]]*)\])?[ \t]*(?:\{([^{}]*)\})?[ \t]*(.*)$"
)
_LEAF_DIRECTIVE = re.compile(r"::[a-z][\w-]*(?:\[([^\[\]]*)\])?(?:\{[^{}]*\})?$")
_BLOCK_ID = re.compile(r"(?<=\S)[ \t]+\^(?=[\w-]*[A-Za-z])[A-Za-z0-9-]{3,60}$")
_STRUCTURE = frozenset(
    {"code-group", "tabs", "columns", "column", "grid", "steps", "panel-tabset", "row", "zone", "moniker"}
)

_DIRECTIVE = re.compile(r"[`~]{3,}\{([\w:.-]+)\}[ \t]*(.*)$")

# every alternative begins with a plain character: re then looks for one of these first, which is three times as fast
TRIGGER = re.compile(
    r"\)=|\+\+\+|TOC|TOS|toc|tos|Toc|Tos|8<|<<<|\[!|>>>|::|#(?=[a-z][\w-]{0,60}\{)|!!!|\?\?\?|===| \^|\t\^|```\{|~~~\{"
)

Shown = tuple[int, str]  # offset within the line from which it is replaced, and the visible text


def read_line(line: str) -> Shown | None:
    """Return what a reader sees of a line without its indent, None if it has no mark of this kind."""
    if _HIDDEN.match(line):
        return 0, ""
    if tab := _TAB.match(line):
        return 0, tab[1] or tab[2] or ""
    if head := _ADMONITION.match(line):
        return 0, _title(head[1], head[2] if head[2] is not None else head[3])
    if directive := _DIRECTIVE.match(line):
        is_box = directive[1] in BOXES and directive[1] != "admonition"
        return 0, directive[2] or (_title(directive[1], None) if is_box else "")
    if callout := _CALLOUT.match(line):
        return 0, callout[2] or _title(callout[1].split("|")[0], None)
    if leaf := _LEAF_DIRECTIVE.match(line):
        return 0, leaf[1] or ""
    if container := _CONTAINER.match(line):
        return 0, _container_text(container[2].rstrip(" \t"))
    if block_id := _BLOCK_ID.search(line):
        return block_id.start(), ""
    return None


def _title(kind: str, title: str | None) -> str:
    """Return the title of a box: the page shows its kind if there is none, and nothing if it is empty."""
    return kind.replace("-", " ").replace("_", " ").capitalize() if title is None else title


def _container_text(head: str) -> str:
    """Return what a page shows of the text after `:::`: `tip 提示`, `note[Title]`, `{.callout-note title="Title"}`."""
    if head.endswith(":::"):  # Microsoft Learn: `:::image source="x" alt-text="...":::`
        return attribute_text(head.removesuffix(":::"))
    match = _CONTAINER_HEAD.match(head)
    if match is None:
        return head
    directive, name, bracketed, attributes, rest = match.groups()
    if shown := bracketed or attribute_text(attributes or "") or attribute_text(rest):
        return shown
    if directive:
        return rest or (_title(directive, None) if directive in BOXES else "")
    is_component = attributes is not None and name not in BOXES  # MDC
    return "" if name in _STRUCTURE or is_component else " ".join(filter(None, (name, rest)))


_BOX_NAMES = "admonition attention caution danger error exercise hint important note seealso solution tip warning"
BOXES = frozenset(_BOX_NAMES.split())

# directives of which the page shows nothing, or what is written elsewhere
_EMPTY_NAMES = """
bibliography contents exercise-end exercise-start index include literalinclude raw solution-end solution-start
tableofcontents toctree
"""
EMPTY_DIRECTIVES = frozenset(_EMPTY_NAMES.split())
