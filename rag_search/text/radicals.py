"""Write radicals as the characters that they look like.

Noto Sans CJK draws U+2EDA (a radical) and U+9875 (页) with one glyph, so a PDF that Chromium prints may name either.
pypdf 7.1 and pdfminer.six 20260107 give the radical back, PDFium and MuPDF the character. NFKC knows the Kangxi
radicals, but not these, and makes ⼾ the traditional 戶.
"""

from __future__ import annotations

import re

# by the glyphs of Noto Sans CJK SC; parts of characters that are never written alone stay as they are
_CHARACTERS = str.maketrans(
    "⺠⻅⻆⻉⻋⻑⻓⻔⻘⻙⻚⻛⻜⻝⻢⻣⻤⻥⻦⻧⻨⻩⻪⻫⻬⻮⻯⻰⻱⻲⼾",
    "民见角贝车長长门青韦页风飞食马骨鬼鱼鸟卤麦黄黾斉齐齿竜龙龜亀户",
)
_RADICAL = re.compile("[\u2e80-\u2fdf]")


def unify(text: str) -> str:
    """Replace radicals that stand for characters, one by one."""
    return text.translate(_CHARACTERS) if not text.isascii() and _RADICAL.search(text) else text
