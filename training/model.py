"""The encoder in PyTorch: a BERT of 12 post-norm layers with exact GELU, plus the late-interaction projection.

Word embeddings are a frozen buffer; everything else trains. One forward pass gives the mean-pooled unit vector and
one projected unit vector per token.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from base import Base
from torch import Tensor, nn
from torch.nn import functional as F

DIM = 128


@dataclass(frozen=True)
class Encoded:
    """`dense` (n, 384) unit rows, `tokens` (n, length, 128) unit vectors, zero where `mask` (n, length) is False."""

    dense: Tensor
    tokens: Tensor
    mask: Tensor


class Layer(nn.Module):
    """One post-norm transformer block; query, key and value share one matrix."""

    def __init__(self, hidden: int, feed_forward: int, heads: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.out = nn.Linear(hidden, hidden)
        self.norm1 = nn.LayerNorm(hidden, eps)
        self.up = nn.Linear(hidden, feed_forward)
        self.down = nn.Linear(feed_forward, hidden)
        self.norm2 = nn.LayerNorm(hidden, eps)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the states (n, length, hidden) after the block; `mask` (n, 1, 1, length) is True for real tokens."""
        n, length, hidden = x.shape
        query, key, value = self.qkv(x).view(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        attended = attention(query, key, value, mask)
        x = self.norm1(x + self.out(attended.transpose(1, 2).reshape(n, length, hidden)))
        return self.norm2(x + self.down(F.gelu(self.up(x))))


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Compute plain softmax attention (n, heads, length, head_dim); `mask` (n, 1, 1, length) is True for real tokens.

    Written out because the backward pass of PyTorch's fused CPU kernel takes three times as long at these lengths.
    """
    scores = torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(-1, -2))
    if mask is not None:
        scores = scores + torch.where(mask, 0.0, -1e4).to(scores.dtype)  # half the time of masked_fill and its backward
    return torch.matmul(torch.softmax(scores, -1, dtype=scores.dtype), value)


class Encoder(nn.Module):
    """multilingual-e5-small with a centred 384 -> 128 projection of its token vectors."""

    word: Tensor
    mean: Tensor

    def __init__(self, base: Base) -> None:
        super().__init__()
        tensors = base.tensors
        self.register_buffer("word", torch.from_numpy(tensors["emb.word"]), persistent=False)
        self.register_buffer("mean", torch.zeros(base.hidden))
        self.position = nn.Parameter(_positions(base))
        self.norm = nn.LayerNorm(base.hidden, base.eps)
        self.layers = nn.ModuleList(
            Layer(base.hidden, base.feed_forward, base.heads, base.eps) for _ in range(base.layers)
        )
        self.projection = nn.Parameter(torch.zeros(base.hidden, DIM))
        self._load(tensors)

    def _load(self, tensors: dict[str, np.ndarray]) -> None:
        _copy(self.norm, tensors["emb.ln.w"], tensors["emb.ln.b"])
        for i, layer in enumerate(self.layers):
            part = {name.split(".", 1)[1]: tensor for name, tensor in tensors.items() if name.startswith(f"l{i}.")}
            _copy(layer.qkv, np.concatenate([part[f"{k}.w"] for k in "qkv"]),
                  np.concatenate([part[f"{k}.b"] for k in "qkv"]))  # fmt: skip
            for module, key in (("out", "ao"), ("norm1", "aln"), ("up", "fi"), ("down", "fo"), ("norm2", "oln")):
                _copy(layer.get_submodule(module), part[f"{key}.w"], part[f"{key}.b"])

    def hidden_states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the last hidden states (n, length, 384) of padded token ids (n, length)."""
        x = self.norm(F.embedding(ids, self.word) + self.position[: ids.shape[1]])
        if torch.is_autocast_enabled(ids.device.type):
            x = x.bfloat16()  # the residual stream too: a quarter faster, same vectors to cosine 0.9999
        key_mask = None if bool(mask.all()) else mask[:, None, None, :]
        for layer in self.layers:
            x = layer(x, key_mask)
        return x

    def forward(self, ids: Tensor, mask: Tensor) -> Encoded:
        """Encode padded token ids (n, length)."""
        hidden = self.hidden_states(ids, mask).float()
        weights = mask.unsqueeze(-1).float()
        dense = F.normalize((hidden * weights).sum(1), dim=-1)
        with torch.autocast(ids.device.type, enabled=False):
            tokens = F.normalize((hidden - self.mean) @ self.projection, dim=-1) * weights
        return Encoded(dense, tokens, mask)


def _positions(base: Base) -> Tensor:
    """Return the position embeddings with the only token type added."""
    table = base.tensors["emb.pos"].reshape(base.positions, base.hidden)
    return torch.from_numpy(table + base.tensors["emb.type"].reshape(-1, base.hidden)[0])


def _copy(module: nn.Module, weight: np.ndarray, bias: np.ndarray) -> None:
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(weight))
        module.bias.copy_(torch.from_numpy(bias))


def pad(ids: list[np.ndarray], value: int) -> tuple[Tensor, Tensor]:
    """Return token ids padded, (n, length) int64, and their mask, (n, length) bool.

    Lengths are rounded up to a multiple of 16 (of 32 from 48 on): each new shape costs oneDNN half a second and memory.
    """
    longest = max(len(row) for row in ids)
    step = 16 if longest <= 48 else 32
    length = -(-longest // step) * step
    out = np.full((len(ids), length), value, dtype=np.int64)
    for row, tokens in zip(out, ids, strict=True):
        row[: len(tokens)] = tokens
    lengths = np.array([len(tokens) for tokens in ids])
    return torch.from_numpy(out), torch.from_numpy(np.arange(length) < lengths[:, None])
