"""Train the side of the encoder that reads questions, over passages that stay as they are.

    python questions.py --mixture mixture.npz --start docs-e5-2.npz --run runs/questions

The passages of a mixture are encoded once, and the lower layers read its questions once. Then the upper layers and the
projection are trained on the questions alone, so a step costs little and every passage is a negative: InfoNCE over the
cosine with all passages, and over late interaction with the nearest. Of earlier pairs the scores of the start are kept
(KL). An index would stay valid, since no passage changes. One in eight repositories is left out, to be measured on.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from finetune import (
    ABOVE,
    ABOVE_EARLIER,
    ANSWERS,
    MASKED,
    PASSAGE_PREFIX,
    QUERY_PREFIX,
    Mixture,
    save,
    start_encoder,
)
from model import Encoder, pad
from pooling import pooled
from reader import held_out
from torch import Tensor, nn
from torch.nn import functional as F

RATIO = 3  # tokens of a passage in one vector, as an index keeps them
SAME = 0.95  # a passage nearer than this to the right one is no negative
MICRO = 128  # texts a pass
CANDIDATES = 50  # of a question that is measured
CURVE = 1_000  # questions that are measured, at most


@dataclass(frozen=True)
class Settings:
    """The `[questions]` table of mixture.toml."""

    first_layer: int
    learning_rate: float
    head_learning_rate: float
    warmup_steps: int
    steps: int
    decay_share: float
    weight_decay: float
    clip: float
    temperature: float
    keep_weight: float
    batch: int
    earlier: float
    nearest: int
    blend: float
    measure_every: int
    seed: int


class QuestionSide(nn.Module):
    """The upper layers and the projection of an encoder: states of the lower ones -> vectors of questions."""

    def __init__(self, encoder: Encoder, first: int) -> None:
        super().__init__()
        self.layers = copy.deepcopy(encoder.layers[first:]).requires_grad_()
        self.projection = nn.Parameter(encoder.projection.detach().clone())
        self.register_buffer("mean", encoder.mean.clone(), persistent=False)

    def forward(self, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit vectors (n, 384), and token vectors (n, t, 128) that are zero for prefix, ends and padding."""
        for layer in self.layers:
            states = layer(states, mask[:, None, None, :])
        weights = mask.unsqueeze(-1).float()
        dense = F.normalize((states * weights).sum(1), dim=-1)
        tokens = F.normalize((states - self.mean) @ self.projection, dim=-1)
        return dense, tokens * content(mask).unsqueeze(-1)


@dataclass(frozen=True)
class Pool:
    """What is encoded once: passages (m, 384) and their pooled tokens; questions after the lower layers."""

    dense: Tensor
    tokens: list[Tensor]
    states: list[Tensor]

    def questions(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return the padded states (n, t, 384) of questions and their mask (n, t)."""
        parts = [self.states[row].float() for row in rows]
        lengths = torch.tensor([len(part) for part in parts], device=self.dense.device)
        states = nn.utils.rnn.pad_sequence(parts, batch_first=True)
        return states, torch.arange(states.shape[1], device=states.device) < lengths[:, None]

    def passages(self, rows: Tensor) -> Tensor:
        """Return the padded token vectors (n, k, t, 128) of passages (n, k)."""
        parts = [self.tokens[row].float() for row in rows.flatten().tolist()]
        return nn.utils.rnn.pad_sequence(parts, batch_first=True).unflatten(0, rows.shape)


def main() -> None:
    """Train, write a line of log.jsonl at each measurement, and write the blended weights at the end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixture", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True, help="the export whose passages an index holds")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("mixture.toml"))
    parser.add_argument("--steps", type=int, help="other than the file's")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    values = tomllib.loads(arguments.config.read_text())["questions"]
    settings = Settings(**values | ({"steps": arguments.steps} if arguments.steps else {}))
    torch.manual_seed(settings.seed)
    arguments.run.mkdir(parents=True, exist_ok=True)
    mixture = Mixture(arguments.mixture)
    encoder = start_encoder(mixture, arguments.start, arguments.device).eval().requires_grad_(requires_grad=False)
    trainer = Trainer(encoder, mixture, settings)
    with (arguments.run / "log.jsonl").open("a") as log:
        losses: list[float] = []
        for step in range(settings.steps + 1):
            if step % settings.measure_every == 0 or step == settings.steps:
                log.write(json.dumps({"step": step, "losses": losses, **trainer.measured()}) + "\n")
                log.flush()
                losses = []
            if step < settings.steps:
                losses.append(round(trainer.step(step), 3))
    trainer.blend()
    save(arguments.run, trainer.side, trainer.optimizer, settings.steps)


class Trainer:
    """The side that is trained, the one that it starts from, and what both read."""

    def __init__(self, encoder: Encoder, mixture: Mixture, settings: Settings) -> None:
        self.settings, self._mixture = settings, mixture
        self.side = QuestionSide(encoder, settings.first_layer)
        self._start = copy.deepcopy(self.side).requires_grad_(requires_grad=False)
        matrices = [parameter for parameter in self.side.layers.parameters() if parameter.ndim > 1]
        vectors = [parameter for parameter in self.side.layers.parameters() if parameter.ndim == 1]
        groups = [
            {"params": matrices, "base_lr": settings.learning_rate, "weight_decay": settings.weight_decay},
            {"params": vectors, "base_lr": settings.learning_rate, "weight_decay": 0.0},
            {"params": [self.side.projection], "base_lr": settings.head_learning_rate, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))
        self.pool = encode(encoder, mixture, settings.first_layer)
        held = np.array([held_out(str(mixture.repository[number])) for number in mixture.own])
        rng = random.Random(settings.seed)
        self._measured = rng.sample(np.flatnonzero(held).tolist(), min(CURVE, int(held.sum())))
        self._written = _endless(np.flatnonzero(~held & ~mixture.earlier).tolist(), rng)
        self._earlier = _endless(np.flatnonzero(~held & mixture.earlier).tolist(), rng)
        self._nearest = self._mine(len(mixture.queries))

    @torch.no_grad()
    def _mine(self, count: int) -> Tensor:
        """Return the passages (count, nearest) that the start scores highest for each question."""
        found = []
        for first in range(0, count, MICRO):
            dense, _ = self._start(*self.pool.questions(range(first, min(count, first + MICRO))))
            found.append((dense @ self.pool.dense.T).topk(self.settings.nearest).indices)
        return torch.cat(found)

    def step(self, number: int) -> float:
        """Update once; return the loss."""
        settings = self.settings
        left = (settings.steps - number) / max(1.0, settings.decay_share * settings.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * min(1.0, (number + 1) / settings.warmup_steps, left)
        earlier = round(settings.batch * settings.earlier)
        rows = [next(self._written) for _ in range(settings.batch - earlier)]
        rows += [next(self._earlier) for _ in range(earlier)]
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(rows)
        loss.backward()
        nn.utils.clip_grad_norm_(self.side.parameters(), settings.clip)
        self.optimizer.step()
        return loss.item()

    def _loss(self, rows: list[int]) -> Tensor:
        """Return the loss of some questions: dense over all passages, late interaction over the nearest."""
        mixture, device = self._mixture, self.pool.dense.device
        own = torch.from_numpy(mixture.own[rows]).long().to(device)
        earlier = torch.from_numpy(mixture.earlier[rows]).to(device)
        weights = torch.from_numpy(mixture.weights[rows]).to(device)
        weights = weights / weights.sum()
        asked = self.pool.questions(rows)
        dense, tokens = self.side(*asked)
        with torch.no_grad():
            dense_before, tokens_before = self._start(*asked)
        before = dense_before @ self.pool.dense.T
        right, blocked = self._targets(rows, own, before, earlier)
        total = self._contrast(dense @ self.pool.dense.T, before, right, blocked, weights, earlier)
        listed = torch.cat([own[:, None], self._nearest[rows]], 1)
        blocked = blocked.gather(1, listed)
        blocked[:, 1:] |= listed[:, 1:] == own[:, None]
        passages, counts = self.pool.passages(listed), content(asked[1]).sum(1, keepdim=True).clamp(min=1)
        late, late_before = (max_sim(vectors, passages) / counts for vectors in (tokens, tokens_before))
        right = right.gather(1, listed) & ~blocked
        return total + self._contrast(late, late_before, right, blocked, weights, earlier)

    def _contrast(
        self, scores: Tensor, before: Tensor, right: Tensor, blocked: Tensor, weights: Tensor, earlier: Tensor
    ) -> Tensor:
        """Return InfoNCE over `scores` (n, m), and what keeps those of earlier pairs as they were `before`."""
        sharp, wanted = scores / self.settings.temperature, right / right.sum(1, keepdim=True)
        loss = -(weights * (wanted * sharp.masked_fill(blocked, MASKED).log_softmax(1)).sum(1)).sum()
        old = (before / self.settings.temperature).log_softmax(1)
        apart = (old.exp() * (old - sharp.log_softmax(1))).sum(1)
        return loss + self.settings.keep_weight * (weights * apart)[earlier].sum()

    def _targets(self, rows: list[int], own: Tensor, before: Tensor, earlier: Tensor) -> tuple[Tensor, Tensor]:
        """Return which passages answer each question (n, m), and which may not be called wrong (n, m)."""
        margin = torch.where(earlier, ABOVE_EARLIER, ABOVE)[:, None]
        blocked = before > before.gather(1, own[:, None]) + margin
        blocked |= self.pool.dense[own] @ self.pool.dense.T > SAME
        right = torch.zeros_like(blocked)
        for row, question in enumerate(rows):
            for number, grade in self._mixture.grades[question].items():
                right[row, number] = grade >= ANSWERS
                blocked[row, number] = grade == ANSWERS - 1
        right[torch.arange(len(rows), device=own.device), own] = True
        return right, blocked & ~right

    @torch.no_grad()
    def measured(self) -> dict[str, float]:
        """Return Top-1 by cosine and by late interaction, and R@50, of the repositories left out, by kind."""
        found: dict[str, list[tuple[bool, bool, bool]]] = {"written": [], "earlier": []}
        for first in range(0, len(self._measured), MICRO):
            rows = self._measured[first : first + MICRO]
            dense, tokens = self.side(*self.pool.questions(rows))
            candidates = (dense @ self.pool.dense.T).topk(CANDIDATES).indices
            for row, listed, vectors in zip(rows, candidates, tokens, strict=True):
                late = max_sim(vectors[None], self.pool.passages(listed[None]))[0]
                grades = self._mixture.grades[row] | {int(self._mixture.own[row]): ANSWERS}
                firsts = (int(listed[0]), int(listed[late.argmax()]))
                is_right = [grades.get(number, 0) >= ANSWERS for number in firsts]
                kind = "earlier" if self._mixture.earlier[row] else "written"
                found[kind].append((*is_right, int(self._mixture.own[row]) in listed.tolist()))
        return {
            f"{kind} {name}": round(float(np.mean(values)), 3)
            for kind, rows in found.items()
            for name, values in zip(("dense", "late", "R@50"), zip(*rows, strict=True), strict=False)
        }

    @torch.no_grad()
    def blend(self) -> None:
        """Go back from what was trained towards the start (WiSE-FT), so that less is forgotten."""
        for new, old in zip(self.side.parameters(), self._start.parameters(), strict=True):
            new.lerp_(old, 1 - self.settings.blend)


@torch.no_grad()
def encode(encoder: Encoder, mixture: Mixture, first: int) -> Pool:
    """Encode all passages, and read all questions with the layers below `first`."""
    device = encoder.position.device
    dense: list[Tensor] = [torch.empty(0)] * len(mixture.passages)
    tokens, states = dense.copy(), [torch.empty(0)] * len(mixture.queries)
    for rows in _by_length(mixture.passages):
        ids, mask = (part.to(device) for part in pad([mixture.passages[row] for row in rows], mixture.pad))
        encoded = encoder(ids, mask)
        for row, vector, found in zip(rows, encoded.dense, encoded.tokens, strict=True):
            kept = found[PASSAGE_PREFIX : max(PASSAGE_PREFIX + 1, len(mixture.passages[row]) - 1)]
            dense[row] = vector
            tokens[row] = torch.from_numpy(pooled(kept.cpu().numpy(), RATIO)).to(device).half()
    for rows in _by_length(mixture.queries):
        ids, mask = (part.to(device) for part in pad([mixture.queries[row] for row in rows], mixture.pad))
        found = encoder.norm(F.embedding(ids, encoder.word) + encoder.position[: ids.shape[1]])
        for layer in encoder.layers[:first]:
            found = layer(found, mask[:, None, None, :])
        for row, lower in zip(rows, found, strict=True):
            states[row] = lower[: len(mixture.queries[row])].half()
    return Pool(torch.stack(dense), tokens, states)


def _by_length(texts: Sequence[np.ndarray]) -> Iterator[list[int]]:
    """Yield row numbers of texts of similar length, MICRO at a time."""
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    yield from (order[at : at + MICRO] for at in range(0, len(order), MICRO))


def _endless(rows: list[int], rng: random.Random) -> Iterator[int]:
    """Yield all rows in random order, again and again."""
    while True:
        yield from rng.sample(rows, len(rows))


def content(mask: Tensor) -> Tensor:
    """Return which tokens (n, t) are neither prefix nor the last of their text."""
    last = mask.sum(1, keepdim=True) - 1
    place = torch.arange(mask.shape[1], device=mask.device)
    return (place >= QUERY_PREFIX) & (place < last)


def max_sim(queries: Tensor, passages: Tensor) -> Tensor:
    """Return the sums (n, k) over question tokens (n, q, d) of the best match in each passage (n, k, t, d)."""
    return torch.einsum("nqd,nktd->nkqt", queries, passages).amax(-1).sum(-1)


if __name__ == "__main__":
    main()
