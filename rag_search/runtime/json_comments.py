"""Enter a value into JSON with comments, as people write it into the settings of editors."""

from __future__ import annotations

import json
import re
from typing import Any

from rag_search.runtime.foreign_json import parse_json

_STRING = r'"(?:[^"\\\n]|\\.)*+"?'  # one without an end is taken, too, or each quote in it would be tried again
_COMMENT = re.compile(rf"{_STRING}|//[^\n]*|/\*(?:[^*]|\*(?!/)){{0,2000}}+\*/")
_COMMA = re.compile(rf"{_STRING}|,(?=\s*+[}}\]])")
_TOKEN = re.compile(rf"({_STRING})(\s*+:\s*+\{{)?|[\[{{]|[\]}}]")


def without_comments(text: str) -> str:
    """Return the text with blanks for comments and for commas before a closing bracket; offsets stay."""
    for pattern in (_COMMENT, _COMMA):
        text = pattern.sub(lambda found: found[0] if found[0][0] == '"' else re.sub(r"[^\n]", " ", found[0]), text)
    return text


def with_entry(text: str, key: str, name: str, value: Any) -> str:
    """Return the text with `value` as `name` in the object `key`; all else stays as it is written.

    Raises ValueError for what is not an object with comments, and if there is such an entry already.
    """
    bare = without_comments(text)
    settings = parse_json(bare)
    if not isinstance(settings, dict) or not isinstance(settings.get(key, {}), dict):
        raise ValueError(f"it is not an object with an object {key!r}")  # noqa: TRY004 - as of JSON that is not valid
    if name in settings.get(key, {}):
        raise ValueError(f"it has comments, and an entry {name!r} in {key!r} already")
    entry = f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
    place = _object_start(bare, key) if key in settings else bare.index("{") + 1
    entry = entry if key in settings else f"{json.dumps(key)}: {{{entry}}}"
    comma = "" if bare[place:].lstrip().startswith("}") else ","
    changed = f"{text[:place]}\n  {entry}{comma}{text[place:]}"
    parse_json(without_comments(changed))
    return changed


def _object_start(bare: str, key: str) -> int:
    """Return the offset after the brace that opens the object `key` of the outermost object."""
    depth = 0
    for token in _TOKEN.finditer(bare):
        if token[1] is None:
            depth += 1 if token[0] in "[{" else -1
        elif token[2]:
            depth += 1
            if depth == 2 and json.loads(token[1]) == key:
                return token.end()
    raise ValueError(f"its object {key!r} is not found")
