"""What a stretch of Markdown needs to know of its whole document."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass

_CLOSED = re.compile(r"</([A-Za-z][\w.:-]{0,60})[ \t]*>")
_OPENED = re.compile(r"<([A-Za-z][\w.:-]{0,60})(?=[\s/>])")
_LIQUID_ENDS = re.compile(r"\{%-?[ \t]*end_?([A-Za-z][\w-]{0,60})[ \t]*-?%\}")


@dataclass(frozen=True, slots=True)
class Context:
    """Names that decide how marks are read.

    labels: link definitions, see `blocks.label_key`.
    components: tags that are opened and closed somewhere, so that `<X>` without attributes is a tag.
    liquid_blocks: template tags that have an end tag.
    is_mdx: `{...}` is an expression.
    is_knitr: the text has cells of code, and `r x` in a code span stands for a value.
    """

    labels: Set[str] = frozenset()
    components: Set[str] = frozenset()
    liquid_blocks: Set[str] = frozenset()
    is_mdx: bool = False
    is_knitr: bool = False


def context_of(text: str, labels: Set[str], *, is_mdx: bool) -> Context:
    """Collect the names in `text`."""
    closed = set(_CLOSED.findall(text))
    components = closed & set(_OPENED.findall(text)) if closed else closed
    liquid_blocks = set(_LIQUID_ENDS.findall(text)) if "{%" in text else frozenset()
    return Context(labels, components, liquid_blocks, is_mdx, is_knitr="```{r" in text or "```{python" in text)
