"""Draw the training pairs, write their questions' variants, tokenise, and plan batches of neighbouring questions.

    python prepare.py --pairs pairs.jsonl.xz --zero-shot zero-shot.npz --out plan.npz
    python prepare.py --pairs pairs.jsonl.xz --zero-shot zero-shot.npz --config longer.toml --mine CACHE --out mined.npz

Hard negatives cost nothing this way: questions that the zero-shot model finds alike (mostly other sections of the same
document or project) share a batch, so each one's passage is a near miss for the others. With `--mine` the neighbours
are the passages that BM25 and the encoder in the package find for a question, and the nearest questions.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import tomllib
from collections import Counter
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import numpy as np
from base import BaseTokenizer, read_base
from data import Pair, passage_text, read_pairs
from encode import encode
from load import load_encoder
from mine import Guards, Pool, bm25_neighbours, hard_negatives, is_latin, opening, own_vectors, vector_neighbours
from model import Encoder
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
    pairs: int | None = None  # whole documents, at random, up to so many; all when None
    duplicate_passages: float = 0.97
    translation_cosine: float = 0.8  # this and the next are only used with --mine
    false_negative_margin: float = 0.03

    @property
    def guards(self) -> Guards:
        """Return what may not be called a negative."""
        return Guards(
            self.duplicate_cosine, self.duplicate_passages, self.translation_cosine, self.false_negative_margin
        )


def main() -> None:
    """Write token ids, zero-shot question vectors, passage keys and the batch plan to one .npz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--zero-shot", type=Path, required=True)
    parser.add_argument("--mine", type=Path, metavar="CACHE", help="mine with BM25 and the package's own encoder")
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("config.toml"))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    settings = Settings(**tomllib.loads(arguments.config.read_text())["data"])
    rng = random.Random(settings.seed)
    pairs = draw(list(read_pairs(arguments.pairs)), settings.copies, rng)
    if settings.pairs is not None:
        pairs = whole_documents(pairs, settings.pairs, rng)
    print(len(pairs), Counter((pair.kind, pair.lang) for pair in pairs).most_common())
    tokenizer = BaseTokenizer(read_base())
    keys = np.array([passage_key(pair) for pair in pairs])
    if arguments.mine is None:
        pool, found = near_questions(pairs, keys, load_encoder(arguments.zero_shot), tokenizer, settings)
    else:
        pool, found = mined(pairs, keys, arguments.mine, settings)
    batches = plan(found, settings)
    queries = tokenizer.encode([f"query: {pair.query}" for pair in pairs], settings.max_query_tokens)
    titles = [kept_title(pair, settings.title_dropout, rng) for pair in pairs]
    texts = [passage_text(pair, title) for pair, title in zip(pairs, titles, strict=True)]
    passages = tokenizer.encode(texts, settings.max_passage_tokens)
    more = {"passage_vectors": pool.passages, "latin": pool.latin} if arguments.mine else {}
    np.savez(
        arguments.out, batches=batches, keys=keys, question_vectors=pool.questions.astype(np.float16),
        queries=np.concatenate(queries), query_lengths=[len(q) for q in queries],
        passages=np.concatenate(passages), passage_lengths=[len(p) for p in passages], **more,
    )  # fmt: skip
    print(len(batches), "batches;", len(passages), "passages of", np.mean([len(p) for p in passages]), "tokens")


def draw(pairs: list[Pair], copies: dict[str, float], rng: random.Random) -> list[Pair]:
    """Return each pair as often as its kind (of cross-lingual ones, its direction) says; copies carry a variant."""
    out = []
    for pair in pairs:
        wanted = copies[pair.lang] if pair.kind == "xling" else copies[pair.kind]
        count = int(wanted) + (rng.random() < wanted - int(wanted))
        for copy in range(count):
            changed = copy > 0 or rng.random() < 0.3
            out.append(replace(pair, query=variant(pair.query, rng, pair.kind)) if changed else pair)
    return out


def whole_documents(pairs: list[Pair], count: int, rng: random.Random) -> list[Pair]:
    """Return random documents with all their pairs, `count` pairs in all, so that near misses stay in the pool.

    The reading comprehension sets are a single file each, so of these the same share is drawn pair by pair.
    """
    order = sorted({(pair.repo, pair.path) for pair in pairs})
    rng.shuffle(order)
    place = {document: at for at, document in enumerate(order)}
    documentation = [pair for pair in pairs if pair.kind != "qa"]
    documentation.sort(key=lambda pair: place[pair.repo, pair.path])
    comprehension = [pair for pair in pairs if pair.kind == "qa" and rng.random() < count / len(pairs)]
    return documentation[:count] + comprehension


def kept_title(pair: Pair, dropout: float, rng: random.Random) -> str:
    """Return the title, or nothing: dropped at random, and mostly where it gives the answer away."""
    given_away = pair.query.strip().lower() == pair.title.strip().lower()
    return "" if rng.random() < (0.8 if given_away else dropout) else pair.title


def passage_key(pair: Pair) -> int:
    """Return what is equal for passages with the same opening, whatever their title."""
    opening = "".join(pair.text.split())[:160]
    return int.from_bytes(hashlib.blake2b(opening.encode(), digest_size=7).digest(), "little")


def near_questions(
    pairs: list[Pair], keys: np.ndarray, encoder: Encoder, tokenizer: BaseTokenizer, settings: Settings
) -> tuple[Pool, list[list[np.ndarray]]]:
    """Return the nearest questions by the zero-shot model."""
    texts = [f"query: {pair.query}" for pair in pairs]
    vectors = encode(encoder, tokenizer, texts, max_tokens=settings.max_query_tokens, pad_id=read_base().pad).dense
    pool = Pool(keys, vectors)
    return pool, hard_negatives(pool, [vector_neighbours(vectors, vectors, settings.neighbours)], settings.guards)


def mined(
    pairs: list[Pair], keys: np.ndarray, cache_dir: Path, settings: Settings
) -> tuple[Pool, list[list[np.ndarray]]]:
    """Return passages by BM25 and by the package's encoder, and its nearest questions."""
    questions, passages = own_vectors(pairs, cache_dir)
    pool = Pool(keys, questions, passages, np.array([is_latin(opening(pair)) for pair in pairs]))
    sources = [
        bm25_neighbours(pairs, settings.neighbours),
        vector_neighbours(questions, passages, settings.neighbours),
        vector_neighbours(questions, questions, settings.neighbours),
    ]
    return pool, hard_negatives(pool, sources, settings.guards)


def plan(found: list[list[np.ndarray]], settings: Settings) -> np.ndarray:
    """Return batches (n, batch) of row numbers: groups of a row and its neighbours, each row once, in random order."""
    free = np.ones(len(found), bool)
    groups = []
    for seed in np.random.default_rng(settings.seed).permutation(len(found)):
        if free[seed]:
            free[seed] = False
            group = [seed, *take(found[seed], free, settings.group - 1)]
            free[group] = False
            groups.append(group)
    random.Random(settings.seed).shuffle(groups)
    flat = np.array([row for group in groups for row in group])
    return flat[: len(flat) // settings.batch * settings.batch].reshape(-1, settings.batch)


def take(sources: list[np.ndarray], free: np.ndarray, count: int) -> list[int]:
    """Return the best `count` free rows, one source after the other in turn."""
    in_turn = (row for rows in zip_longest(*(source.tolist() for source in sources)) for row in rows if row is not None)
    return list(dict.fromkeys(row for row in in_turn if free[row]))[:count]


if __name__ == "__main__":
    main()
