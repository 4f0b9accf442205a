"""Cut a stretch of text that is too long: into even parts, at the end of a sentence, at a blank, or anywhere."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from rag_search.documents.formats.visible import VisibleText
from rag_search.text.sentences import LINE_OR_SENTENCE_END

MAX_MARKS = 32  # accents on one letter; a cut may separate further ones from it

_GOOD_BORDERS = (LINE_OR_SENTENCE_END, re.compile(r"[,，、：:\s][ \t]*"))


def even_cuts(visible: VisibleText, start: int, end: int, *, parts: int) -> list[int]:
    """Return offsets that cut [start, end) into about `parts` stretches with equal amounts of visible text.

    A cut is never inside an edit, a CR LF or a letter and its accent. There are fewer cuts if the text is too short,
    and none if none is possible.
    """
    stretches = list(visible.stretches(start, end))
    each = sum(len(shown) for _, shown, _ in stretches) / parts
    cuts: list[int] = []
    for target in _offsets_at(stretches, visible, each=each, parts=parts):
        previous = cuts[-1] if cuts else start
        cut = _good_cut(visible, max(previous + 1, target - int(each / 3)), target, end)
        if previous < cut < end:
            cuts.append(cut)
    return cuts


def _offsets_at(
    stretches: list[tuple[int, str, bool]], visible: VisibleText, *, each: float, parts: int
) -> Iterator[int]:
    """Yield the offsets after `each`, 2 * `each`, ... visible characters; in the text of an edit that is its end."""
    passed, number = 0, 1
    for offset, shown, is_kept in stretches:
        while number < parts and each * number <= passed + len(shown):
            within = offset + max(1, int(each * number) - passed)
            yield within if is_kept else visible.outside_edits(offset + 1)
            number += 1
        passed += len(shown)


def _good_cut(visible: VisibleText, earliest: int, target: int, end: int) -> int:
    """Return the last good border in [earliest, target], else the first possible one from `target` on."""
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
