"""Identifiers that are in one passage of an index only, for the benchmark and the test that ask for them."""

import random
import re

from rag_search.index import IndexReader

KINDS = {
    "flag": r"(?<![\w-])--[a-z][a-z0-9]+(?:-[a-z0-9]+)+(?![\w-])",
    "environment": r"(?<![\w$])[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+(?!\w)",
    "camelCase": r"(?<![\w.])[a-z]+(?:[A-Z][a-z0-9]+)+(?![\w.(])",
    "dotted key": r"(?<![\w./-])[a-z_]+(?:\.[a-z_]+){2,}(?![\w./-])",
    "code": r"(?<![\w-])[A-Z]{1,6}-?\d{3,6}(?![\w.-])",
    "hexadecimal": r"(?<!\w)0x[0-9A-Fa-f]{2,8}(?!\w)",
    "version": r"(?<![\w.])v?\d{1,2}\.\d{1,3}\.\d{1,3}(?![\w.])",
    "path": r"(?<![\w./:-])/?[a-z0-9_-]+(?:/[a-z0-9_-]+)+\.[a-z]{2,4}(?![\w/])",
    "unit": r"(?<![\w.])\d{2,5} ?(?:MB|GB|KiB|MiB|GiB|ms|Hz|kB)(?!\w)",
    "numbered": r"(?<![\w-])(?:Errno|error|ERROR|code|status|RFC|PEP|exit) \d{1,5}(?![\w.-])",
}


def single_identifiers(reader: IndexReader, *, per_kind: int) -> list[tuple[str, str, int]]:
    """Return kind, identifier and chunk id of identifiers that are in exactly one chunk, `per_kind` of each kind."""
    chunks = [chunk for path in reader.documents() for chunk in reader.document_chunks(path)]
    folded = [_folded(chunk.passage) for chunk in chunks]
    rng = random.Random(0)
    chosen = []
    for kind, pattern in KINDS.items():
        texts = {text: chunk.chunk_id for chunk in chunks for text in re.findall(pattern, chunk.passage)}
        single = [text for text in sorted(texts) if sum(_folded(text) in passage for passage in folded) == 1]
        rng.shuffle(single)
        chosen += [(kind, text, texts[text]) for text in single[:per_kind]]
    return chosen


def _folded(text: str) -> str:
    """Return letters and digits only, so that all spellings of an identifier are equal."""
    return re.sub(r"[^a-z0-9]", "", text.lower())
