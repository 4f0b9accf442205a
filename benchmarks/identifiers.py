"""Ask for identifiers that are in one passage only, and count how often that passage is shown first.

    python -m benchmarks.identifiers INDEX [--per-kind 25] [--list]

Identifiers of ten kinds are taken from the documents of an index: flags, environment variables, camelCase, dotted keys,
codes, hexadecimal numbers, versions, paths, numbers with a unit, and numbered errors. Each is in exactly one chunk. It
is asked as it is, without leading dashes, as a user would paste it.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import defaultdict
from pathlib import Path

from rag_search.config import load_config
from rag_search.engines.open import make_searcher
from rag_search.index import IndexReader, open_reader
from rag_search.records import SearchOptions

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


def main() -> None:
    """Ask and print the shares."""
    arguments = _parse_arguments()
    config = load_config({"index": str(arguments.index), "profile": "builtin"})
    with open_reader(config.index_dir) as reader:
        asked = identifiers(reader, per_kind=arguments.per_kind)
        searcher = make_searcher(config.settings, reader)
        counts: dict[str, list[bool]] = defaultdict(list)
        for kind, identifier, chunk_id in asked:
            hits = searcher.search("\\" + identifier.lstrip("-"), SearchOptions()).hits
            right = bool(hits) and hits[0].chunk.chunk_id == chunk_id
            counts[kind].append(right)
            if arguments.list and not right:
                print(kind, repr(identifier), "->", hits[0].chunk.path if hits else "no confident match")
    everything = [right for rights in counts.values() for right in rights]
    rows = {kind: f"{sum(rights)} of {len(rights)}" for kind, rights in counts.items()}
    print(json.dumps({"right": sum(everything), "asked": len(everything), "kinds": rows}, indent=2))


def identifiers(reader: IndexReader, *, per_kind: int) -> list[tuple[str, str, int]]:
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


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path, metavar="INDEX", help="a folder with an index")
    parser.add_argument("--per-kind", type=int, default=25)
    parser.add_argument("--list", action="store_true", help="print what was not found")
    return parser.parse_args()


if __name__ == "__main__":
    main()
