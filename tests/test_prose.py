"""Docstrings tell a reader what a function does: they open with a verb, and no sentence reads as translated."""

import re
from pathlib import Path

import rag_search
from tests.support.prose import VERBS, docstrings

PACKAGE = Path(rag_search.__file__).parent
MIN_VERB_SHARE = 0.60
TRANSLATED = re.compile(
    r"\b(whoever|nobody|somebody|mend|mends|mended|otherwise than)\b|(?<!there )(?<!There )\bis no (?!longer\b|more\b)",
    re.I,
)


def test_functions_open_with_a_verb() -> None:
    """At least 60 % of the function docstrings open with a verb in the imperative."""
    opening = [(place, re.split(r"\W", text, maxsplit=1)[0].lower()) for place, text in docstrings(PACKAGE)]
    share = sum(word in VERBS for _, word in opening) / len(opening)
    assert share >= MIN_VERB_SHARE, sorted(f"{place} {word}" for place, word in opening if word not in VERBS)


def test_no_sentence_reads_as_translated() -> None:
    """Words that the prose rules exclude are in no module: not in docstrings, comments or messages."""
    wrong = [
        f"{path.relative_to(PACKAGE)}:{number} {line.strip()}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").split("\n"), 1)
        if TRANSLATED.search(line)
    ]
    assert wrong == []
