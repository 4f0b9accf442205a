#!/usr/bin/env bash
# One would guess: how long `re` takes to search a text for a few marks depends on the marks that are there, not on how
#   their alternatives are spelt: "`+" and "``*" are the same set of strings, and so are "!?\[" and "!\[|\[".
# What happens: if every alternative begins with a plain character, `re` compiles the set of first characters and runs
#   over the text for one of these; a single alternative that begins with a repeat, an optional or a class ("`+", "!?\[",
#   "[ \t]\^"), or the flag IGNORECASE, and every branch is tried at every character. The same matches take seven to
#   eight times as long. `re.DEBUG` shows it: the fast one has a line with charset in its INFO.
# Versions: CPython 3.11.7.
# Source: Lib/re/_compiler.py, _get_charset_prefix: for BRANCH it returns None unless each branch starts with LITERAL.
set -euo pipefail
python3 - <<'PY'
import re
import sys
from time import process_time

SLOW = r"\\|`+|\*+|_+|~~+|!?\[|\]|<|&|\{"
FAST = r"\\|``*|\*\**|__*|~~+|!\[|\[|\]|<|&|\{"
TEXT = "A line of plain words as documents have them, with a mark here and there: `code`, [a](b). " * 5_000


def nanoseconds(pattern: str) -> float:
    """Return the shortest of five times for a character."""
    compiled, times = re.compile(pattern), []
    for _ in range(5):
        start = process_time()
        compiled.findall(TEXT)
        times.append(process_time() - start)
    return min(times) / len(TEXT) * 1e9


slow, fast = nanoseconds(SLOW), nanoseconds(FAST)
print(f"Python {sys.version.split()[0]}: {slow:.1f} and {fast:.1f} ns a character, {slow / fast:.1f} times")
assert re.findall(SLOW, TEXT) == re.findall(FAST, TEXT)
assert slow > 2 * fast
PY
