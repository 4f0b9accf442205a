"""Choose the reranker's blend and calibrate it to a probability, on dev sets in BEIR layout.

    python benchmarks/calibrate.py SET:QRELS[:QUERIES] ... --model zero-shot --work DIR [--write]

Stage one is the product's own arithmetic: dense and BM25 top 100, fused, 50 candidates. Then
1. blend: the weights of late-interaction score, cosine, BM25 share and length that give the relevant candidates of a
   query the most probability under a softmax (listwise cross-entropy, a smooth stand-in for Top-1), each set counting
   the same;
2. probability: a logistic regression of "the best candidate is relevant" on its blend and on that of its rivals, over
   each question twice: as it is, and with everything taken away that any judgments of the set call relevant to it;
3. threshold: the largest that keeps nine in ten of the right best candidates.

Encodings are kept in --work, which should be outside the repository.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from dev_sets import Candidates, encode, read_dev_set, stage_one
from numpy.typing import NDArray
from scipy.optimize import minimize

from rag_search.embed.builtin.engine import BuiltinEmbedder
from rag_search.rerank.late_interaction import CALIBRATION, RIVALS, Calibration, rival_level

WEIGHTS = ("late", "dense", "lexical", "length")
KEEP_RIGHT = 0.9
BOUNDS = ((0, None), (0, None), (0, None), (None, 0))


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
    blend = fit_blend(found)
    calibration = calibrate(blend, found, without)
    report = describe(calibration, found, without)
    print(json.dumps(report, indent=2, ensure_ascii=False))
    if arguments.write:
        write(arguments.model, embedder.fingerprint, calibration, report)


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
    """The line that makes the best candidate's blend and its rivals' a probability, and the threshold on it."""
    pairs = [(c, 1 / len(cs)) for cs in (*found.values(), *without.values()) for c in cs]
    blends = [c.features @ weights for c, _ in pairs]
    pages = [c.documents for c, _ in pairs]
    crowded = [(b, p) for b, p in zip(blends, pages, strict=True) if len(set(p)) > RIVALS]
    typical = float(np.mean([rival_level(blend, 0.0, page) for blend, page in crowded]))
    x = np.array([(b.max(), rival_level(b, typical, p)) for b, p in zip(blends, pages, strict=True)])
    right = np.array([c.relevant[np.argmax(blend)] for (c, _), blend in zip(pairs, blends, strict=True)])
    slope, rivals, bias = _logistic(x, right, np.array([share for _, share in pairs]))
    probability = 1 / (1 + np.exp(-(slope * x[:, 0] + rivals * x[:, 1] + bias)))
    threshold = float(np.quantile(probability[right], 1 - KEEP_RIGHT))
    numbers = (*weights, slope, -rivals, typical, bias, threshold)
    return Calibration(*(round(float(number), 4) for number in numbers))


def _logistic(x: NDArray[np.float64], right: NDArray[np.bool_], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients of the columns of x, and the intercept, by maximum likelihood; found on standardised columns."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    z = np.column_stack(((x - mean) / spread, np.ones(len(x))))

    def loss(line: NDArray[np.float64]) -> float:
        return float(np.sum(share * np.logaddexp(0, -np.where(right, 1, -1) * (z @ line))))

    line = minimize(loss, np.zeros(z.shape[1])).x
    slopes = line[:-1] / spread
    return np.array([*slopes, line[-1] - slopes @ mean])


def describe(
    calibration: Calibration,
    found: Mapping[str, Sequence[Candidates]],
    without: Mapping[str, Sequence[Candidates]],
) -> dict[str, object]:
    """What the choice gives on each set: Top-1 by single features and blended, and what the threshold lets through."""
    sets = {}
    for name, candidates in found.items():
        by_feature = {key: _top1(candidates, lambda c, i=i: c.features[:, i]) for i, key in enumerate(WEIGHTS[:3])}
        sets[Path(name).name] = {
            "questions": len(candidates),
            "relevant among the candidates": round(float(np.mean([c.relevant.any() for c in candidates])), 3),
            "top1": by_feature | {"blend": _top1(candidates, lambda c: calibration.blend(c.features))},
            "answered": _answered(calibration, candidates),
            "answered although the corpus has no answer": _answered(calibration, without[name]),
        }
    everything = [c for cs in (*found.values(), *without.values()) for c in cs]
    return {
        "probability of the best against how often it is right": _reliability(calibration, everything),
        "sets": sets,
    }


def _top1(candidates: Sequence[Candidates], score: Callable[[Candidates], NDArray[np.float64]]) -> float:
    return round(float(np.mean([c.relevant[np.argmax(score(c))] for c in candidates])), 3)


def _answered(calibration: Calibration, candidates: Sequence[Candidates]) -> float:
    best = [calibration.probability(c.features.astype(np.float32), c.documents).max() for c in candidates]
    return round(float(np.mean(np.array(best) >= calibration.threshold)), 3)


def _reliability(calibration: Calibration, candidates: Sequence[Candidates]) -> list[dict[str, float]]:
    """Five bands of the best candidate's probability: mean probability, share that is right, questions."""
    rows = [
        (p := calibration.probability(c.features.astype(np.float32), c.documents), c.relevant[np.argmax(p)])
        for c in candidates
    ]
    best, right = np.array([p.max() for p, _ in rows]), np.array([r for _, r in rows])
    bands = np.minimum((best * 5).astype(int), 4)
    return [
        {"probability": round(float(best[bands == b].mean()), 3), "right": round(float(right[bands == b].mean()), 3),
         "questions": int((bands == b).sum())} for b in range(5) if (bands == b).any()
    ]  # fmt: skip


def write(model: str, fingerprint: str, calibration: Calibration, report: Mapping[str, object]) -> None:
    """Put the calibration and where it comes from beside the reranker."""
    stored = json.loads(CALIBRATION.read_text("utf-8")) if CALIBRATION.exists() else {}
    provenance = {"script": "benchmarks/calibrate.py", "embedder": fingerprint, **report}
    stored[model] = {"calibration": asdict(calibration), "provenance": provenance}
    CALIBRATION.write_text(json.dumps(stored, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


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
