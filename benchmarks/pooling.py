"""Measure what pooling token vectors costs, over all documents of dev sets.

    python -m benchmarks.pooling FOLDER[:QRELS[:QUESTIONS]] ...

Stage one finds 50 candidates of each question in the index that `ragsearch evaluate` keeps. Their passages are encoded
once more with a vector for every token. These are scored as they are, and pooled by each factor and rounded as an index
does. Top-1 is shown by late interaction alone, and by the shipped blend with its weight for late interaction as it is
and half as large again: a better score deserves a larger weight. Small sets hide the cost, since few of their passages
are nearly right. Results: pooling.md and pooling.json; sets that an earlier run measured stay.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibrate import CANDIDATES, SHARE, Recorder
from rag_search.config import Config, load_config
from rag_search.embed.builtin.embedder import BuiltinEmbedder
from rag_search.embed.token_pooling import FACTOR, pool
from rag_search.embed.token_quantizer import dequantize, quantize
from rag_search.engines import factory
from rag_search.evaluation.cached_index import fill_index, index_of
from rag_search.evaluation.dataset import load_dataset
from rag_search.index import open_reader
from rag_search.records import FloatMatrix, SearchOptions
from rag_search.rerank.calibration import Calibration, load_calibration
from rag_search.rerank.features import AGREEMENT, agreement
from rag_search.search.searcher import Searcher
from tests.support import machine

RESULTS = Path(__file__).with_name("results")
FACTORS = (1, 2, 3, 4)
WEIGHTS = (1, 1.5)  # times the shipped weight of late interaction
EXACT = "none"  # neither pooled nor rounded
BATCH = 256  # passages


@dataclass(frozen=True)
class Asked:
    """A question's token vectors, and its candidates: chunk ids, features (n, 8), which are relevant."""

    tokens: FloatMatrix
    chunks: Sequence[int]
    features: NDArray[np.float64]
    relevant: NDArray[np.bool_]


def main() -> None:
    """Measure the sets named, keep the others, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="FOLDER[:QRELS[:QUESTIONS]]")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    stored = arguments.out / "pooling.json"
    sets = json.loads(stored.read_text("utf-8"))["sets"] if stored.exists() else {}
    config = load_config({"profile": "builtin"})
    embedder = factory.make_embedder(config.settings)
    if not isinstance(embedder, BuiltinEmbedder):
        raise SystemExit("only the builtin engine pools token vectors")
    for wanted in arguments.sets:
        name, figures = measure(wanted, config, embedder)
        sets[name] = figures
        stored.write_text(json.dumps({"schema": 1, "sets": sets}, indent=1) + "\n", "utf-8")
        stored.with_suffix(".md").write_text(as_markdown(sets), "utf-8")
    print(as_markdown(sets))


def measure(wanted: str, config: Config, embedder: BuiltinEmbedder) -> tuple[str, dict[str, Any]]:
    """Return the name of `FOLDER[:QRELS[:QUESTIONS]]` and its figures by factor."""
    folder, qrels, limit = (*wanted.split(":"), "", "")[:3]
    dataset = load_dataset(Path(folder), qrels=qrels or None, split="dev")
    place = index_of(config, dataset)
    fill_index(place, dataset, embedder, max_tokens=config.settings.ingest.max_tokens)
    questions = sorted(dataset.judged, key=lambda query: query.query_id)
    if limit:
        questions = random.Random(0).sample(questions, int(limit))
    with open_reader(place) as reader:
        recorder = Recorder()
        searcher = Searcher(reader, embedder, recorder)
        asked = [_ask(searcher, recorder, query.literal, dataset.qrels[query.query_id].keys()) for query in questions]
        chunks = sorted({chunk for each in asked for chunk in each.chunks})
        units = _units(embedder, [chunk.passage for chunk in reader.chunks(chunks)])
        passages = reader.chunk_count
    factors = by_factor(asked, chunks, units, load_calibration(embedder.model))
    sizes = {"questions": len(asked), "passages": passages}
    return f"{dataset.name} {qrels}".strip(), {**sizes, "factors": factors, "facts": machine.facts()}


def _ask(searcher: Searcher, recorder: Recorder, text: str, relevant: Any) -> Asked:
    """Return the candidates of a question."""
    recorder.hits = ()
    searcher.search(text, SearchOptions(candidates=CANDIDATES, group=False))
    (tokens,) = searcher.embedder.encode_queries([text]).tokens
    features = recorder.features.copy()
    features[:, SHARE] /= max(features[:, SHARE].max(initial=0.0), 1e-9)
    right = np.array([hit.chunk.path in relevant for hit in recorder.hits], np.bool_)
    return Asked(tokens, [hit.chunk.chunk_id for hit in recorder.hits], features, right)


def _units(embedder: BuiltinEmbedder, passages: Sequence[str]) -> list[FloatMatrix]:
    """Return a vector for every token of each passage."""
    units: list[FloatMatrix] = []
    for start in range(0, len(passages), BATCH):
        ids = embedder.token_ids(passages[start : start + BATCH], kind="passage")
        units += [embedder.content(row, kind="passage") for (row,) in embedder.run(ids, outputs=("units",))]
    return units


def by_factor(
    asked: Sequence[Asked], chunks: Sequence[int], units: Sequence[FloatMatrix], calibration: Calibration
) -> dict[str, Any]:
    """Return Top-1 by factor; won and lost: questions against exact vectors of all tokens, with the shipped weights."""
    places = {chunk: row for row, chunk in enumerate(chunks)}
    found: dict[str, Any] = {}
    unpooled = np.empty(0, np.bool_)
    for factor in (EXACT, *FACTORS):
        rows = units if factor == EXACT else [dequantize(quantize(pool(each, factor=int(factor)))) for each in units]
        scored = [_scored(each, [rows[places[chunk]] for chunk in each.chunks]) for each in asked]
        blends = {times: _first_right(scored, calibration, times) for times in WEIGHTS}
        shipped = blends[WEIGHTS[0]]
        unpooled = unpooled if len(unpooled) else shipped
        found[str(factor)] = {
            "late": float(np.mean([len(y) and y[f[:, 0].argmax()] for f, y in scored])),
            **{f"blend x {times}": float(right.mean()) for times, right in blends.items()},
            "won": int((shipped & ~unpooled).sum()),
            "lost": int((unpooled & ~shipped).sum()),
        }
    return found


def _scored(asked: Asked, rows: Sequence[FloatMatrix]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the features with late interaction over the vectors of each candidate, and which are relevant."""
    features = asked.features.copy()
    if len(asked.tokens):
        best = [(asked.tokens @ each.T).max(axis=1).mean() if len(each) else 0.0 for each in rows]
        features[:, 0] = np.array(best)
        features[:, AGREEMENT] = agreement(*features[:, :3].T)
    return features, asked.relevant


def _first_right(scored: Sequence[Any], calibration: Calibration, times: float) -> NDArray[np.bool_]:
    """Return for each question whether its first passage is relevant, with a larger weight of late interaction."""
    changed = replace(calibration, late=calibration.late * times)
    return np.array([bool(len(y) and y[changed.blend(f.astype(np.float32)).argmax()]) for f, y in scored])


def as_markdown(sets: dict[str, Any]) -> str:
    """Render the results as Markdown."""
    columns = ["late", *(f"blend x {times}" for times in WEIGHTS)]
    lines = [
        "# What pooling token vectors costs", "",
        "Top-1 over all documents of a set, by late interaction alone and by the shipped blend with its weight for",
        "late interaction as it is and half as large again; won and lost against exact vectors of all tokens (none).",
        f"An index pools {FACTOR} into one and rounds to three bits, as all rows but `none` do.", "",
        "| set | questions | passages | pooled | " + " | ".join(columns) + " | won/lost |",
        "|---|---:|---:|---:|" + "---:|" * len(columns) + "---:|",
    ]  # fmt: skip
    for name, each in sets.items():
        for factor, row in each["factors"].items():
            pooled = factor if factor == EXACT else f"{factor} to 1"
            head = f"| {name} | {each['questions']} | {each['passages']:,} | {pooled} | "
            figures = " | ".join(f"{row[column]:.3f}" for column in columns)
            lines.append(f"{head}{figures} | {row['won']}/{row['lost']} |")
    lines.append("")
    lines += [machine.line(each["facts"]) for each in sets.values()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
