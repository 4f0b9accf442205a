"""Train the encoder further on a mixture: written questions, graded passages, earlier pairs.

    python finetune.py --mixture mixture.npz --start docs-e5.npz --run runs/first
    python finetune.py --mixture mixture.npz --start docs-e5.npz --run runs/second --set seed=2 frozen_layers=6

Each batch is some fifty passages and the questions that belong to them. Three losses: InfoNCE over the dense cosine;
InfoNCE over late interaction, for a share of the batches over pooled passage vectors; and the dense scores taught the
mean of both. A run that was cut off goes on from its last checkpoint when started again.
"""

from __future__ import annotations

import argparse
import json
import random
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from base import travelling_base
from load import read_export
from model import Encoder, pad
from pooling import clusters, pool
from torch import Tensor, nn

MASKED = -1e4
# Tokens before the content: <s> and `query: ` (four in all), <s> and `passage: ` (three).
QUERY_PREFIX, PASSAGE_PREFIX = 4, 3
ANSWERS, PARTLY = 3, 2  # grades
SAME, TRANSLATION = 0.97, 0.93  # a passage nearer than this to the right one, in its script or another, is no negative
ABOVE, ABOVE_EARLIER = 0.15, 0.08  # nor one scored so much above the right one; the earlier pairs are less clean
LATE_SHARE = 2 / 3  # of late interaction in what the dense scores are taught
QUESTIONS_A_PASS = 24  # a batch has a multiple of it: every new shape costs oneDNN seconds on the CPU
RATIOS = (2, 3, 3, 4)
# One micro-batch a thread instead of one matrix product over all threads: no waiting at every operation.
WORKERS = ThreadPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,))


@dataclass(frozen=True)
class Settings:
    """The `[train]` table of mixture.toml."""

    learning_rate: float
    head_learning_rate: float
    warmup_steps: int
    steps: int
    decay_steps: int
    weight_decay: float
    clip: float
    temperature: float
    distil_weight: float
    pairs_weight: float
    pooled: float
    passages: int
    judged: int
    written: int
    group: int
    questions: int
    cut: int
    cut_others: int
    micro: int
    frozen_layers: int
    save_every: int
    seed: int


class Mixture:
    """The file of mixture.py."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
        self.passages, self.untitled, self.queries = (
            _rows(arrays, name) for name in ("passages", "untitled", "queries")
        )
        self.pieces, self.words = arrays["pieces"], arrays["words"]
        self.own, self.weights, self.earlier = arrays["own"], arrays["weights"], arrays["earlier"]
        self.near = [[number for number in row.tolist() if number >= 0] for row in arrays["near"]]
        self.judged: list[list[int]] = arrays["judged"].tolist()
        self.groups = [[number for number in row if number >= 0] for row in arrays["groups"].tolist()]
        self.latin, self.title_dropout = arrays["latin"], float(arrays["title_dropout"])
        self.repository = arrays["repositories"][arrays["repository"]]
        self.written = int(arrays["written"])
        self.pad = int(np.searchsorted(self.pieces, 1))
        self.grades: list[dict[int, int]] = [{} for _ in self.queries]
        for question, passage, grade in arrays["grades"].tolist():
            self.grades[question][passage] = grade
        self.asked: list[list[int]] = [[] for _ in self.passages]
        for question, passage in enumerate(self.own.tolist()):
            self.asked[passage].append(question)


def _rows(arrays: dict[str, Any], name: str) -> list[np.ndarray]:
    """Return the token ids of each text."""
    return np.split(arrays[name], np.cumsum(arrays[f"{name}_lengths"])[:-1])


@dataclass(frozen=True)
class Batch:
    """Numbers of passages and questions, and the passages' token ids."""

    passages: list[int]
    questions: list[int]
    texts: list[np.ndarray]


def batches(mixture: Mixture, settings: Settings) -> Iterator[Batch]:
    """Yield batches without end, the same ones for the same seed."""
    rng = random.Random(settings.seed)
    sources = (
        (_shuffled(mixture.judged, rng), settings.judged),
        (_near_groups(mixture, settings.group, rng), settings.judged + settings.written),
        (_shuffled(mixture.groups, rng), settings.passages),
    )
    while True:
        numbers: list[int] = []
        for source, until in sources:
            while len(numbers) < until:
                numbers += [number for number in next(source) if number not in numbers]
        numbers = numbers[: settings.passages]
        questions = [
            question
            for number in numbers
            for question in rng.sample(mixture.asked[number], min(settings.questions, len(mixture.asked[number])))
        ]
        while len(questions) % QUESTIONS_A_PASS:
            questions.pop(rng.randrange(len(questions)))
        yield Batch(numbers, questions, [_text(mixture, number, settings, rng) for number in numbers])


def _shuffled(rows: Sequence[list[int]], rng: random.Random) -> Iterator[list[int]]:
    """Yield all rows in random order, again and again."""
    while True:
        yield from rng.sample(rows, len(rows))


def _near_groups(mixture: Mixture, size: int, rng: random.Random) -> Iterator[list[int]]:
    """Yield passages that questions were written for, each with near ones of its repository that are left."""
    while True:
        free = set(range(mixture.written))
        for seed in rng.sample(range(mixture.written), mixture.written):
            if seed in free:
                free.discard(seed)
                group = [number for number in mixture.near[seed] if number in free][: size - 1]
                free.difference_update(group)
                yield [seed, *group]


def _text(mixture: Mixture, number: int, settings: Settings, rng: random.Random) -> np.ndarray:
    """Return the token ids of a passage, cut, now and then without its title."""
    ids = (mixture.untitled if rng.random() < mixture.title_dropout else mixture.passages)[number]
    cut = settings.cut if number < mixture.written else settings.cut_others
    return ids if len(ids) <= cut else np.append(ids[: cut - 1], ids[-1])


def main() -> None:
    """Train until `steps`; write a checkpoint every `save_every` steps and a line of log.jsonl every 10."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixture", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True, help="an export to go on from")
    parser.add_argument("--trained", type=Path, help="a checkpoint to go on from, instead of the export's weights")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("mixture.toml"))
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="settings other than the file's")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    settings = read_settings(arguments.config, arguments.set)
    torch.manual_seed(settings.seed)
    arguments.run.mkdir(parents=True, exist_ok=True)
    mixture = Mixture(arguments.mixture)
    encoder = start_encoder(mixture, arguments.start, arguments.device, arguments.trained)
    trainer = Trainer(encoder, mixture, settings)
    step = resume(arguments.run, trainer.encoder, trainer.optimizer)
    source = batches(mixture, settings)
    for _ in range(step):
        next(source)
    with (arguments.run / "log.jsonl").open("a") as log:
        while step < settings.steps:
            started = time.time()
            figures = trainer.step(step, next(source))
            step += 1
            if step % 10 == 0:
                log.write(json.dumps({"step": step, **figures, "seconds": round(time.time() - started, 2)}) + "\n")
                log.flush()
            if step % settings.save_every == 0 or step == settings.steps:
                save(arguments.run, trainer.encoder, trainer.optimizer, step)


def read_settings(config: Path, changes: list[str]) -> Settings:
    """Return the settings of a file with `name=value` changes, each of its field's type."""
    values = tomllib.loads(config.read_text())["train"]
    kinds = {field.name: int if field.type == "int" else float for field in fields(Settings)}
    for change in changes:
        name, _, value = change.partition("=")
        values[name] = kinds[name](value)
    return Settings(**values)


def start_encoder(mixture: Mixture, start: Path, device: str, trained: Path | None = None) -> Encoder:
    """Return the encoder of an export, or of a checkpoint, over the mixture's own vocabulary."""
    base = travelling_base(start, mixture.words)
    encoder = Encoder(base)
    encoder.load_state_dict(
        torch.load(trained, map_location="cpu", weights_only=True)["encoder"] if trained else read_export(start, base)
    )
    return encoder.to(device).train()


class Trainer:
    """The encoder, its optimizer and one step of both."""

    def __init__(self, encoder: Encoder, mixture: Mixture, settings: Settings) -> None:
        self.encoder, self.settings = encoder, settings
        self._mixture = mixture
        self._device = encoder.position.device
        freeze(encoder, settings.frozen_layers)
        self.optimizer = make_optimizer(encoder, settings)

    def step(self, number: int, batch: Batch) -> dict[str, float]:
        """Update once; return the losses and how often a right passage came first in the batch."""
        settings = self.settings
        share = min(1.0, (number + 1) / settings.warmup_steps, (settings.steps - number) / max(1, settings.decay_steps))
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * share
        rng = random.Random(settings.seed * 100_003 + number)
        ratio = rng.choice(RATIOS) if rng.random() < settings.pooled else 1
        queries = Leaves(self, [self._mixture.queries[question] for question in batch.questions], QUESTIONS_A_PASS)
        passages = Leaves(self, batch.texts, settings.micro)
        dense = queries.dense @ passages.dense.T
        late = max_sim(queries.tokens(QUERY_PREFIX), pooled_tokens(passages.tokens(PASSAGE_PREFIX), ratio))
        losses, figures = self._losses(batch, dense, late, passages.dense.detach())
        self.optimizer.zero_grad(set_to_none=True)
        losses.backward()
        queries.push_back()
        passages.push_back()
        norm = nn.utils.clip_grad_norm_(self.encoder.parameters(), settings.clip)
        self.optimizer.step()
        return figures | {"norm": round(norm.item(), 2)}

    def encode(self, ids: list[np.ndarray]) -> tuple[Tensor, Tensor]:
        """Return dense and token vectors of one micro-batch; autocast is per thread, so it is entered here."""
        padded, mask = pad(ids, self._mixture.pad)
        with torch.autocast(self._device.type, torch.bfloat16):
            encoded = self.encoder(padded.to(self._device), mask.to(self._device))
        return encoded.dense, encoded.tokens

    def _losses(self, batch: Batch, dense: Tensor, late: Tensor, vectors: Tensor) -> tuple[Tensor, dict[str, float]]:
        settings, mixture = self.settings, self._mixture
        right, blocked, own = (part.to(self._device) for part in targets(mixture, batch))
        earlier = torch.from_numpy(mixture.earlier[batch.questions]).to(self._device)
        with torch.no_grad():
            blocked |= false_negatives(dense, vectors, own, earlier, mixture.latin[batch.passages])
            blocked &= ~right
        weights = torch.from_numpy(mixture.weights[batch.questions]).to(self._device)
        weights = shares(weights, earlier, settings.pairs_weight)
        wanted = right / right.sum(1, keepdim=True)
        dense_log, late_log = (
            (scores / settings.temperature).masked_fill(blocked, MASKED).log_softmax(1) for scores in (dense, late)
        )
        with torch.no_grad():
            both = (1 - LATE_SHARE) * dense + LATE_SHARE * late
            taught = (both / settings.temperature).masked_fill(blocked, MASKED).softmax(1)
        parts = {
            "dense": -(weights * (wanted * dense_log).sum(1)).sum(),
            "late": -(weights * (wanted * late_log).sum(1)).sum(),
            "distil": -(weights * (taught * dense_log).sum(1)).sum(),
        }
        figures = {name: round(loss.item(), 4) for name, loss in parts.items()}
        for name, scores in (("dense_top1", dense_log), ("late_top1", late_log)):
            first = right.gather(1, scores.argmax(1, keepdim=True))[:, 0]
            figures[name] = round(first[~earlier].float().mean().item(), 3)
        return parts["dense"] + parts["late"] + settings.distil_weight * parts["distil"], figures


class Leaves:
    """Vectors of texts, encoded in micro-batches of similar length and cut off from the encoder's graph.

    So the loss is computed over the whole batch, and each micro-batch goes back through the encoder on its own.
    """

    def __init__(self, trainer: Trainer, ids: list[np.ndarray], micro: int) -> None:
        self._ids = ids
        order = sorted(range(len(ids)), key=lambda row: -len(ids[row]))
        self._parts = [order[at : at + micro] for at in range(0, len(order), micro)]
        self._made = list(_workers(trainer)(lambda part: trainer.encode([ids[row] for row in part]), self._parts))
        self._map = _workers(trainer)
        self._leaves = [tuple(made.detach().requires_grad_() for made in pair) for pair in self._made]
        back = torch.argsort(torch.tensor([row for part in self._parts for row in part]))
        self.dense = torch.cat([dense for dense, _ in self._leaves])[back.to(self._leaves[0][0].device)]

    def tokens(self, prefix: int) -> list[Tensor]:
        """Return each text's token vectors without `prefix` first ones and the last; one at least."""
        out: list[Tensor] = [torch.empty(0)] * len(self._ids)
        for part, (_, tokens) in zip(self._parts, self._leaves, strict=True):
            for row, vectors in zip(part, tokens, strict=True):
                out[row] = vectors[prefix : max(prefix + 1, len(self._ids[row]) - 1)]
        return out

    def push_back(self) -> None:
        """Continue the gradient of the loss from the vectors into the encoder."""
        list(self._map(lambda made, leaves: torch.autograd.backward(made, [leaf.grad for leaf in leaves]),
                       self._made, self._leaves))  # fmt: skip


def _workers(trainer: Trainer) -> Any:
    """Return the map that runs micro-batches: over two threads on a CPU, one after the other on a GPU."""
    return WORKERS.map if trainer.encoder.position.device.type == "cpu" else map


def targets(mixture: Mixture, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Return which passages answer each question (n, m), which may not be called wrong (n, m), and its own (n,)."""
    columns = {number: column for column, number in enumerate(batch.passages)}
    right = torch.zeros(len(batch.questions), len(batch.passages), dtype=torch.bool)
    blocked = torch.zeros_like(right)
    own = torch.tensor([columns[int(mixture.own[question])] for question in batch.questions])
    for row, question in enumerate(batch.questions):
        right[row, own[row]] = True
        for number, grade in mixture.grades[question].items():
            if number in columns:
                right[row, columns[number]] |= grade >= ANSWERS
                blocked[row, columns[number]] = grade == PARTLY
    return right, blocked, own


def false_negatives(dense: Tensor, vectors: Tensor, own: Tensor, earlier: Tensor, latin: np.ndarray) -> Tensor:
    """Return which passages may well answer a question (n, m) that nobody graded for it."""
    script = torch.from_numpy(latin).to(dense.device)
    same = (vectors @ vectors.T) > torch.where(script[:, None] == script[None], SAME, TRANSLATION)
    margin = torch.where(earlier, ABOVE_EARLIER, ABOVE)[:, None]
    return same[own] | (dense > dense.gather(1, own[:, None]) + margin)


def shares(weights: Tensor, earlier: Tensor, earlier_share: float) -> Tensor:
    """Scale the weights (n,) so that the earlier pairs have their share of the loss and the others the rest."""
    totals = [weights[part].sum().clamp(min=1e-6) for part in (earlier, ~earlier)]
    return torch.where(earlier, earlier_share * weights / totals[0], (1 - earlier_share) * weights / totals[1])


def pooled_tokens(tokens: list[Tensor], ratio: float) -> list[Tensor]:
    """Pool each passage's token vectors, `ratio` into one; the clusters are taken as given."""
    if ratio <= 1:
        return tokens
    labels = WORKERS.map(lambda vectors: clusters(vectors.detach().float().cpu().numpy(), ratio), tokens)
    return [pool(vectors, label) for vectors, label in zip(tokens, labels, strict=True)]


def max_sim(queries: list[Tensor], passages: list[Tensor]) -> Tensor:
    """Return late-interaction scores (n, m): the mean over question tokens of the best match among a passage's."""
    lengths = torch.tensor([len(tokens) for tokens in queries], device=queries[0].device)
    padded = nn.utils.rnn.pad_sequence(passages, batch_first=True)  # padding scores 0, below any best match
    dots = torch.cat(queries) @ padded.flatten(0, 1).T
    best = dots.view(len(dots), len(passages), -1).amax(-1)
    rows = torch.repeat_interleave(torch.arange(len(queries), device=best.device), lengths)
    return best.new_zeros(len(queries), len(passages)).index_add(0, rows, best) / lengths[:, None]


def freeze(encoder: Encoder, layers: int) -> None:
    """Keep positions and the first layers as they are; with 0 everything trains."""
    if layers:
        for part in (encoder.norm, *encoder.layers[:layers]):
            part.requires_grad_(requires_grad=False)
        encoder.position.requires_grad_(requires_grad=False)


def make_optimizer(encoder: Encoder, settings: Settings) -> torch.optim.Optimizer:
    """Return AdamW: no decay on vectors, its own rate for the projection."""
    trained = {name: parameter for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    matrices = [parameter for name, parameter in trained.items() if parameter.ndim > 1 and name != "projection"]
    vectors = [parameter for parameter in trained.values() if parameter.ndim == 1]
    groups = [
        {"params": matrices, "base_lr": settings.learning_rate, "weight_decay": settings.weight_decay},
        {"params": vectors, "base_lr": settings.learning_rate, "weight_decay": 0.0},
        {"params": [encoder.projection], "base_lr": settings.head_learning_rate, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))


def save(run: Path, module: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Write the parameters of this step, and the optimizer's state for resuming (written whole, then renamed)."""
    torch.save({"encoder": module.state_dict(), "step": step}, run / f"step-{step}.pt")
    torch.save({"optimizer": optimizer.state_dict(), "step": step}, run / "optimizer.tmp")
    (run / "optimizer.tmp").rename(run / "optimizer.pt")


def resume(run: Path, module: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Load the last complete checkpoint, if there is one; return the step to go on from."""
    if not (run / "optimizer.pt").exists():
        return 0
    state = torch.load(run / "optimizer.pt", weights_only=True)
    module.load_state_dict(torch.load(run / f"step-{state['step']}.pt", weights_only=True)["encoder"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


if __name__ == "__main__":
    main()
