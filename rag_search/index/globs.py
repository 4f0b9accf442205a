"""Translate patterns of paths, as SQLite's GLOB reads them, into regular expressions."""

from __future__ import annotations

import re
from collections.abc import Iterator

# a bracket right after the beginning belongs to the class; possessive, or it would end it where no other one does
_CLASS = re.compile(r"\[(\^?+)(\]?+[^\]]*)\]", re.DOTALL)
_SHELL_CLASS = re.compile(r"\[([!^]?+)(\]?+[^\]]*\])", re.DOTALL)
_ANY, _NEVER = ".*", "(?!)"


def from_shell(pattern: str) -> str:
    """Return a pattern of a shell as GLOB reads it: `[!a]`, like `[^a]`, is any character but `a`."""
    parts: list[str] = []
    position = 0
    while (start := pattern.find("[", position)) >= 0:
        found = _SHELL_CLASS.match(pattern, start)
        if found is None:  # nothing closes it, nor any bracket behind it: looking on would take quadratic time
            break
        parts += [pattern[position:start], "[^" if found[1] else "[", found[2]]
        position = found.end()
    return "".join(parts) + pattern[position:]


def regex_of(glob: str) -> str:
    """Return the regular expression, for PostgreSQL, of what GLOB matches."""
    return f"^(?:{''.join(_translate(glob))})$"


def pattern_of(glob: str) -> re.Pattern[str]:
    """Return what matches the same texts as GLOB with `fullmatch`, in linear time for each part between two stars."""
    parts: list[list[str]] = [[]]
    for token in _translate(glob):
        if token == _ANY:
            parts.append([])
        else:
            parts[-1].append(token)
    first, *others = map("".join, parts)
    nearest = "".join(f"(?>{_ANY}?{part})" for part in others[:-1])  # the first place of a part is as good as any
    return re.compile(f"{first}{nearest}{f'{_ANY}{others[-1]}' if others else ''}", re.DOTALL)


def _translate(glob: str) -> Iterator[str]:
    position = 0
    while position < len(glob):
        character = glob[position]
        if character == "[":
            found = _CLASS.match(glob, position)
            if found is None:
                yield _NEVER
                return
            yield _character_class(found[2], negated=bool(found[1]))
            position = found.end()
            continue
        yield {"*": _ANY, "?": "."}.get(character) or _literal(character)
        position += 1


def _character_class(content: str, *, negated: bool) -> str:
    """Return a class of single characters and ranges; a range that runs backwards holds its first."""
    items: list[str] = []
    position = 0
    while position < len(content):
        first = content[position]
        begins_range = content[position + 1 : position + 2] == "-" and (position or first != "]")
        if begins_range and position + 2 < len(content):
            last = content[position + 2]
            items.append(f"{_escaped(first)}-{_escaped(last)}" if first <= last else _escaped(first))
            position += 3
        else:
            items.append(_escaped(first))
            position += 1
    if not items:
        return "." if negated else _NEVER
    return f"[{'^' if negated else ''}{''.join(items)}]"


def _literal(character: str) -> str:
    special = character.isascii() and not character.isalnum() and character != "_"
    return f"\\{character}" if special else character


def _escaped(character: str) -> str:
    """Return a character by its number, inside a class."""
    return f"\\U{ord(character):08x}"
