"""`python -m tests.crash --kills 300 [--seed N]`: the long crash test."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tests.crash.rounds import crash_rounds


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill a writer again and again and compare with what it acknowledged.")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        tally = crash_rounds(Path(folder) / "index", kills=options.kills, seed=options.seed)
    print(
        f"{options.kills} kills ({', '.join(f'{n} during {kind}' for kind, n in sorted(tally.kills.items()))}), "
        f"{tally.acknowledged} acknowledged operations, none lost, every vector exact; "
        f"{tally.kept} committed but killed before they could say so; {time.monotonic() - start:.0f} s"
    )


if __name__ == "__main__":
    main()
