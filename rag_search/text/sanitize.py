"""Make text safe to show: remove what a terminal or a browser would execute instead of print."""

from __future__ import annotations

import re

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


def encodable(text: str) -> str:
    """Replace lone surrogates (half an emoji, an undecodable byte), which no tokenizer accepts, by "?"."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def plain(text: str) -> str:
    """Remove escape sequences, control characters, direction overrides and invisible characters.

    Tabs and line feeds stay; every other line end becomes a line feed.
    """
    if text.isascii() and text.isprintable():
        return text
    return _LINE_ENDS.sub("\n", _ESCAPES.sub("", text)).translate(_INVISIBLE)
