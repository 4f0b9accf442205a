"""Draw Top-1 of each system with its interval; the suffix of the file decides the type: .svg, .png, .pdf."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

os.environ.setdefault("MPLCONFIGDIR", platformdirs.user_cache_dir("ragsearch/matplotlib"))  # its list of fonts
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from rag_search.evaluation.evaluate import Evaluation


def plot_top1(evaluation: Evaluation, path: Path) -> None:
    """Draw horizontal bars from 0 to 1 with 95 % bootstrap intervals; the reranked system has its own colour."""
    names = [result.system for result in evaluation.systems]
    top1 = [result.metrics["top1"] for result in evaluation.systems]
    errors = [[t - r.top1_ci[0] for t, r in zip(top1, evaluation.systems, strict=True)],
              [r.top1_ci[1] - t for t, r in zip(top1, evaluation.systems, strict=True)]]  # fmt: skip
    colours = ["#d9822b" if name == "rerank" else "#8a9ba8" for name in names]
    figure, axes = plt.subplots(figsize=(7, 0.6 * len(names) + 1.2), layout="constrained")
    axes.barh(names, top1, xerr=errors, color=colours, height=0.62, error_kw={"capsize": 4, "ecolor": "#30404d"})
    for row, (value, high) in enumerate(zip(top1, errors[1], strict=True)):
        axes.text(value + high + 0.015, row, f"{value:.3f}", va="center", fontsize=10)
    axes.set(xlim=(0, 1.08), xlabel="Top-1 hit rate, 95 % bootstrap interval")
    axes.set_title(f"{evaluation.dataset.name}: {len(evaluation.dataset.judged)} questions", loc="left", fontsize=11)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color="#e1e8ed")
    figure.savefig(path, dpi=150)
    plt.close(figure)
