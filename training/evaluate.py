"""Score a model on the evaluation sets: dense ranking, and late interaction over the dense top 50.

python evaluate.py --data DATA --zero-shot zero-shot.npz --out zero-shot.json
python evaluate.py --data DATA --zero-shot zero-shot.npz --trained runs/docs/step-400.pt --out trained.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from base import BaseTokenizer, read_base
from dev import DevSet, language_sets, late_scores, quick_sets, standard_sets
from encode import Vectors, encode, to_int8
from load import load_encoder
from model import Encoder
from pooling import pooled

CANDIDATES = 50
RATIO = 3  # token vectors pooled into one
# Tokens before the content: <s> and `query: ` (four in all), <s> and `passage: ` (three).
QUERY_PREFIX, PASSAGE_PREFIX = 4, 3


@dataclass(frozen=True)
class Outcome:
    """Per judged query, in order: the rank of the first relevant passage (0 when not among the candidates).

    The share of `dense` above 0 is recall at 50. `late_pooled` has the passages' token vectors pooled three into one.
    Late interaction leaves out the vectors of special tokens and of the prefix, as the product does; `late_every_token`
    is there to show what that is worth.
    """

    dense: list[int]
    late: list[int]
    late_int8: list[int]
    late_pooled: list[int]
    late_every_token: list[int]


def main() -> None:
    """Write one JSON file, set name -> Outcome; sets that are in it already are skipped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--trained", type=Path, nargs="+", default=[], help="an export, or checkpoints to average")
    parser.add_argument("--start", type=Path, help="the export that training went on from, for the blend")
    parser.add_argument("--blend", type=float, default=1.0, help="share kept of what training changed")
    parser.add_argument("--zero-shot", type=Path, required=True, help="zero-shot.npz")
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--quick", action="store_true", help="the small sets for choosing a checkpoint")
    parser.add_argument("--only", help="only sets whose name contains this")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    encoder = load_encoder(arguments.zero_shot, arguments.trained, start=arguments.start, blend=arguments.blend)
    scorer = Scorer(encoder, max_tokens=arguments.max_tokens)
    data = arguments.data
    sets = quick_sets(data) if arguments.quick else [*standard_sets(data), *language_sets(data)]
    outcomes = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    for dev in sorted(sets, key=lambda dev: "scifact" in dev.name):  # the longest last
        if dev.name not in outcomes and (arguments.only is None or arguments.only in dev.name):
            started = time.time()
            outcomes[dev.name] = asdict(scorer.score(dev))
            print(dev.name, summary(Outcome(**outcomes[dev.name])), f"{time.time() - started:.0f} s", flush=True)
            arguments.out.write_text(json.dumps(outcomes))


class Scorer:
    """Encodes each text once, however many sets share it."""

    def __init__(self, encoder: Encoder, *, max_tokens: int) -> None:
        self.base = read_base()
        self.tokenizer = BaseTokenizer(self.base)
        self.encoder = encoder
        self.max_tokens = max_tokens
        self._dense: dict[str, np.ndarray] = {}
        self._tokens: dict[str, np.ndarray] = {}

    def score(self, dev: DevSet) -> Outcome:
        """Rank all passages for every query of a set."""
        passages = self._vectors([f"passage: {text}" for text in dev.passages])
        queries = self._vectors([f"query: {text}" for text in dev.queries])
        ids = np.array(dev.passage_ids)
        outcome = Outcome([], [], [], [], [])
        small: dict[int, np.ndarray] = {}  # pooled token vectors of the passages that were candidates
        for row, query_id in enumerate(dev.query_ids):
            relevant = np.isin(ids, list(dev.qrels[query_id]))
            top = order(passages.dense @ queries.dense[row])[:CANDIDATES]
            every = [queries.tokens[row], *(passages.tokens[i] for i in top)]
            content = [every[0][QUERY_PREFIX:-1], *(tokens[PASSAGE_PREFIX:-1] for tokens in every[1:])]
            outcome.dense.append(first(relevant[top]))
            outcome.late.append(reranked(content, relevant[top]))
            outcome.late_int8.append(reranked([to_int8(tokens) for tokens in content], relevant[top]))
            for i, tokens in zip(top, content[1:], strict=True):
                if i not in small:
                    small[i] = pooled(tokens, RATIO)
            outcome.late_pooled.append(reranked([content[0], *(small[i] for i in top)], relevant[top]))
            outcome.late_every_token.append(reranked(every, relevant[top]))
        return outcome

    def _vectors(self, texts: list[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._dense]
        if new:
            made = encode(self.encoder, self.tokenizer, new, max_tokens=self.max_tokens, pad_id=self.base.pad)
            self._dense.update(zip(new, made.dense, strict=True))
            self._tokens.update(zip(new, made.tokens, strict=True))
        return Vectors(np.stack([self._dense[t] for t in texts]), [self._tokens[t] for t in texts])


def reranked(tokens: list[np.ndarray], relevant: np.ndarray) -> int:
    """Return the rank of the first relevant candidate by late interaction.

    tokens: those of the query, then those of each candidate.
    """
    query, *passages = (part.astype(np.float32) for part in tokens)
    return first(relevant[order(late_scores(query, passages))])


def order(scores: np.ndarray) -> np.ndarray:
    """Return positions by falling score, ties in retrieval order."""
    return np.argsort(-scores, kind="stable")


def first(relevant: np.ndarray) -> int:
    """Return the rank (from 1) of the first True, 0 if there is none."""
    hits = np.flatnonzero(relevant)
    return int(hits[0]) + 1 if len(hits) else 0


def top1(ranks: Sequence[int]) -> float:
    """Return the share of queries whose first passage is relevant."""
    return float(np.mean(np.array(ranks) == 1))


def summary(outcome: Outcome) -> str:
    """Return a line of Top-1 figures."""
    parts = (f"{name} {top1(ranks):.3f}" for name, ranks in asdict(outcome).items())
    recall = float(np.mean(np.array(outcome.dense) > 0))
    return f"n={len(outcome.dense)} " + " ".join(parts) + f" recall@50 {recall:.3f}"


if __name__ == "__main__":
    main()
