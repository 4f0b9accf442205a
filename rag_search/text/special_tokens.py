"""Keep text that looks like a special token from becoming one.

A document about chat templates contains `<|im_end|>`, and the tokenizers of language models read that as the end of the
turn: the rest is then outside the document. A space after the opening bracket (`<| im_end |>`, `< think>`) keeps
the text readable for the model and parses as plain characters. A space and not a zero-width character: the model has
seen it before.
"""

from __future__ import annotations

import re

_MARKS = re.compile(r"<\|(\w+)\|>|<(/?)(think|tool_call|tool_response)>")


def neutralise(text: str) -> str:
    """Break every special or added token of Qwen3 in `text`."""
    return _MARKS.sub(_broken, text)


def _broken(match: re.Match[str]) -> str:
    if match[1] is not None:
        return f"<| {match[1]} |>"
    return f"< {match[2]}{match[3]}>"
