"""Choose the reranker's blend and calibrate it to a probability, on dev sets in BEIR layout.

    python benchmarks/calibrate.py SET:QRELS[:QUERIES] ... --model zero-shot --work DIR [--write]

Stage one is the product's own arithmetic: dense and BM25 top 100, fused, 50 candidates. Then
1. blend: the weights of late-interaction score, cosine, BM25 share and length that give the relevant candidates of a
   query the most probability under a softmax (listwise cross-entropy, a smooth stand-in for Top-1), sets counting alike;
2. probability: a logistic regression of "the best candidate is relevant" on its blend, over each question twice: as it
   is, and with all relevant passages taken away, so that half of the questions have no answer;
3. threshold: the largest that keeps nine in ten of the right best candidates.

Encodings are kept in --work (outside the repository) under the embedder's fingerprint.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from rag_search.embed.builtin.engine import BuiltinEmbedder
from rag_search.evaluation.dataset import Dataset, load_dataset, read_corpus
from rag_search.fusion import fuse
from rag_search.lexical import terms
from rag_search.records import Encoded, FloatVector, TokenVectors
from rag_search.rerank.late_interaction import CALIBRATION, Calibration, features, late_interaction

DEPTH, CANDIDATES = 100, 50
PIECE_TOKENS = 240  # about a chunk of the product
KEEP_RIGHT = 0.9
WEIGHTS = ("late", "dense", "lexical", "length")
BOUNDS = ((0, None), (0, None), (0, None), (None, 0))


@dataclass(frozen=True)
class DevSet:
    """A set cut down to its relevant passages and some distractors, in pieces of a chunk's size. owners: the passage
    that each piece belongs to."""

    name: str
    owners: NDArray[np.str_]
    pieces: list[str]
    queries: Mapping[str, str]
    relevant: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Candidates:
    """Stage one of one question: features (n, 4) in the order of WEIGHTS, and which candidates are relevant."""

    features: NDArray[np.float64]
    relevant: NDArray[np.bool_]


def main() -> None:
    arguments = _parse_arguments()
    embedder = BuiltinEmbedder(cache_dir=arguments.work, model=arguments.model)
    found: dict[str, list[Candidates]] = {}
    without: dict[str, list[Candidates]] = {}
    for wanted in arguments.sets:
        dev = read_dev_set(wanted, embedder, distractors=arguments.distractors)
        encoded = encode(dev, embedder, arguments.work)
        found[wanted], without[wanted] = stage_one(dev, encoded, embedder)
        print(f"{wanted}: {len(dev.queries)} questions, {len(dev.pieces)} pieces", flush=True)
    weights = fit_blend(found)
    calibration = calibrate(weights, found, without)
    report = describe(calibration, weights, found, without)
    print(json.dumps(report, indent=2, ensure_ascii=False))
    if arguments.write:
        write(arguments.model, embedder.fingerprint, calibration, report)


def read_dev_set(wanted: str, embedder: BuiltinEmbedder, *, distractors: int) -> DevSet:
    """`FOLDER:QRELS[:QUERIES]`: at most so many questions, drawn with a fixed seed like the distractors."""
    folder, qrels, *limit = wanted.split(":")
    dataset: Dataset = load_dataset(Path(folder), qrels=qrels)
    chance = random.Random(0)
    questions = sorted(dataset.judged, key=lambda query: query.query_id)
    chance.shuffle(questions)
    questions = questions[: int(limit[0]) if limit else None]
    relevant = {query.query_id: frozenset(dataset.qrels[query.query_id]) for query in questions}
    needed = frozenset().union(*relevant.values())
    corpus = {doc: (title, text) for doc, title, text in read_corpus(dataset.root / "corpus.jsonl")}
    others = sorted(corpus.keys() - needed)
    chance.shuffle(others)
    kept = sorted((needed & corpus.keys()) | set(others[:distractors]))
    lengths = embedder.count_tokens([corpus[doc][1] for doc in kept])
    cut = [(doc, piece) for doc, n in zip(kept, lengths.tolist(), strict=True) for piece in _pieces(*corpus[doc], n)]
    queries = {query.query_id: query.text for query in questions}
    return DevSet(wanted, np.array([doc for doc, _ in cut]), [piece for _, piece in cut], queries, relevant)


def _pieces(title: str, text: str, tokens: int) -> Iterator[str]:
    """Equal parts of at most about PIECE_TOKENS, each under the title."""
    size = -(-len(text) // max(1, -(-tokens // PIECE_TOKENS))) or 1
    for start in range(0, max(1, len(text)), size):
        yield f"{title}\n{text[start : start + size]}".strip()


def encode(dev: DevSet, embedder: BuiltinEmbedder, work: Path) -> Encoded:
    """The pieces' encodings, from --work when they are there."""
    name = dev.name.replace("/", "_").replace(":", "-")
    path = work / f"{name}-{len(dev.pieces)}-{embedder.fingerprint[:12]}.npz"
    if not path.exists():
        made = embedder.encode_documents(dev.pieces)
        assert made.tokens is not None
        np.savez(path, vectors=made.vectors, rows=made.tokens.rows, lengths=made.tokens.lengths)
    with np.load(path) as stored:
        return Encoded(stored["vectors"], TokenVectors(stored["rows"], stored["lengths"]))


def stage_one(dev: DevSet, encoded: Encoded, embedder: BuiltinEmbedder) -> tuple[list[Candidates], list[Candidates]]:
    """Candidates of every question, and again with all its relevant passages taken away."""
    bm25 = BM25(dev.pieces)
    found, without = [], []
    for query_id, text in dev.queries.items():
        vector, units = embedder.encode_query(text)
        dense, lexical = encoded.vectors @ vector, bm25.scores(text)
        relevant = np.isin(dev.owners, list(dev.relevant[query_id]))
        for out, allowed in ((found, np.ones(len(relevant), bool)), (without, ~relevant)):
            ids = _fused(np.where(allowed, dense, -np.inf), np.where(allowed, lexical, 0))
            tokens = _select(encoded, ids)
            made = features(late_interaction(units, tokens), dense[ids], lexical[ids], tokens.lengths)
            out.append(Candidates(made.astype(np.float64), relevant[ids]))
    return found, without


def _fused(dense: FloatVector, lexical: FloatVector) -> NDArray[np.int64]:
    rankings = []
    for scores in (dense, lexical):
        top = np.argsort(-scores, kind="stable")[:DEPTH]
        top = top[(scores[top] > -np.inf) & ((scores is dense) | (scores[top] > 0))]
        rankings.append((top, scores[top].astype(np.float32)))
    return fuse(*rankings)[0][:CANDIDATES]


def _select(encoded: Encoded, ids: NDArray[np.int64]) -> TokenVectors:
    assert encoded.tokens is not None
    ends = np.cumsum(encoded.tokens.lengths)
    rows = [encoded.tokens.rows[ends[i] - encoded.tokens.lengths[i] : ends[i]] for i in ids]
    return TokenVectors(np.concatenate(rows), encoded.tokens.lengths[ids])


def fit_blend(found: Mapping[str, Sequence[Candidates]]) -> NDArray[np.float64]:
    """Weights (4,) by listwise cross-entropy, within BOUNDS."""

    def loss(weights: NDArray[np.float64]) -> float:
        return float(np.mean([np.mean([_surprise(weights, c) for c in _decidable(cs)]) for cs in found.values()]))

    start = np.array([20.0, 20.0, 1.0, 0.0])
    return minimize(loss, start, method="L-BFGS-B", bounds=BOUNDS).x


def _decidable(candidates: Sequence[Candidates]) -> list[Candidates]:
    return [c for c in candidates if c.relevant.any() and not c.relevant.all()]


def _surprise(weights: NDArray[np.float64], candidates: Candidates) -> float:
    logits = candidates.features @ weights
    odds = np.exp(logits - logits.max())
    return float(-np.log(odds[candidates.relevant].sum() / odds.sum()))


def calibrate(
    weights: NDArray[np.float64],
    found: Mapping[str, Sequence[Candidates]],
    without: Mapping[str, Sequence[Candidates]],
) -> Calibration:
    """Slope and intercept that make the best candidate's blend a probability, and the threshold on it."""
    rows = [(*_best(weights, c), 1 / len(cs)) for cs in (*found.values(), *without.values()) for c in cs]
    blend, right, share = np.array(rows, float).T

    def loss(line: NDArray[np.float64]) -> float:
        margin = np.where(right > 0, 1, -1) * (line[0] * blend + line[1])
        return float(np.sum(share * np.logaddexp(0, -margin)))

    centre = float(blend.mean())
    slope, shifted = minimize(lambda line: loss(np.array([line[0], line[1] - line[0] * centre])), [0.3, 0.0]).x
    bias = shifted - slope * centre
    probability = 1 / (1 + np.exp(-(slope * blend + bias)))
    threshold = float(np.quantile(probability[right > 0], 1 - KEEP_RIGHT))
    late, dense, lexical, length = (float(round(slope * weight, 4)) for weight in weights)
    return Calibration(float(round(bias, 4)), late, dense, lexical, length, round(threshold, 3))


def _best(weights: NDArray[np.float64], candidates: Candidates) -> tuple[float, bool]:
    """Blend of the best candidate, and whether it is relevant."""
    blend = candidates.features @ weights
    best = int(np.argmax(blend))
    return float(blend[best]), bool(candidates.relevant[best])


def describe(
    calibration: Calibration,
    weights: NDArray[np.float64],
    found: Mapping[str, Sequence[Candidates]],
    without: Mapping[str, Sequence[Candidates]],
) -> dict[str, object]:
    """What the choice gives on each set: Top-1 by single features and blended, and what the threshold lets through."""
    sets = {}
    for name, candidates in found.items():
        single = {key: _top1(np.eye(len(WEIGHTS))[i], candidates) for i, key in enumerate(WEIGHTS)}
        kept, shown = (_shares_above(calibration, cs) for cs in (candidates, without[name]))
        sets["/".join(Path(name).parts[-1:])] = {
            "questions": len(candidates),
            "relevant among the candidates": round(float(np.mean([c.relevant.any() for c in candidates])), 3),
            "top1": {**single, "blend": _top1(weights, candidates)},
            "answered": kept,
            "answered without an answer in the corpus": shown,
        }
    return {"weights before calibration": dict(zip(WEIGHTS, np.round(weights, 3).tolist(), strict=True)), "sets": sets}


def _top1(weights: NDArray[np.float64], candidates: Sequence[Candidates]) -> float:
    return round(float(np.mean([_best(weights, c)[1] for c in candidates])), 3)


def _shares_above(calibration: Calibration, candidates: Sequence[Candidates]) -> float:
    weights = np.array([calibration.late, calibration.dense, calibration.lexical, calibration.length])
    floor = np.log(calibration.threshold / (1 - calibration.threshold)) - calibration.bias
    return round(float(np.mean([_best(weights, c)[0] >= floor for c in candidates])), 3)


def write(model: str, fingerprint: str, calibration: Calibration, report: Mapping[str, object]) -> None:
    """Put the calibration and where it comes from beside the reranker."""
    stored = json.loads(CALIBRATION.read_text("utf-8")) if CALIBRATION.exists() else {}
    provenance = {"script": "benchmarks/calibrate.py", "embedder": fingerprint, **report}
    stored[model] = {"calibration": asdict(calibration), "provenance": provenance}
    CALIBRATION.write_text(json.dumps(stored, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


class BM25:
    """Robertson's BM25 over the product's terms, k1 1.2 and b 0.75 as in SQLite's FTS5."""

    def __init__(self, texts: Sequence[str], *, k1: float = 1.2, b: float = 0.75) -> None:
        counts = [Counter(terms(text)) for text in texts]
        lengths = np.array([sum(count.values()) for count in counts], float)
        self._norm = k1 * (1 - b + b * lengths / lengths.mean())
        self._k1 = k1
        self._postings: dict[str, list[tuple[int, int]]] = {}
        for row, count in enumerate(counts):
            for term, times in count.items():
                self._postings.setdefault(term, []).append((row, times))

    def scores(self, query: str) -> FloatVector:
        total = np.zeros(len(self._norm), np.float32)
        for term in dict.fromkeys(terms(query)):
            if term in self._postings:
                rows, times = np.array(self._postings[term]).T
                idf = np.log(1 + (len(self._norm) - len(rows) + 0.5) / (len(rows) + 0.5))
                total[rows] += idf * times * (self._k1 + 1) / (times + self._norm[rows])
        return total


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="FOLDER:QRELS[:QUERIES]")
    parser.add_argument("--model", default="zero-shot", choices=("zero-shot", "docs-e5"))
    parser.add_argument("--work", type=Path, required=True, help="folder outside the repository for encodings")
    parser.add_argument("--distractors", type=int, default=2000, help="passages that answer no question, for each set")
    parser.add_argument("--write", action="store_true", help="store the result beside the reranker")
    return parser.parse_args()


if __name__ == "__main__":
    main()
