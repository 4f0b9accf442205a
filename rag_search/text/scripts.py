"""Find the script of a text, to tell a Chinese passage from an English one without a model.

Code, names and commands are in Latin letters in every language, so a text counts as Latin only if it contains hardly
any other letters.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

# Character classes for regular expressions, without the brackets: Chinese, Japanese and Korean; Thai, Lao, Tibetan,
# Burmese and Khmer, which write no spaces.
HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
KANA = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\U0001b000-\U0001b16f"
CJK = f"{HAN}{KANA}\u3105-\u312f\u3131-\u318e\u31a0-\u31bf\ua960-\ua97c\uac00-\ud7fb\u1100-\u11ff\U00016fe0-\U00018cff"
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
_CJK_CHAR = 3  # letters: a word has about two characters, or six letters
_ENOUGH = 0.15  # of the text


def main_script(text: str) -> str:
    """Return the first script in the order of `_OTHERS` that makes up enough of the text, else `LATIN`."""
    if text.isascii():
        return LATIN
    return next((script for script in _OTHERS if is_written_in(text, script)), LATIN)


def is_written_in(text: str, script: str) -> bool:
    """Return whether `script`, one that `main_script` returns, makes up enough of the text."""
    if script == LATIN:
        return text.isascii() or not _is_enough(LATIN, text)
    return not text.isascii() and _is_enough(script, text)


@lru_cache(maxsize=4096)
def is_passage_in(passage: str, script: str) -> bool:
    """Return `is_written_in` for a passage that opens with a line for its title and one for its headings.

    If the rest is code, which is in Latin letters in any language, these two lines decide. The last answers are cached:
    the queries of a server have most candidates in common.
    """
    parts = ("\n".join(passage.split("\n", 2)[:2]), passage)
    return (all if script == LATIN else any)(is_written_in(part, script) for part in parts)


def _is_enough(script: str, text: str) -> bool:
    """Return whether there is enough of the script; for `LATIN`, of all other letters."""
    longer = len(text.encode("utf-8", "surrogatepass")) - len(text)  # bytes; each of these letters takes at least one
    if not _makes_up_enough(longer, text):
        return False
    return _makes_up_enough(sum(map(len, _runs(script).findall(text))), text)


def _makes_up_enough(count: int, text: str) -> bool:
    """Return whether so many letters make up enough of the text."""
    return count * _CJK_CHAR >= _ENOUGH * (len(text) + count * (_CJK_CHAR - 1))


@cache
def _runs(script: str) -> re.Pattern[str]:
    """Compile the pattern of a script when it is first used: all of them take 4 ms of a cold query."""
    return re.compile(f"[{''.join(_OTHERS.values()) if script == LATIN else _OTHERS[script]}]+")
