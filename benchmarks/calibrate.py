"""Choose the reranker's blend and calibrate it to a probability, on dev sets.

    python -m benchmarks.calibrate FOLDER:QRELS[:QUESTIONS] ... corpus: --model docs-e5-2 [--write]

Of a set with splits (the bundled corpus) only the dev questions are read. Stage one is that of the product, over all
documents of each set, in the index that `ragsearch evaluate` keeps in the cache (made if missing). Three steps follow:

1. Blend: choose the weights of late-interaction score, cosine, BM25 share, length, script and agreement of ranks, and
   the likeness from which a passage counts as a translation. They give the relevant candidates of a query the most
   probability under a softmax (listwise cross-entropy, a smooth stand-in for Top-1). Each set counts the same.
   EDITION and EXACT are given, not fitted.
2. Probability: fit a logistic regression of "the best candidate is relevant" on its blend, that of its rivals and
   partial evidence. Each question counts twice: as it is, and without the pages of everything that any judgment of the
   set calls relevant to it. Shares of the best BM25 score and ranks are computed anew then, so that nothing is left
   of what was dropped.
3. Threshold: take the largest that still shows an answer for KEPT of the questions that have one among their best five
   documents, since a refusal hides all five.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, minimize

from rag_search.config import Config, load_config
from rag_search.embed.builtin.embedder import BuiltinEmbedder
from rag_search.engines import factory
from rag_search.engines.table import DEFAULT_MODEL
from rag_search.evaluation.cached_index import fill_index, index_of
from rag_search.evaluation.dataset import Dataset, EvalQuery, load_dataset
from rag_search.index import open_reader
from rag_search.records import EncodedQuery, FloatVector, Hit, TokenVectors
from rag_search.rerank.calibration import CALIBRATION, RIVALS, Calibration, partial_evidence, rival_level
from rag_search.rerank.features import AGREEMENT, agreement, columns
from rag_search.rerank.late_interaction import stored_features
from rag_search.search.searcher import Searcher, SearchOptions

WEIGHTS = ("late", "dense", "lexical", "length", "untranslated", "agreement")
GIVEN = (5, 6)  # columns that are weighed by -EDITION and EXACT
FITTED = (0, 1, 2, 3, 4, AGREEMENT)
SHARE = WEIGHTS.index("lexical")
CANDIDATES = 50
KEPT = 0.97  # of the questions with an answer among the first documents; a refusal hides it
SHOWN = 5  # documents
TRANSLATIONS = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
EDITION = 2.0  # of the blend; twice what the one dev question about an old edition needs, too few to fit it
EXACT = 16.0  # of the blend; more than the best of the other features can make up for
BOUNDS = ((0, None), (0, None), (0, None), (None, 0), (0, None), (0, None))


@dataclass(frozen=True)
class Candidates:
    """Stage one of one question.

    Features (n, 8), which candidates are relevant, and the page that each is part of, as in a folder of Markdown.
    """

    features: NDArray[np.float64]
    relevant: NDArray[np.bool_]
    documents: list[str]


class Recorder:
    """A reranker that records the features of its candidates and changes no order."""

    name, fingerprint, follows_instructions, threshold = "recorder", "recorder", False, None

    def __init__(self) -> None:
        self.hits: Sequence[Hit] = ()
        self.features = np.empty((0, len(FITTED) + len(GIVEN)))

    def score(self, query: str, passages: Sequence[str], *, instruction: str | None = None) -> FloatVector:
        """Refuse: only stored token vectors are scored."""
        raise NotImplementedError("it reads stored token vectors")

    def score_token_vectors(
        self,
        query: EncodedQuery,
        hits: Sequence[Hit],
        tokens: TokenVectors,
        *,
        reference: int | None = None,
        preferences: FloatVector | None = None,  # noqa: ARG002
    ) -> FloatVector:
        """Record hits and features; return equal scores, which leave the order as it is."""
        self.hits = hits
        self.features = stored_features(query, hits, tokens, reference=reference).astype(np.float64)
        return np.zeros(len(hits), np.float32)


def main() -> None:
    """Fit on the sets named, print the report, and write it on request."""
    arguments = _parse_arguments()
    config = load_config({"embedder.model": arguments.model})
    embedder = factory.make_embedder(config.settings)
    if not isinstance(embedder, BuiltinEmbedder):
        raise SystemExit("only the builtin engine is calibrated here")
    found: dict[str, list[Candidates]] = {}
    without: dict[str, list[Candidates]] = {}
    for wanted in (*arguments.sets, *arguments.blend_only):
        found[wanted], without[wanted] = candidates_of(wanted, config, embedder)
        print(f"{wanted}: {len(found[wanted])} questions", flush=True)
    translation, weights = fit_blend(found)
    with_answer, no_answer = (
        {wanted: some[wanted] for wanted in some if wanted not in arguments.blend_only} for some in (found, without)
    )
    calibration = calibrate(translation, weights, with_answer, no_answer)
    report = describe(calibration, found, without)
    print(json.dumps(report, indent=2, ensure_ascii=False))
    if arguments.write:
        write(arguments.model, embedder.fingerprint, calibration, report)


def candidates_of(wanted: str, config: Config, embedder: BuiltinEmbedder) -> tuple[list[Candidates], list[Candidates]]:
    """Return the candidates of every question of `FOLDER:QRELS[:QUESTIONS]`, with and without all its answers."""
    folder, qrels, *limit = wanted.split(":")
    dataset = load_dataset(Path(folder), qrels=qrels or None, split="dev")  # sets without splits are read whole
    place = index_of(config, dataset)
    fill_index(place, dataset, embedder, max_tokens=config.settings.ingest.max_tokens)
    answering = _answering(dataset)
    with open_reader(place) as reader:
        recorder = Recorder()
        searcher = Searcher(reader, embedder, recorder)
        pairs = [_of_one(searcher, recorder, dataset, query, answering) for query in _sample(dataset, limit)]
    return [all_of_them for all_of_them, _ in pairs], [rest for _, rest in pairs]


def _sample(dataset: Dataset, limit: Sequence[str]) -> list[EvalQuery]:
    questions = sorted(dataset.judged, key=lambda query: query.query_id)
    random.Random(0).shuffle(questions)
    return questions[: int(limit[0])] if limit else questions


def _of_one(
    searcher: Searcher, recorder: Recorder, dataset: Dataset, query: EvalQuery, answering: Mapping[str, set[str]]
) -> tuple[Candidates, Candidates]:
    text = "\\" + query.text if query.text.startswith("[") else query.text
    options = SearchOptions(candidates=2 * CANDIDATES, group=False, instruction=query.instruction)
    searcher.search(text, options)
    paths = [hit.chunk.path for hit in recorder.hits]
    relevant = np.array([path in dataset.qrels[query.query_id] for path in paths], bool)
    pages = [_page(path) for path in paths]
    answering_pages = {_page(path) for path in answering[query.query_id]}
    answers = np.array([page in answering_pages for page in pages], bool)

    def pick(rows: NDArray[np.int64]) -> Candidates:
        features = recorder.features[rows]
        features[:, SHARE] /= max(features[:, SHARE].max(initial=0.0), 1e-9)
        features[:, AGREEMENT] = agreement(*features[:, :3].T)
        return Candidates(features, relevant[rows], [pages[row] for row in rows])

    return pick(np.arange(len(paths))[:CANDIDATES]), pick(np.flatnonzero(~answers)[:CANDIDATES])


def _page(path: str) -> str:
    """Return the page that a section is part of."""
    return path.split("#", 1)[0]


def _answering(dataset: Dataset) -> dict[str, set[str]]:
    """Return what any judgment of the set calls relevant to each question."""
    names = [path.stem for path in (dataset.root / "qrels").glob("*.tsv") if not path.stem.startswith("pages-")]
    found = {query_id: set(documents) for query_id, documents in dataset.qrels.items()}
    for name in sorted(names):
        for query_id, documents in load_dataset(dataset.root, qrels=name).qrels.items():
            found.setdefault(query_id, set()).update(documents)
    return found


def fit_blend(found: Mapping[str, Sequence[Candidates]]) -> tuple[float, NDArray[np.float64]]:
    """Return the likeness of a translation (one of TRANSLATIONS) and weights (6,) within BOUNDS."""
    fits = [(translation, _fit_weights(found, translation)) for translation in TRANSLATIONS]
    translation, best = min(fits, key=lambda fit: float(fit[1].fun))
    return translation, best.x


def _fit_weights(found: Mapping[str, Sequence[Candidates]], translation: float) -> OptimizeResult:
    made = [_decidable(candidates) for candidates in found.values()]
    every = [candidates for of_set in made for candidates in of_set]
    share = np.concatenate([np.full(len(of_set), 1 / len(of_set) / len(made)) for of_set in made])
    shape = (len(every), max(len(candidates.relevant) for candidates in every))
    x, given = np.zeros((*shape, len(WEIGHTS))), np.full(shape, -np.inf)  # a row that is missing has no probability
    relevant = np.zeros(shape, bool)
    for row, candidates in enumerate(every):
        number, values = len(candidates.relevant), columns(candidates.features, translation)
        x[row, :number] = values[:, FITTED]
        given[row, :number] = values[:, GIVEN] @ np.array((-EDITION, EXACT))
        relevant[row, :number] = candidates.relevant

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = x @ weights + given
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        right = odds * relevant
        slope = odds / odds.sum(axis=1, keepdims=True) - right / right.sum(axis=1, keepdims=True)
        value = -np.log(right.sum(axis=1) / odds.sum(axis=1))
        return float(share @ value), np.einsum("q,qc,qcw->w", share, slope, x)

    start = np.array([20.0, 20.0, 1.0, 0.0, 0.0, 1.0])
    return minimize(loss, start, jac=True, method="L-BFGS-B", bounds=BOUNDS)


def _blend(columns: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(columns[:, FITTED] @ weights + columns[:, GIVEN] @ np.array((-EDITION, EXACT)))


def _decidable(candidates: Sequence[Candidates]) -> list[Candidates]:
    return [c for c in candidates if c.relevant.any() and not c.relevant.all()]


def calibrate(
    translation: float,
    weights: NDArray[np.float64],
    found: Mapping[str, Sequence[Candidates]],
    without: Mapping[str, Sequence[Candidates]],
) -> Calibration:
    """Fit the line from the best candidate's blend and its rivals' to a probability, and choose the threshold."""
    pairs = [(c, 1 / len(cs)) for cs in (*found.values(), *without.values()) for c in cs]
    blends = [_blend(columns(c.features, translation), weights) for c, _ in pairs]
    pages = [c.documents for c, _ in pairs]
    crowded = [(b, p) for b, p in zip(blends, pages, strict=True) if len(set(p)) > RIVALS]
    typical = float(np.mean([rival_level(blend, 0.0, page) for blend, page in crowded]))
    hints = [partial_evidence(c.features, b) for (c, _), b in zip(pairs, blends, strict=True)]
    x = np.array([(b.max(), rival_level(b, typical, p), h) for b, p, h in zip(blends, pages, hints, strict=True)])
    right = np.array([c.relevant[np.argmax(blend)] for (c, _), blend in zip(pairs, blends, strict=True)])
    slope, rivals, partial, bias = _logistic(x, right, np.array([share for _, share in pairs]))
    probability = 1 / (1 + np.exp(-(x @ np.array((slope, rivals, partial)) + bias)))
    shown = np.array([_answer_is_shown(c, blend) for (c, _), blend in zip(pairs, blends, strict=True)])
    threshold = float(np.quantile(probability[shown], 1 - KEPT))
    numbers = dict(zip(WEIGHTS, weights, strict=True)) | {
        "edition": EDITION, "translation": translation, "slope": slope, "rivals": -rivals, "typical": typical,
        "bias": bias, "threshold": threshold, "exact": EXACT, "partial": -partial,
    }  # fmt: skip
    return Calibration(**{name: round(float(number), 4) for name, number in numbers.items()})


def _answer_is_shown(candidates: Candidates, blend: NDArray[np.float64]) -> bool:
    """Return whether one of the best SHOWN documents has a relevant chunk."""
    order = np.argsort(-blend)
    best = list(dict.fromkeys(candidates.documents[i] for i in order))[:SHOWN]
    return any(candidates.documents[i] in best for i in np.flatnonzero(candidates.relevant))


def _logistic(x: NDArray[np.float64], right: NDArray[np.bool_], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit the coefficients of x's columns and the intercept by maximum likelihood, on standardised columns."""
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
    """Report each set: Top-1 by single features and blended, and what the threshold lets through."""
    sets = {}
    for name, candidates in found.items():
        by_feature = {key: _top1(candidates, lambda c, i=i: c.features[:, i]) for i, key in enumerate(WEIGHTS[:3])}
        sets[Path(name).name] = {
            "questions": len(candidates),
            "relevant among the candidates": round(float(np.mean([c.relevant.any() for c in candidates])), 3),
            "top1": by_feature | {"blend": _top1(candidates, lambda c: calibration.blend(c.features))},
            "answered": _answered(calibration, candidates),
            "answered although the corpus has no answer": _answered(calibration, without[name]),
            "area under the curve, with against without an answer": _area(calibration, candidates, without[name]),
        }
    everything = [c for cs in (*found.values(), *without.values()) for c in cs]
    return {
        "probability of the best against how often it is right": _reliability(calibration, everything),
        "sets": sets,
    }


def _top1(candidates: Sequence[Candidates], score: Callable[[Candidates], NDArray[np.float64]]) -> float:
    return round(float(np.mean([c.relevant[np.argmax(score(c))] for c in candidates])), 3)


def _answered(calibration: Calibration, candidates: Sequence[Candidates]) -> float:
    return round(float(np.mean(np.array(_best(calibration, candidates)) >= calibration.threshold)), 3)


def _best(calibration: Calibration, candidates: Sequence[Candidates]) -> list[float]:
    """Return the probability of the best candidate of each question."""
    return [float(calibration.probability(c.features.astype(np.float32), c.documents).max()) for c in candidates]


def _area(calibration: Calibration, candidates: Sequence[Candidates], without: Sequence[Candidates]) -> float:
    """Return how often a question scores higher with its answer in the corpus than another one without."""
    with_answer, no_answer = (np.array(_best(calibration, some)) for some in (candidates, without))
    wins = (with_answer[:, None] > no_answer).mean() + (with_answer[:, None] == no_answer).mean() / 2
    return round(float(wins), 3)


def _reliability(calibration: Calibration, candidates: Sequence[Candidates]) -> list[dict[str, float]]:
    """Report five bands of the best candidate's probability: mean probability, share that is right, questions."""
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
    """Write the calibration and its provenance beside the reranker."""
    stored = json.loads(CALIBRATION.read_text("utf-8")) if CALIBRATION.exists() else {}
    provenance = {"script": "benchmarks/calibrate.py", "embedder": fingerprint, **report}
    stored[model] = {"calibration": asdict(calibration), "provenance": provenance}
    CALIBRATION.write_text(json.dumps(stored, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="FOLDER:QRELS[:QUESTIONS]")
    parser.add_argument(
        "--blend-only", nargs="+", default=[], metavar="SET", help="sets on a subject, whose passages do not answer"
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="a packaged network, or the path of an .npz file")
    parser.add_argument("--write", action="store_true", help="store the result beside the reranker")
    return parser.parse_args()


if __name__ == "__main__":
    main()
