"""A writer that is killed: `python -m tests.stores.worker SPEC SEED FIRST` runs operations until the end comes.

Prints the number of each operation once it is committed.
"""

from __future__ import annotations

import sys
from itertools import count

from tests.stores.harness import StoreUnderTest, operation


def main() -> None:
    store, seed, first = StoreUnderTest.of_spec(sys.argv[1]), *map(int, sys.argv[2:4])
    with store.writer() as writer:
        print("open", flush=True)
        for number in count(first):
            operation(seed, number).run(writer)
            print(number, flush=True)


if __name__ == "__main__":
    main()
