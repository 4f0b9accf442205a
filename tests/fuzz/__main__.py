"""`python -m tests.fuzz --count 10000 [--seed N] [--target NAME]`: a long run, with its seed and what it found."""

from __future__ import annotations

import argparse
import random
import sys
import time

from tests.fuzz.run import fuzz
from tests.fuzz.targets import TARGETS


def main() -> None:
    parser = argparse.ArgumentParser(description="Give random inputs to everything that reads what others wrote.")
    parser.add_argument("--count", type=int, default=1000, help="inputs for each target")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--target", choices=sorted(TARGETS), action="append")
    options = parser.parse_args()
    failed = False
    for target in options.target or TARGETS:
        start = time.thread_time()
        found = fuzz(target, options.count, seed=options.seed)
        spent = time.thread_time() - start
        print(
            f"{target}: {options.count:,} inputs, seed {options.seed}, {len(found)} findings, {spent:.0f} s", flush=True
        )
        for finding in found[:20]:
            print(f"  {finding}", flush=True)
        failed = failed or bool(found)
    sys.exit(failed)


if __name__ == "__main__":
    main()
