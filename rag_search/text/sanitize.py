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
_INVISIBLE_RANGES = (  # first and last code point
    (0x00, 0x08),
    (0x0B, 0x1F),
    (0x7F, 0x9F),
    (0xAD, 0xAD),  # soft hyphen
    (0x61C, 0x61C),
    (0x200B, 0x200B),  # zero-width space; 200C and 200D stay: Persian, Hindi and emoji are misspelt without them
    (0x200E, 0x200F),
    (0x202A, 0x202E),  # bidirectional overrides: they show another order than the one stored
    (0x2060, 0x206F),
    (0xFEFF, 0xFEFF),
    (0xFFF9, 0xFFFB),
    (0xD800, 0xDFFF),  # lone surrogates cannot be encoded
    (0xE0000, 0xE007F),  # tag characters: invisible text
)
_INVISIBLE = {code: None for first, last in _INVISIBLE_RANGES for code in range(first, last + 1)}
_CLASS = "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in _INVISIBLE_RANGES[2:])  # beyond those below a space
_NOT_PRINTED = re.compile(f"[\x00-\x1f{_CLASS}\u2028\u2029]")
_NOT_IN_JSON = re.compile(f"[{_CLASS}\u2028\u2029]")


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
