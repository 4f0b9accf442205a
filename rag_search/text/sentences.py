"""Where sentences end, in any script: the one list of marks for cutting and showing text."""

from __future__ import annotations

import re

WIDE_STOPS = "。！？；"  # no space follows them
_STOPS = f"{WIDE_STOPS}!?;…．।॥؟۔"
_CLOSERS = "”’\"'）)\\]】」』》"  # quotes and brackets that end with the sentence

SENTENCE_END = re.compile(rf"[{_STOPS}]+[{_CLOSERS}]*|(?<!\.)\.+[”’\"')\]]*(?=[ \t\r\n])")
LINE_OR_SENTENCE_END = re.compile(rf"[{_STOPS}\n\r][{_CLOSERS}]*|\.(?=[ \t])")
_BETWEEN_SENTENCES = re.compile(rf"(?<=[{WIDE_STOPS}])|(?<=[.!?;])\s+")  # not in `a;b` or `f.x`


def split_sentences(line: str) -> list[str]:
    """Return the sentences of a line, without the blanks between them."""
    return [sentence for part in _BETWEEN_SENTENCES.split(line) if (sentence := part.strip())]
