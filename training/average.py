"""Average checkpoints of the same shape (a model soup) and write them as one.

python average.py runs/*/step-600.pt --out soup.pt
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch


def main() -> None:
    """Write the mean of the checkpoints, in half precision if wanted: 43 MB instead of 86."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--half", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    states = [torch.load(path, map_location="cpu", weights_only=True) for path in arguments.checkpoints]
    mean = {
        name: torch.stack([state["encoder"][name].float() for state in states]).mean(0) for name in states[0]["encoder"]
    }
    if arguments.half:
        mean = {name: tensor.half() for name, tensor in mean.items()}
    torch.save({"encoder": mean, "step": states[0]["step"]}, arguments.out)


if __name__ == "__main__":
    main()
