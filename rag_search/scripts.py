"""In which script a text is written: what tells a Chinese passage from an English one without a model.

Code, names and commands are in Latin letters in every language, so a text counts as Latin only when hardly anything
else is in it.
"""

from __future__ import annotations

import re

# Character classes for regular expressions, without the brackets: Chinese, Japanese and Korean; Thai, Lao, Tibetan,
# Burmese and Khmer, which write no spaces.
CJK = (
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u3131-\u318e\u31a0-\u31bf"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97c\uac00-\ud7fb\uf900-\ufaff\u1100-\u11ff"
    "\U00016fe0-\U00018cff\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
UNSPACED = "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u0f40-\u0fbc\u1000-\u1049\u1050-\u109f\u1780-\u17d3"

LATIN = "latin"
_OTHERS = {
    "cjk": CJK,
    "cyrillic": "\u0400-\u052f",
    "greek": "\u0370-\u03ff\u1f00-\u1fff",
    "arabic": "\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufefc",
    "hebrew": "\u0590-\u05ff",
    "indic": "\u0900-\u0dff",
    "unspaced": UNSPACED,
}
_RUNS = {script: re.compile(f"[{chars}]+") for script, chars in _OTHERS.items()}
_NOT_LATIN = re.compile(f"[{''.join(_OTHERS.values())}]+")
_CJK_CHAR = 3  # letters: a word of two characters says as much as one of six letters
_ENOUGH = 0.15  # of the text


def main_script(text: str) -> str:
    """`LATIN`, or the other script that most of the letters are in."""
    if is_written_in(text, LATIN):
        return LATIN
    return max(_RUNS, key=lambda script: _count(_RUNS[script], text))


def is_written_in(text: str, script: str) -> bool:
    """Whether `script`, one that `main_script` gives, makes up enough of the text to be what it is written in."""
    if script == LATIN:
        return text.isascii() or not _is_enough(_count(_NOT_LATIN, text), text)
    return not text.isascii() and _is_enough(_count(_RUNS[script], text), text)


def _count(runs: re.Pattern[str], text: str) -> int:
    return sum(map(len, runs.findall(text)))


def _is_enough(count: int, text: str) -> bool:
    return count * _CJK_CHAR >= _ENOUGH * (len(text) + count * (_CJK_CHAR - 1))
