"""Random texts and JSON values that look like what is expected, and are not."""

from __future__ import annotations

import json
import random
from typing import Any

PIECES = [
    "# Title\n",
    "\n\n",
    "- item\n",
    "> quote\n",
    "```\ncode\n```\n",
    "| a | b |\n|---|---|\n| 1 | 2 |\n",
    "[link](http://a.example)",
    "![x](data:image/png;base64,AAAA)",
    "<div>",
    "</div>",
    "<!-- ",
    "-->",
    "---\n",
    "title: x\n",
    "date: 2024-01-01\n",
    "&amp;",
    "tags: [a, b]\n",
    "!!bool zz\n",
    "&a *a\n",
    "+++\n",
    "{",
    "}",
    '{"a": ',
    "[",
    "]",
    "{{< tab >}}",
    "{% raw %}",
    "$$x$$",
    "[^1]: note\n",
    "::: note\n",
    "!!! note\n",
    "== T\n",
    "* TODO headline :tag:\n",
    ":author: me\n",
    ".. note::\n",
    "====\n",
    "|===\n",
    "#+begin_src\n",
    "<html><head><title>t</title></head><body>",
    "<p>text",
    "<script>",
    '{"cells": [{"cell_type": "markdown", "source": ["a"]}]}',
    "连接超时",
    "。",
    "redis timeout ",
    "a",
    " ",
    "\t",
    "\r\n",
    "\r",
    "\0",
    "\x1b[31m",
    "\u202e",
    "\u2028",
    "\ufeff",
    "\ud800",
    "é",
    "e\u0301",
    "🙂",
    "\x9b",
    "[2024年最新] ",
    "key=value ",
    "maxTotal ",
    "0x80070005 ",
    "v1.2.3 ",
    '"quoted" ',
    "2024-01-01 ",
    "9" * 40,
    "%",
    "\\",
]
NUMBERS = [0, 1, -1, True, False, 0.5, -0.0, 1e308, 10**400, 2**63, float("nan"), float("inf")]
NAMES = [
    "index",
    "score",
    "relevance_score",
    "embedding",
    "results",
    "data",
    "scores",
    "usage",
    "tokens",
    "id",
    "error",
    "message",
    "hits",
    "query",
    "pid",
    "url",
    "name",
    "model",
    "born",
    "log",
    "top_k",
    "documents",
    "texts",
]


def text(draw: random.Random, most: int = 40) -> str:
    """Return a text of pieces, some of them repeated and some cut."""
    parts: list[str] = []
    for _ in range(draw.randint(0, most)):
        piece = draw.choice(PIECES)
        parts.append(
            piece * draw.choice((1, 1, 1, 2, 30)) if draw.random() < 0.8 else piece[: draw.randint(0, len(piece))]
        )
    return "".join(parts)


def content(draw: random.Random) -> bytes:
    """Return the bytes of a file: those of a text in some encoding, with some of them changed.

    Few have a NUL or another encoding than UTF-8: those are refused, and nothing of them is parsed.
    """
    written = text(draw) if draw.random() < 0.1 else text(draw).replace("\0", "")
    encoding = draw.choice(("utf-8", "utf-16", "latin-1")) if draw.random() < 0.1 else "utf-8"
    encoded = bytearray(written.encode(encoding, "replace"))
    for _ in range(draw.choice((0, 0, 0, 0, 0, 0, 1, 5))):
        if encoded:
            encoded[draw.randrange(len(encoded))] = draw.randrange(256)
    return bytes(encoded)


def value(draw: random.Random, depth: int = 4) -> Any:
    """Return a JSON value."""
    kind = draw.random()
    if depth == 0 or kind < 0.35:
        return draw.choice([None, *NUMBERS, text(draw, 2)])
    if kind < 0.65:
        return [value(draw, depth - 1) for _ in range(draw.randint(0, 4))]
    names = (draw.choice(NAMES) if draw.random() < 0.9 else text(draw, 1) for _ in range(draw.randint(0, 5)))
    return {name: value(draw, depth - 1) for name in names}


def notebook(draw: random.Random) -> bytes:
    """Return a Jupyter notebook with random cells, one value of it sometimes changed."""
    cells = [
        {"cell_type": draw.choice(("markdown", "code", "raw", "x")), "source": draw.choice((str, list))(text(draw, 8))}
        for _ in range(draw.randint(0, 5))
    ]
    whole = {"cells": cells, "metadata": {"kernelspec": {"language": "python"}, "title": text(draw, 2)}, "nbformat": 4}
    return json.dumps(changed(draw, whole) if draw.random() < 0.5 else whole).encode("utf-8", "replace")


def changed(draw: random.Random, valid: Any) -> Any:
    """Return a JSON value with one part of it replaced, left out, doubled, or named otherwise."""
    if not isinstance(valid, (dict, list)) or not valid or draw.random() < 0.2:
        return value(draw, 2)
    if isinstance(valid, list):
        at = draw.randrange(len(valid))
        parts = draw.choice(([], [valid[at]] * 2, [changed(draw, valid[at])], [changed(draw, valid[at])]))
        return [*valid[:at], *parts, *valid[at + 1 :]]
    name = draw.choice(list(valid))
    if draw.random() < 0.7:
        return {**valid, name: changed(draw, valid[name])}
    rest = {key: part for key, part in valid.items() if key != name}
    return {**rest, draw.choice(NAMES): valid[name]} if draw.random() < 0.5 else rest


def message(draw: random.Random) -> bytes:
    """Return the bytes of a JSON value, sometimes cut, nested too deeply or changed."""
    encoded = bytearray(json.dumps(value(draw), ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass"))
    if draw.random() < 0.1:
        encoded = bytearray(draw.choice((b"[", b'{"a":')) * draw.choice((10, 5000)))
    if encoded and draw.random() < 0.3:
        encoded[draw.randrange(len(encoded))] = draw.randrange(256)
    return bytes(encoded[: draw.randint(0, len(encoded))] if draw.random() < 0.1 else encoded)
