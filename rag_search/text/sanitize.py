"""Make text safe to show: remove or escape what a terminal or a browser would execute instead of print."""

from __future__ import annotations

import json
import re
from typing import Any

_ESCAPES = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]{0,64}[ -/]{0,16}[@-~]?"  # CSI: colours, cursor, erase; next, OSC and DCS: titles, links
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c\r\n]{0,4096}(?:\x07|\x1b\\\\|\x9c)?"
    "|\x1b[ -/]{0,16}[0-~]?"  # all other escapes
)
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_INVISIBLE = dict.fromkeys(
    [
        *(code for code in range(0x20) if chr(code) not in "\t\n"),
        *range(0x7F, 0xA0),
        0x00AD,  # soft hyphen
        0x061C,
        0x200B,  # zero-width space; 200C and 200D stay: Persian, Hindi and emoji are misspelt without them
        0x200E,
        0x200F,
        *range(0x202A, 0x202F),  # bidirectional overrides: they show another order than the one stored
        *range(0x2060, 0x2070),
        0xFEFF,
        *range(0xFFF9, 0xFFFC),
        *range(0xD800, 0xE000),  # lone surrogates cannot be encoded
        *range(0xE0000, 0xE0080),  # tag characters: invisible text
    ]
)


_NOT_PRINTED = re.compile(f"[{re.escape(''.join(map(chr, _INVISIBLE)))}\t\n\u2028\u2029]")
_NOT_IN_JSON = re.compile(f"[{re.escape(''.join(map(chr, _INVISIBLE.keys() - range(0x20))))}\u2028\u2029]")


def encodable(text: str) -> str:
    """Replace lone surrogates (half an emoji, an undecodable byte), which no tokenizer accepts, by "?"."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def plain(text: str) -> str:
    """Remove escape sequences, control characters, direction overrides and invisible characters.

    Tabs and line feeds stay; every other line end becomes a line feed.
    """
    if text.isprintable() or text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return _LINE_ENDS.sub("\n", _ESCAPES.sub("", text)).translate(_INVISIBLE)


def one_line(text: str) -> str:
    """Return plain text with a space for line ends and tabs, so that it cannot begin a line of its own."""
    return " ".join(line.strip() for line in plain(text).replace("\t", " ").split("\n") if line.strip())


def visible(text: str) -> str:
    r"""Write every character that `plain` removes, and every line end and tab, as its escape, such as \n or \u202e.

    It is for paths: two of them stay different, and none looks like another file or a line of its own.
    """
    return text if text.isprintable() else _NOT_PRINTED.sub(_escape, text)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Write JSON that is safe to show; see `escape_json`."""
    return escape_json(json.dumps(value, ensure_ascii=False, indent=indent))


def escape_json(text: str) -> str:
    """Escape every character of a JSON text that `plain` removes; a parser reads the same value."""
    if text.isascii() and "\x7f" not in text:
        return text
    return _NOT_IN_JSON.sub(_escape_json, text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def _escape_json(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1]
