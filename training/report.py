"""Tables of two models from the folders that `ragsearch evaluate --out` wrote, and the learning curve of a run.

    python report.py --before eval/zero-shot --after eval/docs-e5 --curve results/learning.json --out results

Each folder holds one folder a set (named as in `SETS`). Writes docs-e5.md, docs-e5.json and learning-curve.png.
Intervals and p as in compare.py; XQuAD's languages ask the same questions, so a question's value there is the mean over
the languages it was asked in.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from compare import interval, paired_p, row

mpl.use("Agg")
from matplotlib import pyplot as plt

SETS = {
    "paddle-docs-zh-faq": "paddle-docs-zh faq (zh)",
    "bilingual-zh2en-faq": "bilingual-zh2en faq (zh>en)",
    "python-docs-faq": "python-docs faq (en)",
    "bilingual-zh2en-headings": "bilingual-zh2en headings (zh>en)",
    "scifact-test": "scifact (en)",
    "cranfield-test": "cranfield (en)",
    "xquad-mixed-same-lang": "xquad, same language (12 languages)",
    "xquad-mixed-test": "xquad, any language",
    "xquad-one-test": "xquad, each paragraph in English or Chinese",
    "corpus-dev": "corpus dev (zh, en)",
    "corpus-test": "corpus test (zh, en)",
}
MARKDOWN = tuple(SETS)[:3]
SYSTEMS = ("bm25", "dense", "hybrid", "rerank")
HEAD = "| set | questions | zero-shot | trained | difference | p |\n|---|---|---|---|---|---|"


@dataclass(frozen=True)
class Measured:
    """One set under one model: Top-1 per question id and system, and the report of `ragsearch evaluate`."""

    top1: dict[str, dict[str, float]]
    report: dict[str, Any]

    def hits(self, system: str) -> np.ndarray:
        """Return values (n,) per question in order of id; XQuAD's by question, over its languages."""
        values: dict[str, list[float]] = defaultdict(list)
        xquad = self.report["dataset"].startswith("xquad")
        for query_id, hit in sorted(self.top1[system].items()):
            values[query_id.split("-", 1)[1] if xquad else query_id].append(hit)
        return np.array([np.mean(values[key]) for key in sorted(values)])


def main() -> None:
    """Write the three files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--after", type=Path, required=True)
    parser.add_argument("--curve", type=Path, help="means of log.jsonl and of evaluate.py, as in results/learning.json")
    parser.add_argument("--note", default="", help="conditions: date, machine, commit")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    before, after = read_all(arguments.before), read_all(arguments.after)
    arguments.out.mkdir(exist_ok=True)
    (arguments.out / "docs-e5.md").write_text(markdown(before, after, arguments.note), "utf-8")
    (arguments.out / "docs-e5.json").write_text(json.dumps(numbers(before, after), indent=1) + "\n", "utf-8")
    if arguments.curve:
        learning_curve(arguments.curve, arguments.out / "learning-curve.png")


def read_all(root: Path) -> dict[str, Measured]:
    """Return the sets of `SETS` that were finished, by name."""
    return {name: read(root / name) for name in SETS if (root / name / "report.json").exists()}


def read(folder: Path) -> Measured:
    """Read Top-1 from the TREC files; a question without an answer in the run counts 0."""
    relevant: dict[str, set[str]] = defaultdict(set)
    for line in (folder / "qrels.trec").read_text("utf-8").split("\n"):
        if line:
            query_id, _, document, grade = line.split()
            if int(grade) > 0:
                relevant[query_id].add(document)
    top1 = {}
    for system in SYSTEMS:
        first = {}
        for line in (folder / f"{system}.run").read_text("utf-8").split("\n"):
            if line and line.split()[3] == "1":
                first[line.split()[0]] = line.split()[2]
        top1[system] = {query_id: float(first.get(query_id) in wanted) for query_id, wanted in relevant.items()}
    return Measured(top1, json.loads((folder / "report.json").read_text("utf-8")))


def markdown(before: dict[str, Measured], after: dict[str, Measured], note: str) -> str:
    """Return the tables: dense, reranked, rerank against dense for either model, and the other ranking figures."""
    both = [name for name in before if name in after]
    lines = ["# docs-e5 against zero-shot, full sets", "", note, ""]
    for system, title in (("dense", "Dense, Top-1"), ("rerank", "Reranked, Top-1")):
        lines += [f"## {title}", "", HEAD]
        lines += [row(SETS[name], before[name].hits(system), after[name].hits(system)) for name in both]
        means = [
            np.mean([side[name].hits(system).mean() for name in MARKDOWN if name in both]) for side in (before, after)
        ]
        measured = sum(name in both for name in MARKDOWN)
        lines += ["", f"Mean of {measured} of the three Markdown sets: {means[0]:.3f} > {means[1]:.3f}", ""]
    for side, title in ((before, "zero-shot"), (after, "trained")):
        head = HEAD.replace("zero-shot", "dense").replace("trained", "reranked")
        lines += [f"## Reranked against dense, {title}", "", head]
        lines += [row(SETS[name], measured.hits("dense"), measured.hits("rerank")) for name, measured in side.items()]
        lines.append("")
    return "\n".join([*lines, *other_figures("zero-shot", before), *other_figures("trained", after)])


def other_figures(title: str, measured: dict[str, Measured]) -> list[str]:
    """Return Top-1, nDCG@10 and R@50 of every system."""
    lines = [f"## Every system, {title}", "", "| set | system | Top-1 | nDCG@10 | R@50 |", "|---|---|---|---|---|"]
    for name in measured:
        for system in systems_of(measured[name]):
            cells = [f"{system['metrics'][metric]:.3f}" for metric in ("top1", "ndcg@10", "r@50")]
            lines.append(f"| {SETS[name]} | {system['system']} | {' | '.join(cells)} |")
    return [*lines, ""]


def systems_of(measured: Measured) -> list[dict[str, Any]]:
    """Return the systems of a report, in the order of `SYSTEMS`."""
    by_name = {system["system"]: system for system in measured.report["systems"]}
    return [by_name[system] for system in SYSTEMS]


def numbers(before: dict[str, Measured], after: dict[str, Measured]) -> dict[str, Any]:
    """Return the same as JSON: per set the reports of the models, and Top-1 compared where both were measured."""
    out: dict[str, Any] = {}
    for name in SETS:
        reports = {
            model: side[name].report for model, side in (("zero_shot", before), ("trained", after)) if name in side
        }
        if reports:
            out[name] = {"reports": reports}
        if len(reports) == len(("zero_shot", "trained")):
            out[name]["top1"] = {
                system: compared(before[name].hits(system), after[name].hits(system)) for system in SYSTEMS
            }
    return out


def compared(old: np.ndarray, new: np.ndarray) -> dict[str, Any]:
    """Return means, intervals and the paired test."""
    return {
        "questions": len(old),
        "zero_shot": {"top1": old.mean(), "ci": interval(old)},
        "trained": {"top1": new.mean(), "ci": interval(new)},
        "difference": {"top1": (new - old).mean(), "ci": interval(new - old), "p_value": paired_p(new - old)},
    }


def learning_curve(curve: Path, out: Path) -> None:
    """Plot losses and in-batch Top-1 by step, and reranked Top-1 of the smaller sets at the measured checkpoints."""
    read_curve = json.loads(curve.read_text())
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    titles = ("loss, mean of 50 steps", "right in its batch", "reranked Top-1, smaller sets")
    lines = (("dense", "late"), ("dense_top1", "late_top1"), ("python-docs", "paddle-docs-zh", "bilingual"))
    for axis, names, title, rows in zip(axes, lines, titles, ("batches", "batches", "sets"), strict=True):
        for name in names:
            points = read_curve[rows]
            axis.plot([p["step"] for p in points], [p[name] for p in points], "o-", label=name.removesuffix("_top1"))
        axis.set(xlabel="step", title=title)
        axis.margins(y=0.3)
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main()
