"""Train the encoder with two in-batch contrastive losses: on the dense vectors and on the late-interaction scores.

    python train.py --plan plan.npz --zero-shot zero-shot.npz --run runs/docs
    python train.py --plan mined.npz --zero-shot zero-shot.npz --run runs/more --start docs-e5.npz --config longer.toml

Dense: InfoNCE over the cosine of mean-pooled vectors (as E5 was trained). Late: InfoNCE over the mean-of-max score of
128-dim token vectors (ColBERT), whose projection starts at the PCA one. A run that was cut off goes on from its last
checkpoint when started again.
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from load import load_encoder
from mine import Guards, Pool
from model import Encoded, Encoder, pad
from prepare import Settings as DataSettings
from torch import Tensor, nn
from torch.nn import functional as F

MASKED = -1e4
THREADS = 2
# One micro-batch a thread instead of one matrix product over all threads: no waiting at every operation.
WORKERS = ThreadPoolExecutor(THREADS, initializer=torch.set_num_threads, initargs=(1,))


@dataclass(frozen=True)
class Settings:
    """The `[train]` table of config.toml."""

    learning_rate: float
    head_learning_rate: float
    warmup_steps: int
    steps: int
    decay_steps: int
    weight_decay: float
    clip: float
    dense_temperature: float
    late_temperature: float
    late_weight: float
    duplicate_passages: float
    micro: int
    save_every: int
    seed: int
    frozen_layers: int = 0  # from the bottom; their backward pass is saved
    bfloat16: bool = True  # only faster where the processor has matrix units for it (AMX)


@dataclass(frozen=True)
class Batch:
    """Token ids of n pairs and which passages may not count as a negative of which question (n, n)."""

    queries: list[np.ndarray]
    passages: list[np.ndarray]
    same: Tensor


class Plan:
    """The file of prepare.py: batches by number."""

    def __init__(self, path: Path, guards: Guards) -> None:
        arrays = np.load(path)
        self._queries = np.split(arrays["queries"], np.cumsum(arrays["query_lengths"])[:-1])
        self._passages = np.split(arrays["passages"], np.cumsum(arrays["passage_lengths"])[:-1])
        self._batches = arrays["batches"]
        vectors = arrays["question_vectors"].astype(np.float32)
        self._pool = Pool(arrays["keys"], vectors, arrays.get("passage_vectors"), arrays.get("latin"))
        self._guards = guards

    def batch(self, number: int) -> Batch:
        """Return batch `number`, starting over at the end."""
        rows = self._batches[number % len(self._batches)]
        same = ~np.array([self._pool.negative(row, rows, self._guards) for row in rows])
        np.fill_diagonal(same, val=False)
        return Batch([self._queries[i] for i in rows], [self._passages[i] for i in rows], torch.from_numpy(same))


def main() -> None:
    """Train until `steps`, a checkpoint every `save_every` steps and a line of log.jsonl every 10."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--zero-shot", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="an export to go on from, instead of the base")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("config.toml"))
    parser.add_argument("--steps", type=int)
    parser.add_argument("--learning-rate", type=float)
    arguments = parser.parse_args()
    config = tomllib.loads(arguments.config.read_text())
    chosen = {"steps": arguments.steps, "learning_rate": arguments.learning_rate}
    settings = Settings(**config["train"] | {key: value for key, value in chosen.items() if value is not None})
    torch.manual_seed(settings.seed)
    arguments.run.mkdir(parents=True, exist_ok=True)
    plan = Plan(arguments.plan, DataSettings(**config["data"]).guards)
    encoder = load_encoder(arguments.zero_shot, [arguments.start] if arguments.start else []).train()
    freeze(encoder, settings.frozen_layers)
    optimizer = make_optimizer(encoder, settings)
    step = resume(arguments.run, encoder, optimizer)
    with (arguments.run / "log.jsonl").open("a") as log:
        while step < settings.steps:
            started = time.time()
            set_rate(optimizer, settings, step)
            losses = one_step(encoder, optimizer, plan.batch(step), settings)
            step += 1
            if step % 10 == 0:
                log.write(json.dumps({"step": step, **losses, "seconds": round(time.time() - started, 2)}) + "\n")
                log.flush()
            if step % settings.save_every == 0 or step == settings.steps:
                save(arguments.run, encoder, optimizer, step)


def freeze(encoder: Encoder, layers: int) -> None:
    """Keep positions and the first layers as they are; with 0 everything trains."""
    if layers:
        for part in (encoder.norm, *encoder.layers[:layers]):
            part.requires_grad_(requires_grad=False)
        encoder.position.requires_grad_(requires_grad=False)


def make_optimizer(encoder: Encoder, settings: Settings) -> torch.optim.Optimizer:
    """Return AdamW: no decay on vectors, its own rate for the projection."""
    trained = {name: p for name, p in encoder.named_parameters() if p.requires_grad}
    matrices = [p for name, p in trained.items() if p.ndim > 1 and name != "projection"]
    vectors = [p for p in trained.values() if p.ndim == 1]
    groups = [
        {"params": matrices, "base_lr": settings.learning_rate, "weight_decay": settings.weight_decay},
        {"params": vectors, "base_lr": settings.learning_rate, "weight_decay": 0.0},
        {"params": [encoder.projection], "base_lr": settings.head_learning_rate, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))


def set_rate(optimizer: torch.optim.Optimizer, settings: Settings, step: int) -> None:
    """Set the rate: up, flat, and down over the last steps, so that a longer run has the same past."""
    share = min(1.0, (step + 1) / settings.warmup_steps, (settings.steps - step) / settings.decay_steps)
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * share


def one_step(encoder: Encoder, optimizer: torch.optim.Optimizer, batch: Batch, settings: Settings) -> dict[str, float]:
    """Update once; return the losses and how often the right passage came first in the batch."""
    queries, passages = parts(batch.queries, 2 * settings.micro), parts(batch.passages, settings.micro)
    work = [[batch.passages[i] for i in rows] for rows in reversed(passages)]  # the longest first
    work += [[batch.queries[i] for i in rows] for rows in queries]
    made = list(WORKERS.map(lambda ids: encode_part(encoder, ids, bfloat16=settings.bfloat16), work))
    passage_groups = Groups(passages[::-1], made[: len(passages)]).detached()
    query_groups = Groups(queries, made[len(passages) :]).detached()
    dense_queries, dense_passages = dense(query_groups), dense(passage_groups)
    similar = (dense_passages.detach() @ dense_passages.detach().T) > settings.duplicate_passages
    blocked = batch.same | (similar & ~torch.eye(len(similar), dtype=torch.bool))
    dense_scores = dense_queries @ dense_passages.T
    late_scores = late(query_groups, passage_groups)
    dense_loss = contrast(dense_scores / settings.dense_temperature, blocked)
    late_loss = contrast(late_scores / settings.late_temperature, blocked)
    optimizer.zero_grad(set_to_none=True)
    (dense_loss + settings.late_weight * late_loss).backward()
    list(WORKERS.map(push_back, made, passage_groups.encoded + query_groups.encoded))
    norm = nn.utils.clip_grad_norm_(encoder.parameters(), settings.clip)
    optimizer.step()
    return {"dense": round(dense_loss.item(), 4), "late": round(late_loss.item(), 4), "norm": round(norm.item(), 2),
            "dense_top1": right(dense_scores, blocked), "late_top1": right(late_scores, blocked)}  # fmt: skip


@dataclass(frozen=True)
class Groups:
    """Encoded micro-batches and, for each, which rows of the batch it holds."""

    rows: list[list[int]]
    encoded: list[Encoded]

    def detached(self) -> Groups:
        """Return the same vectors as leaves of a new graph, so that the loss can be differentiated on its own."""
        leaves = [
            Encoded(e.dense.detach().requires_grad_(), e.tokens.detach().requires_grad_(), e.mask) for e in self.encoded
        ]
        return Groups(self.rows, leaves)


def parts(ids: list[np.ndarray], micro: int) -> list[list[int]]:
    """Return rows in micro-batches of similar length, so that little padding is computed."""
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    return [order[at : at + micro] for at in range(0, len(order), micro)]


def encode_part(encoder: Encoder, ids: list[np.ndarray], *, bfloat16: bool) -> Encoded:
    """Encode one micro-batch; autocast is per thread, so it is entered here."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        encoded: Encoded = encoder(*pad(ids, 1))
    return encoded


def push_back(made: Encoded, leaf: Encoded) -> None:
    """Continue the gradient of the loss from the vectors into the encoder."""
    torch.autograd.backward([made.dense, made.tokens], [leaf.dense.grad, leaf.tokens.grad])


def back(groups: Groups) -> Tensor:
    """Return the positions that undo the length order."""
    return torch.argsort(torch.tensor([i for part in groups.rows for i in part]))


def dense(groups: Groups) -> Tensor:
    """Return the dense vectors (n, 384) in the batch's own order."""
    return torch.cat([encoded.dense for encoded in groups.encoded])[back(groups)]


def late(queries: Groups, passages: Groups) -> Tensor:
    """Return late-interaction scores (n, n): the mean over question tokens of the best match in a passage."""
    rows = [torch.cat([block(q, p) for p in passages.encoded], 1) for q in queries.encoded]
    return torch.cat(rows)[back(queries)][:, back(passages)]


def block(query: Encoded, passage: Encoded) -> Tensor:
    """Return the scores of one query micro-batch against one passage micro-batch."""
    dots = query.tokens.flatten(0, 1) @ passage.tokens.flatten(0, 1).T
    dots = dots.view(*query.mask.shape, *passage.mask.shape).masked_fill(~passage.mask, MASKED)
    best = dots.amax(-1) * query.mask.unsqueeze(-1)  # (queries, query tokens, passages)
    return best.sum(1) / query.mask.sum(1, keepdim=True)


def contrast(scores: Tensor, blocked: Tensor) -> Tensor:
    """Return InfoNCE with the diagonal as the right answers."""
    return F.cross_entropy(scores.masked_fill(blocked, MASKED), torch.arange(len(scores)))


def right(scores: Tensor, blocked: Tensor) -> float:
    """Return the share of rows whose diagonal is the largest."""
    best = scores.detach().masked_fill(blocked, MASKED).argmax(1)
    return round((best == torch.arange(len(scores))).float().mean().item(), 3)


def save(run: Path, encoder: Encoder, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Write the parameters of this step, and the latest optimizer state for resuming (written whole, then renamed)."""
    torch.save({"encoder": encoder.state_dict(), "step": step}, run / f"step-{step}.pt")
    torch.save({"optimizer": optimizer.state_dict(), "step": step}, run / "optimizer.tmp")
    (run / "optimizer.tmp").rename(run / "optimizer.pt")


def resume(run: Path, encoder: Encoder, optimizer: torch.optim.Optimizer) -> int:
    """Return the step to go on from: that of the last complete checkpoint, or 0."""
    if not (run / "optimizer.pt").exists():
        return 0
    state = torch.load(run / "optimizer.pt", weights_only=True)
    encoder.load_state_dict(torch.load(run / f"step-{state['step']}.pt", weights_only=True)["encoder"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


if __name__ == "__main__":
    main()
