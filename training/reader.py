"""Train a reader: question and passage in one pass of the encoder's lower layers.

    python reader.py --lists lists.npz --start docs-e5-2.npz --run runs/reader

Its score is the late interaction of the joint states, times a learned sharpness, plus a linear head that starts at 0.
It learns what the product's blend does not know: the blend of each passage is added to its score, with a learned gain.
The loss is listwise over the right passage and those that the blend puts highest beside it.
"""

from __future__ import annotations

import argparse
import json
import random
import time
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from base import travelling_base
from finetune import ANSWERS, PASSAGE_PREFIX, QUERY_PREFIX, WORKERS, resume, save
from load import read_export
from model import Encoder, pad
from torch import Tensor, nn
from torch.nn import functional as F

MASKED = -1e4
WORTH = (0.0, 0.05, 0.3, 1.0)  # of a grade, as a share of the answers
STYLES = {"vague": 0.0, "keyword": 0.6}  # weight of a question; others 1
PARTLY = 0.4  # weight of a question that its passage answers partly
SHARPNESS, GAIN = 10.0, 0.7  # at the start
READ = 10  # passages of a written question that the learning curve is measured on


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
    passages: int
    cut: int
    micro: int
    held: int
    save_every: int
    measure_every: int
    seed: int


@dataclass(frozen=True)
class List:
    """A question with passages, their grades and their blends; `weight` is its share of the loss."""

    question: int
    passages: list[int]
    grades: list[int]
    blends: list[float]
    weight: float = 1.0

    def cut(self, size: int) -> List:
        """Return the first passage that answers and those with the highest blend beside it."""
        right = self.grades.index(ANSWERS)
        kept = [right, *(row for row in range(len(self.passages)) if row != right)][:size]
        grades = [self.grades[row] for row in kept]
        return List(
            self.question, [self.passages[r] for r in kept], grades, [self.blends[r] for r in kept], self.weight
        )


class Lists:
    """The file of lists.py; training and held-out lists, graded and written ones."""

    def __init__(self, path: Path, settings: Settings) -> None:
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
        self.passages, self.queries = (
            np.split(arrays[name], np.cumsum(arrays[f"{name}_lengths"])[:-1]) for name in ("passages", "queries")
        )
        self.words = arrays["words"]
        self.pad = int(np.searchsorted(arrays["pieces"], 1))
        self.judged: list[List] = []
        self.written: list[List] = []
        self.held: dict[str, list[List]] = {"judged": [], "written": []}
        for question, repository in enumerate(arrays["repositories"].tolist()):
            self._add(question, held_out(repository), arrays)
        for kind, rows in self.held.items():
            random.Random(settings.seed).shuffle(rows)
            self.held[kind] = rows[: settings.held]

    def _add(self, question: int, held: bool, arrays: dict[str, np.ndarray]) -> None:
        count = int((arrays["listed"][question] >= 0).sum())
        passages, grades, blends = (arrays[name][question, :count].tolist() for name in ("listed", "grades", "blends"))
        weight = STYLES.get(str(arrays["styles"][question]), 1.0) * (PARTLY if arrays["answered"][question] == 1 else 1)
        if weight == 0 or count < 2 or ANSWERS not in grades:
            return
        if arrays["judged"][question]:
            graded = [row for row in range(count) if grades[row] >= 0]
            made = List(
                question, [passages[r] for r in graded], [grades[r] for r in graded], [blends[r] for r in graded]
            )
            if len(graded) > 3:
                (self.held["judged"] if held else self.judged).append(made)
        else:
            made = List(question, passages, [max(grade, 0) for grade in grades], blends, weight)
            (self.held["written"] if held else self.written).append(made)


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
        self.sharpness = nn.Parameter(torch.tensor(SHARPNESS).log())
        self.gain = nn.Parameter(torch.tensor(GAIN))
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
        pooled = F.normalize((states * mask[..., None]).sum(1), dim=-1)  # the vector that the product's graph gives
        return self.sharpness.exp() * late + self.head(F.layer_norm(pooled, pooled.shape[1:]))[:, 0]


def main() -> None:
    """Train until `steps`; write checkpoints, and log.jsonl with the share of held-out lists got right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lists", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("mixture.toml"))
    parser.add_argument("--steps", type=int)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    values = tomllib.loads(arguments.config.read_text())["reader"]
    settings = Settings(**values | ({"steps": arguments.steps} if arguments.steps else {}))
    torch.manual_seed(settings.seed)
    arguments.run.mkdir(parents=True, exist_ok=True)
    lists = Lists(arguments.lists, settings)
    reader = start_reader(lists.words, arguments.start, settings).to(arguments.device)
    train(reader, lists, settings, arguments.run)


def start_reader(words: np.ndarray, start: Path, settings: Settings) -> Reader:
    """Return the reader made of the lowest layers of an export, over the word embeddings of some lists."""
    base = travelling_base(start, words)
    encoder = Encoder(base)
    encoder.load_state_dict(read_export(start, base))
    return Reader(encoder, settings.layers, settings.frozen_layers).train()


def train(reader: Reader, lists: Lists, settings: Settings, run: Path) -> None:
    """Train from the last checkpoint of `run` on."""
    optimizer = make_optimizer(reader, settings)
    step = resume(run, reader, optimizer)
    recent: dict[str, list[float]] = defaultdict(list)
    with (run / "log.jsonl").open("a") as log:

        def note(**figures: object) -> None:
            log.write(json.dumps({"step": step, **figures}) + "\n")
            log.flush()

        if not step:
            note(judged=len(lists.judged), written=len(lists.written), held=right(reader, lists, settings))
        while step < settings.steps:
            started = time.time()
            share = min(1.0, (step + 1) / settings.warmup_steps, (settings.steps - step) / max(1, settings.decay_steps))
            for group in optimizer.param_groups:
                group["lr"] = group["base_lr"] * share
            for name, figure in one_step(reader, optimizer, lists, draw(lists, settings, step), settings).items():
                recent[name].append(figure)
            recent["seconds"].append(time.time() - started)
            step += 1
            if step % 10 == 0:
                note(**{name: round(float(np.mean(values)), 4) for name, values in recent.items()})
                recent.clear()
            if step % settings.save_every == 0 or step == settings.steps:
                save(run, reader, optimizer, step)
            if step % settings.measure_every == 0 or step == settings.steps:
                note(held=right(reader, lists, settings))


def held_out(repository: str) -> bool:
    """Return whether the questions of a repository are kept for the learning curve: one in eight repositories is."""
    return sum(repository.encode()) % 8 == 0


def draw(lists: Lists, settings: Settings, step: int) -> list[List]:
    """Return the lists of a step: graded and written ones, each kind in a random order of its own every round."""
    chosen: list[List] = []
    for rows, count in ((lists.judged, settings.judged), (lists.written, settings.lists - settings.judged)):
        for at in range(step * count, (step + 1) * count):
            turn, place = divmod(at, len(rows))
            order = random.Random(settings.seed * 1009 + turn).sample(range(len(rows)), len(rows))
            chosen.append(rows[order[place]].cut(settings.passages))
    return chosen


def one_step(
    reader: Reader, optimizer: torch.optim.Optimizer, lists: Lists, chosen: list[List], settings: Settings
) -> dict[str, float]:
    """Update once; return the loss, and the share of lists whose first passage answers, joined and by the blend."""
    made, back = scores(reader, lists, chosen, settings)
    leaves = [part.detach().requires_grad_() for part in made]
    read = torch.cat(leaves)[back].split([len(one.passages) for one in chosen])
    losses, joined_right, blend_right = [], [], []
    for one, part in zip(chosen, read, strict=True):
        blend = torch.tensor(one.blends, device=part.device)
        table = part + reader.gain * blend
        worth = torch.tensor([WORTH[grade] for grade in one.grades], device=part.device)
        losses.append(-one.weight * (worth / worth.sum() * table.log_softmax(0)).sum())
        joined_right.append(float(one.grades[int(table.argmax())] == ANSWERS))
        blend_right.append(float(one.grades[int(blend.argmax())] == ANSWERS))
    loss = torch.stack(losses).sum() / sum(one.weight for one in chosen)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    list(_map(reader)(lambda part, leaf: part.backward(leaf.grad), made, leaves))
    norm = nn.utils.clip_grad_norm_(reader.parameters(), settings.clip)
    optimizer.step()
    return {"loss": loss.item(), "right": float(np.mean(joined_right)), "blend": float(np.mean(blend_right)),
            "norm": norm.item(), "gain": reader.gain.item(), "sharpness": reader.sharpness.exp().item()}  # fmt: skip


@torch.no_grad()
def right(reader: Reader, lists: Lists, settings: Settings) -> dict[str, dict[str, float]]:
    """Return the share of held-out lists whose first passage answers: by the blend, the reader, and both joined."""
    found: dict[str, dict[str, float]] = {}
    for kind, rows in lists.held.items():
        hits: dict[str, list[bool]] = defaultdict(list)
        for at in range(0, len(rows), settings.lists):
            chosen = [_served(one) for one in rows[at : at + settings.lists]]
            made, back = scores(reader, lists, chosen, settings)
            read = torch.cat(made)[back].cpu().split([len(one.passages) for one in chosen])
            for one, part in zip(chosen, read, strict=True):
                blend = torch.tensor(one.blends)
                ways = {"blend": blend, "reader": part, "joined": part + reader.gain.item() * blend}
                for way, values in ways.items():
                    hits[way].append(one.grades[int(values.argmax())] == ANSWERS)
        found[kind] = {way: round(float(np.mean(values)), 4) for way, values in hits.items()} | {"lists": len(rows)}
    return found


def _served(one: List) -> List:
    """Return the passages that the product would have read."""
    return List(one.question, one.passages[:READ], one.grades[:READ], one.blends[:READ])


def scores(reader: Reader, lists: Lists, chosen: list[List], settings: Settings) -> tuple[list[Tensor], Tensor]:
    """Return the scores of all pairs in micro-batches, and the positions that put them back in order."""
    rows = [
        joined(lists.queries[one.question], lists.passages[number], settings.cut)
        for one in chosen
        for number in one.passages
    ]
    order = sorted(range(len(rows)), key=lambda row: -len(rows[row][0]))
    parts = [order[at : at + settings.micro] for at in range(0, len(order), settings.micro)]
    device = reader.position.device
    training = torch.is_grad_enabled()

    def run(part: list[int]) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16), torch.set_grad_enabled(training):
            ids, mask = pad([rows[row][0] for row in part], lists.pad)
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
    new = {name for name in trained if name.startswith(("head.", "sharpness", "gain"))}
    groups = [
        {"params": [p for name, p in trained.items() if name not in new and p.ndim > 1],
         "base_lr": settings.learning_rate, "weight_decay": settings.weight_decay},
        {"params": [p for name, p in trained.items() if name not in new and p.ndim == 1],
         "base_lr": settings.learning_rate, "weight_decay": 0.0},
        {"params": [p for name, p in trained.items() if name in new],
         "base_lr": settings.head_learning_rate, "weight_decay": 0.0},
    ]  # fmt: skip
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))


def _map(reader: Reader) -> object:
    """Return the map that runs micro-batches: over two threads on a CPU, one after the other on a GPU."""
    return WORKERS.map if reader.position.device.type == "cpu" else map


if __name__ == "__main__":
    main()
