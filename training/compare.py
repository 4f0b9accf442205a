"""Compare two result files of evaluate.py: Top-1 with bootstrap intervals, and the difference with a paired test.

    python compare.py zero-shot.json trained.json

Intervals: 95 %, percentile bootstrap over queries (10,000 draws, fixed seed). p: two-sided
paired test that flips the sign of each query's difference at random (10,000 draws). The languages of XQuAD ask the
same questions, so there the query's value is its mean over the languages.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

DRAWS = 10_000
MARKDOWN = ("python-docs faq (en)", "paddle-docs-zh faq (zh)", "bilingual faq (zh>en)")
LANGUAGES = "xquad en>"


def main() -> None:
    """Print two Markdown tables, dense and reranked, one row per set in both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    arguments = parser.parse_args()
    before, after = json.loads(arguments.before.read_text()), json.loads(arguments.after.read_text())
    for stage, title in (("dense", "Dense"), ("late_int8", "Late interaction over the dense top 50 (int8 tokens)")):
        print(f"\n{title}\n\n| set | queries | zero-shot | trained | difference | p |\n|---|---|---|---|---|---|")
        hits = {name: (right(before[name][stage]), right(after[name][stage])) for name in before if name in after}
        for name, (old, new) in hits.items():
            if not name.startswith(LANGUAGES):
                print(row(name, old, new))
        languages = [pair for name, pair in hits.items() if name.startswith(LANGUAGES)]
        if languages:
            old, new = (np.mean(side, axis=0) for side in zip(*languages, strict=True))
            print(row(f"xquad, English question, {len(languages)} other languages", old, new))
            print("\nBy language: " + ", ".join(
                f"{name[-2:]} {old.mean():.3f} > {new.mean():.3f}"
                for name, (old, new) in hits.items() if name.startswith(LANGUAGES)
            ))  # fmt: skip
        if all(name in hits for name in MARKDOWN):
            means = [np.mean([hits[name][side].mean() for name in MARKDOWN]) for side in (0, 1)]
            print(f"\nMean of the three Markdown sets: {means[0]:.3f} > {means[1]:.3f} ({means[1] - means[0]:+.3f})")


def right(ranks: list[int]) -> np.ndarray:
    """Return 1.0 where the first passage is relevant."""
    return (np.array(ranks) == 1).astype(float)


def row(name: str, old: np.ndarray, new: np.ndarray) -> str:
    """Return a row of the table."""
    low, high = interval(new - old)
    return (
        f"| {name} | {len(old)} | {cell(old)} | {cell(new)} | {(new - old).mean():+.3f} ({low:+.3f} to {high:+.3f}) "
        f"| {paired_p(new - old):.2g} |"
    )


def cell(hits: np.ndarray) -> str:
    """Return the mean and its interval."""
    low, high = interval(hits)
    return f"{hits.mean():.3f} ({low:.3f}-{high:.3f})"


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the mean."""
    draws = np.random.default_rng(0).integers(0, len(values), (DRAWS, len(values)))
    low, high = np.percentile(values[draws].mean(1), [2.5, 97.5])
    return float(low), float(high)


def paired_p(differences: np.ndarray) -> float:
    """Return the share of random sign flips whose mean is at least as far from zero; at least 1 / draws."""
    signs = np.random.default_rng(0).integers(0, 2, (DRAWS, len(differences)), dtype=np.int8) * 2 - 1
    flipped = np.abs(signs @ differences)
    return float(max(np.mean(flipped >= abs(differences.sum()) - 1e-9), 1 / DRAWS))


if __name__ == "__main__":
    main()
