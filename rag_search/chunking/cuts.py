"""Where to cut a stretch of text that is too long: near even parts, at the end of a sentence, at a blank, anywhere."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from rag_search.documents.formats.markdown.visible import VisibleText

MAX_MARKS = 32  # accents on one letter; somebody who writes more gets them torn apart

_GOOD_BORDERS = (
    re.compile(r"[。！？!?；;…．।॥؟۔\n\r][”’\"'）)\]】」』》]*|\.(?=[ \t])"),
    re.compile(r"[,，、：:\s][ \t]*"),
)


def even_cuts(visible: VisibleText, start: int, end: int, *, parts: int) -> list[int]:
    """Offsets that cut (start, end) into about `parts` stretches with as much visible text each.

    Never inside an edit, a CR LF or a letter and its accent. Fewer cuts when there is not enough text; none if none
    is possible.
    """
    stretches = list(visible.kept(start, end))
    each = sum(after - before for before, after in stretches) / parts
    cuts: list[int] = []
    for target in _offsets_at(stretches, each=each, parts=parts):
        previous = cuts[-1] if cuts else start
        cut = _good_cut(visible, max(previous + 1, target - int(each / 3)), target, end)
        if previous < cut < end:
            cuts.append(cut)
    return cuts


def _offsets_at(stretches: list[tuple[int, int]], *, each: float, parts: int) -> Iterator[int]:
    """Offsets of the characters number each, 2 * each, ... of the stretches laid end to end."""
    passed, wanted = 0, 1
    for before, after in stretches:
        while wanted < parts and each * wanted <= passed + after - before:
            yield before + max(1, int(each * wanted) - passed)
            wanted += 1
        passed += after - before


def _good_cut(visible: VisibleText, earliest: int, target: int, end: int) -> int:
    """The last good border in [earliest, target], else the first possible one from `target` on."""
    for border in _GOOD_BORDERS:
        for match in reversed(list(border.finditer(visible.text, earliest, target))):
            if _possible(visible, match.end()):
                return match.end()
    cut = visible.outside_edits(target)
    for nearby in range(cut, min(cut + MAX_MARKS, end)):
        if _possible(visible, nearby):
            return nearby
    return cut


def _possible(visible: VisibleText, cut: int) -> bool:
    text = visible.text
    if visible.outside_edits(cut) != cut:
        return False
    if cut >= len(text) or text[cut - 1 : cut + 1] == "\r\n":
        return cut >= len(text)
    return not unicodedata.combining(text[cut]) and text[cut] not in "\u200d\ufe0f"
