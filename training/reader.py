"""Train a reader: question and passage in one pass of the encoder's lower layers.

    python reader.py --mixture mixture.npz --start docs-e5-2.npz --run runs/reader

Its score is the late interaction of the joint states, times a learned sharpness, plus a linear head that starts at 0.
So the reader begins about as good as late interaction and learns what attention across the two texts adds. It learns
listwise: a question with passages of its repository, graded ones or the one it was written for and near ones.
"""

from __future__ import annotations

import argparse
import json
import random
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from finetune import ANSWERS, PASSAGE_PREFIX, QUERY_PREFIX, WORKERS, Mixture, resume, save, start_encoder
from model import Encoder, pad
from torch import Tensor, nn
from torch.nn import functional as F

MASKED = -1e4
WORTH = (0.0, 0.05, 0.3, 1.0)  # of a grade, as a share of the answers
LISTED = 8
LIST_WEIGHT = 0.6  # a written question of less weight makes no list


@dataclass(frozen=True)
class Settings:
    """The `[reader]` table of mixture.toml."""

    layers: int
    frozen_layers: int
    learning_rate: float
    head_learning_rate: float
    warmup_steps: int
    steps: int
    decay_steps: int
    weight_decay: float
    clip: float
    lists: int
    judged: int
    cut: int
    micro: int
    held: int
    save_every: int
    seed: int


@dataclass(frozen=True)
class List:
    """A question, passages of its repository and their grades."""

    question: int
    passages: list[int]
    grades: list[int]


class Reader(nn.Module):
    """The encoder's lowest layers over `<s> query: ... </s> passage: ... </s>`."""

    word: Tensor
    mean: Tensor

    def __init__(self, encoder: Encoder, layers: int, frozen: int) -> None:
        super().__init__()
        self.register_buffer("word", encoder.word, persistent=False)
        self.register_buffer("mean", encoder.mean)
        self.position, self.norm, self.projection = encoder.position, encoder.norm, encoder.projection
        self.layers = nn.ModuleList(encoder.layers[:layers])
        self.sharpness = nn.Parameter(torch.tensor(1 / 0.03).log())
        self.head = nn.Linear(encoder.mean.shape[0], 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.position.requires_grad_(requires_grad=False)
        for part in (self.norm, *self.layers[:frozen]):
            part.requires_grad_(requires_grad=False)

    def forward(self, ids: Tensor, mask: Tensor, query_ends: Tensor, ends: Tensor) -> Tensor:
        """Return a score a row (n,).

        ids, mask: (n, length). query_ends: (n,) where the question's `</s>` is followed by the passage. ends: (n,)
        lengths of the rows.
        """
        x = self.norm(F.embedding(ids, self.word) + self.position[: ids.shape[1]])
        if torch.is_autocast_enabled(ids.device.type):
            x = x.bfloat16()
        key_mask = None if bool(mask.all()) else mask[:, None, None, :]
        for layer in self.layers:
            x = layer(x, key_mask)
        with torch.autocast(ids.device.type, enabled=False):
            return self._score(x.float(), mask, query_ends, ends)

    def _score(self, states: Tensor, mask: Tensor, query_ends: Tensor, ends: Tensor) -> Tensor:
        at = torch.arange(states.shape[1], device=states.device)[None]
        asked = (at >= QUERY_PREFIX) & (at < query_ends[:, None] - 1)
        read = (at >= query_ends[:, None] + PASSAGE_PREFIX - 1) & (at < ends[:, None] - 1)
        tokens = F.normalize((states - self.mean) @ self.projection, dim=-1)
        best = (tokens @ tokens.transpose(1, 2)).masked_fill(~read[:, None, :], MASKED).amax(-1)
        late = (best * asked).sum(1) / asked.sum(1).clamp(min=1)
        pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return self.sharpness.exp() * late + self.head(F.layer_norm(pooled, pooled.shape[1:]))[:, 0]


def main() -> None:
    """Train until `steps`; write checkpoints, and log.jsonl with the share of held-out lists got right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixture", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument(
        "--trained", type=Path, help="a checkpoint of the same encoder, instead of the export's weights"
    )
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("mixture.toml"))
    parser.add_argument("--steps", type=int)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    values = tomllib.loads(arguments.config.read_text())["reader"]
    settings = Settings(**values | ({"steps": arguments.steps} if arguments.steps else {}))
    torch.manual_seed(settings.seed)
    arguments.run.mkdir(parents=True, exist_ok=True)
    mixture = Mixture(arguments.mixture)
    encoder = start_encoder(mixture, arguments.start, arguments.device, arguments.trained)
    reader = Reader(encoder, settings.layers, settings.frozen_layers).to(arguments.device)
    train(reader, mixture, settings, arguments.run)


def train(reader: Reader, mixture: Mixture, settings: Settings, run: Path) -> None:
    """Train from the last checkpoint of `run` on."""
    judged, held = judged_lists(mixture, settings)
    optimizer = make_optimizer(reader, settings)
    step = resume(run, reader, optimizer)
    with (run / "log.jsonl").open("a") as log:

        def note(**figures: object) -> None:
            log.write(json.dumps({"step": step, **figures}) + "\n")
            log.flush()

        if not step:
            note(held=right(reader, mixture, held, settings))
        while step < settings.steps:
            started = time.time()
            share = min(1.0, (step + 1) / settings.warmup_steps, (settings.steps - step) / max(1, settings.decay_steps))
            for group in optimizer.param_groups:
                group["lr"] = group["base_lr"] * share
            loss = one_step(reader, optimizer, mixture, draw(mixture, judged, settings, step), settings)
            step += 1
            if step % 10 == 0:
                note(loss=round(loss, 4), seconds=round(time.time() - started, 2))
            if step % settings.save_every == 0 or step == settings.steps:
                save(run, reader, optimizer, step)
                note(held=right(reader, mixture, held, settings))


def held_out(repository: str) -> bool:
    """Whether the graded questions of a repository are kept for the learning curve: three in ten are."""
    return sum(repository.encode()) % 10 < 3


def judged_lists(mixture: Mixture, settings: Settings) -> tuple[list[List], list[List]]:
    """Return the graded lists to train on and `held` of those to measure on, by repository."""
    train_on: list[List] = []
    measure_on: list[List] = []
    for passages in mixture.judged:
        for question in mixture.asked[passages[0]]:
            grades = mixture.grades[question]
            if all(number in grades for number in passages):
                made = List(question, passages, [grades[number] for number in passages])
                (measure_on if held_out(mixture.repository[passages[0]]) else train_on).append(made)
    random.Random(settings.seed).shuffle(measure_on)
    return train_on, measure_on[: settings.held]


def draw(mixture: Mixture, judged: list[List], settings: Settings, step: int) -> list[List]:
    """Return the lists of a step: graded ones in turn, and written questions with near passages at random."""
    rng = random.Random(settings.seed * 100_003 + step)
    lists = [judged[(step * settings.judged + row) % len(judged)] for row in range(settings.judged)]
    while len(lists) < settings.lists:
        question = rng.randrange(len(mixture.queries))
        own = int(mixture.own[question])
        if mixture.earlier[question] or mixture.weights[question] < LIST_WEIGHT or held_out(mixture.repository[own]):
            continue
        grades = mixture.grades[question]
        others = [number for number in mixture.near[own] if number != own and grades.get(number, 0) < ANSWERS - 1]
        if len(others) >= LISTED - 1:
            lists.append(List(question, [own, *others[: LISTED - 1]], [ANSWERS] + [0] * (LISTED - 1)))
    return lists


def one_step(
    reader: Reader, optimizer: torch.optim.Optimizer, mixture: Mixture, lists: list[List], settings: Settings
) -> float:
    """Update once; return the loss."""
    made, back = scores(reader, mixture, lists, settings)
    leaves = [part.detach().requires_grad_() for part in made]
    table = torch.cat(leaves)[back].view(len(lists), LISTED)
    worth = torch.tensor([[WORTH[grade] for grade in one.grades] for one in lists], device=table.device)
    loss = -(worth / worth.sum(1, keepdim=True).clamp(min=1e-6) * table.log_softmax(1)).sum(1).mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    list(_map(reader)(lambda part, leaf: part.backward(leaf.grad), made, leaves))
    nn.utils.clip_grad_norm_(reader.parameters(), settings.clip)
    optimizer.step()
    return loss.item()


@torch.no_grad()
def right(reader: Reader, mixture: Mixture, lists: list[List], settings: Settings) -> float:
    """Return the share of lists whose first passage by score answers the question."""
    hits = []
    for at in range(0, len(lists), settings.lists):
        part = lists[at : at + settings.lists]
        made, back = scores(reader, mixture, part, settings)
        best = torch.cat(made)[back].view(len(part), LISTED).argmax(1).tolist()
        hits += [one.grades[first] == ANSWERS for one, first in zip(part, best, strict=True)]
    return round(float(np.mean(hits)), 4)


def scores(reader: Reader, mixture: Mixture, lists: list[List], settings: Settings) -> tuple[list[Tensor], Tensor]:
    """Return the scores of all pairs in micro-batches, and the positions that put them back in order."""
    rows = [
        joined(mixture.queries[one.question], mixture.passages[number], settings.cut)
        for one in lists
        for number in one.passages
    ]
    order = sorted(range(len(rows)), key=lambda row: -len(rows[row][0]))
    parts = [order[at : at + settings.micro] for at in range(0, len(order), settings.micro)]
    device = reader.position.device
    training = torch.is_grad_enabled()

    def run(part: list[int]) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16), torch.set_grad_enabled(training):
            ids, mask = pad([rows[row][0] for row in part], mixture.pad)
            query_ends = torch.tensor([rows[row][1] for row in part], device=device)
            ends = torch.tensor([len(rows[row][0]) for row in part], device=device)
            score: Tensor = reader(ids.to(device), mask.to(device), query_ends, ends)
        return score

    back = torch.argsort(torch.tensor([row for part in parts for row in part], device=device))
    return list(_map(reader)(run, parts)), back


def joined(query: np.ndarray, passage: np.ndarray, cut: int) -> tuple[np.ndarray, int]:
    """Return `<s> query </s> passage </s>`, the passage cut at `cut` tokens, and where the passage begins."""
    passage = passage[1:] if len(passage) - 1 <= cut else np.append(passage[1:cut], passage[-1])
    return np.concatenate([query, passage]), len(query)


def make_optimizer(reader: Reader, settings: Settings) -> torch.optim.Optimizer:
    """Return AdamW: no decay on vectors, a rate of its own for the head and the sharpness."""
    trained = {name: parameter for name, parameter in reader.named_parameters() if parameter.requires_grad}
    new = {name for name in trained if name.startswith(("head.", "sharpness"))}
    groups = [
        {"params": [p for name, p in trained.items() if name not in new and p.ndim > 1],
         "base_lr": settings.learning_rate, "weight_decay": settings.weight_decay},
        {"params": [p for name, p in trained.items() if name not in new and p.ndim == 1],
         "base_lr": settings.learning_rate, "weight_decay": 0.0},
        {"params": [trained[name] for name in new], "base_lr": settings.head_learning_rate, "weight_decay": 0.0},
    ]  # fmt: skip
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))


def _map(reader: Reader) -> object:
    """Return the map that runs micro-batches: over two threads on a CPU, one after the other on a GPU."""
    return WORKERS.map if reader.position.device.type == "cpu" else map


if __name__ == "__main__":
    main()
