"""Rule-made variants of a question: what people type when they are in a hurry. No words are invented."""

from __future__ import annotations

import random
import re

ENGLISH_STOP = re.compile(
    r"(a|an|the|is|are|was|were|be|been|do|does|did|can|could|should|would|will|shall|may|might|i|you|we|they|he|she|it"
    r"|my|your|our|their|to|of|in|on|at|for|from|with|by|as|and|or|that|this|these|those|there|how|what|why|when|where"
    r"|which|who|whom|if|so|not|no)$",
    re.IGNORECASE,
)
CHINESE_STOP = re.compile(
    "请问|如何|怎么样|怎么办|怎么|怎样|什么是|是什么|为什么|为何|有什么|什么|哪些|哪个|可以|能否|是否|能不能|有没有|吗|呢|了|的|我|？"
)
CHINESE_SPOKEN = (
    ("如何", "怎么"),
    ("为何", "为什么"),
    ("是否", "是不是"),
    ("能否", "能不能"),
    ("无法", "不能"),
    ("怎样", "怎么"),
)
EDGE_PUNCTUATION = "?？。.!！:：,，;； "
MIN_CHARACTERS = 4


def variant(query: str, rng: random.Random, kind: str) -> str:
    """Return a changed form of the question, or the question itself when the rule drawn does not apply."""
    rules = [keywords, lower, misspell, spoken, lower]
    if kind == "error":
        rules += [fragment, fragment]
    made = rng.choice(rules)(query, rng).strip()
    return made if len(made) >= MIN_CHARACTERS else query


def keywords(query: str, _rng: random.Random) -> str:
    """Return it without question words, function words and punctuation."""
    text = CHINESE_STOP.sub(" ", query.strip(EDGE_PUNCTUATION))
    kept = [word for word in re.split(r"[\s?？,，。]+", text) if not ENGLISH_STOP.match(word)]
    return " ".join(kept)


def lower(query: str, _rng: random.Random) -> str:
    """Return it in lower case and without closing punctuation."""
    return query.lower().strip(EDGE_PUNCTUATION)


def spoken(query: str, _rng: random.Random) -> str:
    """Return it with Chinese written words replaced by spoken ones."""
    for written, said in CHINESE_SPOKEN:
        query = query.replace(written, said)
    return query.strip(EDGE_PUNCTUATION)


def misspell(query: str, rng: random.Random) -> str:
    """Swap two letters of a Latin word of five letters or more, or drop one."""
    words = list(re.finditer(r"[A-Za-z]{5,}", query))
    if not words:
        return query
    word = rng.choice(words)
    at = rng.randrange(word.start() + 1, word.end() - 1)
    if rng.random() < 0.5:
        return query[:at] + query[at + 1 :]
    return query[:at] + query[at + 1] + query[at] + query[at + 2 :]


def fragment(query: str, rng: random.Random) -> str:
    """Return a stretch of a long message, cut at spaces (or anywhere in Chinese)."""
    if len(query) < 24:
        return query
    start = rng.randrange(0, len(query) // 3)
    end = rng.randrange(2 * len(query) // 3, len(query))
    while start > 0 and query[start - 1].isascii() and query[start - 1] != " ":
        start -= 1
    while end < len(query) and query[end].isascii() and query[end] != " ":
        end += 1
    return query[start:end]
