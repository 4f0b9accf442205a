"""Draw the training pairs, write their questions' variants, tokenise, and plan batches of neighbouring questions.

    python prepare.py --pairs pairs.jsonl.xz --zero-shot zero-shot.npz --out plan.npz

Hard negatives cost nothing this way: questions that the zero-shot model finds alike (mostly other sections of the same
document or project) share a batch, so each one's passage is a near miss for the others.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import tomllib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import faiss
import numpy as np
from base import BaseTokenizer, read_base
from data import Pair, passage_text, read_pairs
from encode import encode
from load import load_encoder
from variants import variant


@dataclass(frozen=True)
class Settings:
    """The `[data]` table of config.toml."""

    max_query_tokens: int
    max_passage_tokens: int
    batch: int
    group: int
    neighbours: int
    duplicate_cosine: float
    title_dropout: float
    seed: int
    copies: dict[str, float]


def main() -> None:
    """Write token ids, zero-shot question vectors, passage keys and the batch plan to one .npz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--zero-shot", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("config.toml"))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    settings = Settings(**tomllib.loads(arguments.config.read_text())["data"])
    rng = random.Random(settings.seed)
    pairs = draw(list(read_pairs(arguments.pairs)), settings.copies, rng)
    print(len(pairs), Counter((pair.kind, pair.lang) for pair in pairs).most_common())
    base = read_base()
    tokenizer = BaseTokenizer(base)
    encoder = load_encoder(arguments.zero_shot)
    questions = [f"query: {pair.query}" for pair in pairs]
    vectors = encode(encoder, tokenizer, questions, max_tokens=settings.max_query_tokens, pad_id=base.pad).dense
    keys = np.array([passage_key(pair) for pair in pairs])
    batches = plan(vectors, keys, settings)
    queries = tokenizer.encode(questions, settings.max_query_tokens)
    titles = [kept_title(pair, settings.title_dropout, rng) for pair in pairs]
    texts = [passage_text(pair, title) for pair, title in zip(pairs, titles, strict=True)]
    passages = tokenizer.encode(texts, settings.max_passage_tokens)
    np.savez(
        arguments.out, batches=batches, keys=keys, question_vectors=vectors.astype(np.float16),
        queries=np.concatenate(queries), query_lengths=[len(q) for q in queries],
        passages=np.concatenate(passages), passage_lengths=[len(p) for p in passages],
    )  # fmt: skip
    print(len(batches), "batches;", len(passages), "passages of", np.mean([len(p) for p in passages]), "tokens")


def draw(pairs: list[Pair], copies: dict[str, float], rng: random.Random) -> list[Pair]:
    """Each pair as often as its kind (or, for cross-lingual ones, its direction) says; copies carry a variant."""
    out = []
    for pair in pairs:
        wanted = copies[pair.lang] if pair.kind == "xling" else copies[pair.kind]
        count = int(wanted) + (rng.random() < wanted - int(wanted))
        for copy in range(count):
            changed = copy > 0 or rng.random() < 0.3
            out.append(replace(pair, query=variant(pair.query, rng, pair.kind)) if changed else pair)
    return out


def kept_title(pair: Pair, dropout: float, rng: random.Random) -> str:
    """The title, or nothing: dropped at random, and mostly where it gives the answer away."""
    given_away = pair.query.strip().lower() == pair.title.strip().lower()
    return "" if rng.random() < (0.8 if given_away else dropout) else pair.title


def passage_key(pair: Pair) -> int:
    """Equal for passages with the same opening, whatever their title."""
    opening = "".join(pair.text.split())[:160]
    return int.from_bytes(hashlib.blake2b(opening.encode(), digest_size=7).digest(), "little")


def plan(vectors: np.ndarray, keys: np.ndarray, settings: Settings) -> np.ndarray:
    """Batches (n, batch) of row numbers: groups of neighbouring questions in random order."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    similar, rows = index.search(vectors, settings.neighbours)
    free = np.ones(len(vectors), bool)
    groups = []
    for seed in np.random.default_rng(settings.seed).permutation(len(vectors)):
        if free[seed]:
            wanted = free[rows[seed]] & (similar[seed] < settings.duplicate_cosine) & (keys[rows[seed]] != keys[seed])
            group = [seed, *rows[seed][wanted][: settings.group - 1]]
            free[group] = False
            groups.append(group)
    random.Random(settings.seed).shuffle(groups)
    flat = np.array([row for group in groups for row in group])
    return flat[: len(flat) // settings.batch * settings.batch].reshape(-1, settings.batch)


if __name__ == "__main__":
    main()
