"""`python -m tests.stores --store postgres+lite --kills 100 [--seed N]`: the long run of kills, and what it saw."""

from __future__ import annotations

import argparse
import time
from contextlib import ExitStack
from pathlib import Path

from tests.stores.harness import StoreUnderTest
from tests.stores.kill_rounds import MODES, Rounds
from tests.support.databases import VECTOR_SERVERS, PostgresServer, public_folder, running


def main() -> None:
    """Start the servers, kill, and say what was seen."""
    parser = argparse.ArgumentParser(description="Kill writers and servers of a store again and again.")
    parser.add_argument("--store", choices=("postgres", "postgres+lite", "postgres+milvus"), default="postgres")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mode", choices=tuple(MODES), action="append", help="only these; all by default")
    options = parser.parse_args()
    start = time.monotonic()
    with ExitStack() as stack:
        folder = stack.enter_context(public_folder("ragsearch-kills-"))
        postgres = stack.enter_context(running(PostgresServer, folder / "postgres"))
        _, _, beside = options.store.partition("+")
        vectors = stack.enter_context(running(VECTOR_SERVERS[beside], folder / "vectors")) if beside else None
        store = StoreUnderTest(Path("unused"), postgres.url, "kills", vectors=vectors.url if vectors else None)
        tally = Rounds(store, postgres, vectors, options.seed).run(options.kills, options.mode or tuple(MODES))
    print(f"{options.store}, seed {options.seed}: {tally}; {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
