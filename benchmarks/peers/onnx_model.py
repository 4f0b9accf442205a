"""Convert the folder of `export.py` to ONNX beside it, as a hub has it: `onnx/model.onnx`, float32.

    ENVS/sbert/bin/python -m benchmarks.peers.onnx_model FOLDER

`speed.py` does so for the tools that load ONNX; PyTorch and the exporter are in that environment only.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.peers.running import ROOT, NotRun

OPSET = 17
INPUTS, OUTPUT = ["input_ids", "attention_mask"], "last_hidden_state"


def ensure_onnx(folder: Path, envs: Path) -> None:
    """Write the ONNX file if it is missing.

    Raises:
        NotRun: the environment that converts is missing, or it fails.
    """
    if (folder / "onnx" / "model.onnx").is_file():
        return
    python = envs / "sbert" / "bin" / "python"
    if not python.exists():
        raise NotRun("its model is converted in the environment `sbert`; run: python -m benchmarks.peers.setup")
    command = [str(python), "-m", "benchmarks.peers.onnx_model", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise NotRun(f"its model could not be converted: {done.stderr.strip().splitlines()[-1]}")


def main() -> None:
    """Trace the model on two texts of different length; batch and length stay free."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    class TokenVectors(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bert = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return self.bert(input_ids=ids, attention_mask=mask).last_hidden_state

    folder = Path(sys.argv[1])
    texts = ["query: a question", "passage: a text that is a little longer than the question"]
    example = AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    partial = folder / "onnx" / "model.onnx.partial"
    partial.parent.mkdir(exist_ok=True)
    torch.onnx.export(
        TokenVectors(),
        tuple(example[name] for name in INPUTS),
        partial,
        input_names=INPUTS,
        output_names=[OUTPUT],
        dynamic_axes={name: {0: "batch", 1: "length"} for name in (*INPUTS, OUTPUT)},
        opset_version=OPSET,
        dynamo=False,
    )
    partial.rename(folder / "onnx" / "model.onnx")


if __name__ == "__main__":
    main()
