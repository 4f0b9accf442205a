"""Ask for identifiers that are in one passage only, and count how often that passage is shown first.

    python -m benchmarks.identifiers INDEX [--per-kind 25] [--list]

Identifiers of ten kinds are taken from the documents of an index: flags, environment variables, camelCase, dotted keys,
codes, hexadecimal numbers, versions, paths, numbers with a unit, and numbered errors. Each is in exactly one chunk. It
is asked as it is, without leading dashes, as a user would paste it.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

from rag_search.config import load_config
from rag_search.engines.open import make_searcher
from rag_search.index import open_reader
from rag_search.records import SearchOptions
from tests.support.identifiers import single_identifiers


def main() -> None:
    """Ask and print the shares."""
    arguments = _parse_arguments()
    config = load_config({"index": str(arguments.index), "profile": "builtin"})
    with open_reader(config.index_dir) as reader:
        asked = single_identifiers(reader, per_kind=arguments.per_kind)
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


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path, metavar="INDEX", help="a folder with an index")
    parser.add_argument("--per-kind", type=int, default=25)
    parser.add_argument("--list", action="store_true", help="print what was not found")
    return parser.parse_args()


if __name__ == "__main__":
    main()
