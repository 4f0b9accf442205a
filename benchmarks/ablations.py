"""Measure what each default is worth: change one thing at a time, on dev sets only.

    python -m benchmarks.ablations corpus FOLDER:QRELS ... [--model docs-e5-2] [--only pooling]

The sets are reduced (see dev_world.py), so figures compare within one table only. A hit is right if it is in the
document that answers the question, or in its lines where sections are judged. "won/lost" counts the questions that only
this setting, or only the default, answers first. Milliseconds are CPU time of one thread after the question was
embedded. Results: ablations.md and ablations.json; with `--only` one table in a file of its name.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import dev_world
from benchmarks.dev_world import World
from rag_search.embed.token_pooling import FACTOR, pool
from rag_search.embed.token_quantizer import quantize, rotate
from rag_search.records import EncodedQuery, Hit, StageScores, TokenVectors
from rag_search.rerank.calibration import Calibration, load_calibration
from rag_search.rerank.late_interaction import late_interaction, stored_features, token_vectors_of
from rag_search.search.base import DEPTH
from rag_search.search.fusion import fuse, reciprocal_rank_fusion
from rag_search.search.retrieval import SCORED
from rag_search.text.terms import terms
from tests.support import machine

REASONS = {
    "budget": (
        "Shorter chunks double what is stored and searched and lose a little, longer ones are level and take "
        "longer to read; all within chance."
    ),
    "head": "Headings say what a section is about; without them cross-lingual questions lose a third of their answers.",
    "fusion": (
        "Standardised scores keep how clear a win was, ranks throw it away; the weight is the best without reranking. "
        "Reranked, the choice hardly matters."
    ),
    "candidates": (
        "Ten are level on these small sets; in larger ones the right passage may lie deeper. Two hundred cost twice "
        "the time and win nothing."
    ),
    "columns": "Half of them halve the index and lose ten questions; all of them are level at three times the disk.",
    "pooling": (
        "Tokens that say nearly the same are stored as one vector: a third of the disk. On these small sets it "
        "costs nothing; on full ones about a point (pooling.md)."
    ),
    "order": "The blend is ahead of both, here by two and four points, and only it can say that nothing fits.",
}
Matrix = NDArray[np.float32]
Ranking = tuple[NDArray[np.int64], NDArray[np.float32]]
FUSIONS: dict[str, Callable[[Ranking, Ranking, bool], NDArray[np.int64]]] = {  # the flag: `all_matches` of `fuse`
    "z-scores, BM25 x 0.5": lambda dense, lexical, whole: fuse(dense, lexical, all_matches=whole)[0],
    "z-scores, BM25 x 0.25": lambda dense, lexical, whole: fuse(dense, lexical, weight=0.25, all_matches=whole)[0],
    "z-scores, BM25 x 1": lambda dense, lexical, whole: fuse(dense, lexical, weight=1.0, all_matches=whole)[0],
    "reciprocal ranks (60)": lambda dense, lexical, _: reciprocal_rank_fusion([dense[0], lexical[0]])[0],
    "dense only": lambda dense, _lexical, _: dense[0],
    "BM25 only": lambda _dense, lexical, _: lexical[0],
}


@dataclass(frozen=True)
class Setting:
    """One configuration of a question; the defaults are those of the product.

    order: what sorts the candidates: the calibrated blend, late interaction alone, or stage one. factor: tokens that
    become one stored vector.
    """

    fusion: str = "z-scores, BM25 x 0.5"
    candidates: int = 50
    columns: int = 128
    order: str = "blend"
    factor: int = FACTOR


@dataclass
class Row:
    """One setting measured on all sets.

    Attributes:
        reading: how documents are cut and read.
        right: per set, the questions that it answers first.
        ms: time of each question.
    """

    name: str
    setting: Setting
    reading: str = "256 tokens"
    right: dict[str, list[bool]] = field(default_factory=dict)
    ms: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Table:
    """Rows to compare with the one named `default`; `reason` says why that is the default."""

    title: str
    default: str
    reason: str
    rows: list[Row]


class Asker:
    """Asks a world's questions under a setting."""

    def __init__(self, world: World, calibration: Calibration, axes: dict[int, NDArray[np.float32]]) -> None:
        self._world, self._calibration, self._axes = world, calibration, axes
        self._tokens: dict[tuple[int, int], list[NDArray[np.uint8]]] = {}

    def ask_all(self, row: Row) -> None:
        """Ask every question under the setting of `row`, and record answers and times there."""
        setting = row.setting
        self._tokens_of(setting)
        right = []
        for question in self._world.dev.questions:
            query = self._world.queries[question.query_id]
            start = time.process_time()
            best = self._best(query, setting)
            row.ms.append(1000 * (time.process_time() - start))
            right.append(best is not None and self._world.dev.is_right(question, best.chunk))
        row.right[self._world.dev.name] = right

    def _best(self, query: EncodedQuery, setting: Setting) -> Hit | None:
        reader, depth = self._world.reader, max(DEPTH, setting.candidates)
        ids, scores = reader.search_dense(query.vector[None], depth)
        dense = ids[0][ids[0] >= 0], scores[0][ids[0] >= 0]
        lexical = reader.search_lexical(terms(query.text), max(SCORED, depth))
        best = lexical[0][:depth], lexical[1][:depth]
        chosen = FUSIONS[setting.fusion](dense, best, len(lexical[0]) < depth)[: setting.candidates].tolist()
        if not chosen:
            return None
        known = dict(zip(lexical[0].tolist(), lexical[1].tolist(), strict=True))
        cosines = reader.vectors(chosen) @ query.vector
        hits = [
            Hit(chunk, rank, 0.0, StageScores(dense=float(cosine), lexical=known.get(chunk.chunk_id)))
            for rank, (chunk, cosine) in enumerate(zip(reader.chunks(chosen), cosines, strict=True), 1)
        ]
        return hits[0] if setting.order == "stage one" else hits[self._first(query, hits, setting)]

    def _first(self, query: EncodedQuery, hits: Sequence[Hit], setting: Setting) -> int:
        stored, ids = self._tokens_of(setting), [hit.chunk.chunk_id for hit in hits]
        parts = [stored[chunk_id] for chunk_id in ids]
        counts = np.array([len(self._world.tokens[chunk_id]) for chunk_id in ids], np.int64)
        tokens = TokenVectors(np.concatenate(parts), np.array([len(part) for part in parts], np.int64), counts)
        query = replace(query, tokens=_projected(token_vectors_of(query), self._axes[setting.columns]))
        if setting.order == "late interaction":
            return int(late_interaction(token_vectors_of(query), tokens).argmax())
        return int(self._calibration.blend(stored_features(query, hits, tokens)).argmax())

    def _tokens_of(self, setting: Setting) -> list[NDArray[np.uint8]]:
        """Return the token vectors in the form that the index would store."""
        key = setting.columns, setting.factor
        if key not in self._tokens:
            axes = self._axes[setting.columns]
            units = (_projected(part.astype(np.float32), axes) for part in self._world.tokens)
            self._tokens[key] = [quantize(pool(part, factor=setting.factor)) for part in units]
        return self._tokens[key]


READINGS: dict[str, tuple[int, dev_world.PassageOf]] = {
    "256 tokens": (256, dev_world.whole_passage),
    "128 tokens": (128, dev_world.whole_passage),
    "384 tokens": (384, dev_world.whole_passage),
    "title and text": (256, dev_world.without_path),
    "text": (256, dev_world.text_only),
}


def main() -> None:
    """Measure every table and write the results."""
    arguments = _parse_arguments()
    calibration = load_calibration(arguments.model)
    sets = [dev_world.load_set(wanted) for wanted in arguments.sets]
    embedder = dev_world.WideEmbedder(arguments.cache, arguments.model)
    tables = [table for name, table in _tables().items() if arguments.only in (None, name)]
    readings = {row.reading for table in tables for row in table.rows}
    with tempfile.TemporaryDirectory() as folder:
        for number, (dev, name) in enumerate(product(sets, [name for name in READINGS if name in readings])):
            start = time.perf_counter()
            max_tokens, passage_of = READINGS[name]
            place = Path(folder) / str(number)
            world = dev_world.build(dev, place, embedder, max_tokens=max_tokens, passage_of=passage_of)
            asker = Asker(world, calibration, _axes(embedder.projection, world.tokens))
            for row in (row for table in tables for row in table.rows if row.reading == name):
                asker.ask_all(row)
            world.reader.close()
            seconds = time.perf_counter() - start
            print(f"{dev.name}, {name}: {len(world.tokens)} chunks, {seconds:.0f} s", file=sys.stderr, flush=True)
            if len({len(row.right) for table in tables for row in table.rows}) == 1:  # a set is complete
                write(arguments.out, tables, name=arguments.only or "ablations")


def _axes(projection: Matrix, tokens: Sequence[dev_world.Tokens]) -> dict[int, Matrix]:
    """Return projections to each number of columns. The one to 64 takes the main directions of this set's 128."""
    sample = _projected(np.concatenate(tokens)[::7].astype(np.float32), projection)
    main_directions = np.linalg.eigh(sample.T @ sample)[1][:, ::-1]
    return {
        64: rotate((projection @ main_directions[:, :64]).astype(np.float32)),
        128: projection,
        384: rotate(np.eye(len(projection), dtype=np.float32)),
    }


def _projected(vectors: Matrix, axes: Matrix) -> Matrix:
    """Project vectors and scale them to unit length."""
    projected = vectors @ axes
    return np.asarray(projected / np.maximum(np.linalg.norm(projected, axis=1, keepdims=True), 1e-9), np.float32)


def _tables() -> dict[str, Table]:
    base = Setting()
    fusions = [(name, replace(base, fusion=name)) for name in FUSIONS]
    return {
        "budget": Table(
            "Chunk budget", "256 tokens", REASONS["budget"],
            [Row(f"{n} tokens", base, f"{n} tokens") for n in (128, 256, 384)],
        ),
        "head": Table(
            "What stands above the text of a passage", "title and heading path", REASONS["head"],
            [Row("title and heading path", base), Row("title", base, "title and text"), Row("nothing", base, "text")],
        ),
        "fusion": Table(
            "Fusion, without reranking", base.fusion, REASONS["fusion"],
            [Row(name, replace(setting, order="stage one")) for name, setting in fusions],
        ),
        "reranked": Table(
            "Fusion, reranked", base.fusion, REASONS["fusion"], [Row(name, setting) for name, setting in fusions]
        ),
        "candidates": Table(
            "Candidates for the reranker", "50", REASONS["candidates"],
            [Row(str(n), replace(base, candidates=n)) for n in (10, 50, 200)],
        ),
        "columns": Table(
            "Columns of a token vector", "128", REASONS["columns"],
            [Row(str(n), replace(base, columns=n)) for n in (64, 128, 384)],
        ),
        "pooling": Table(
            "Tokens to one stored vector", str(FACTOR), REASONS["pooling"],
            [Row(str(n), replace(base, factor=n)) for n in (1, 2, FACTOR, 4, 6)],
        ),
        "order": Table(
            "What decides the order", "blend", REASONS["order"],
            [Row(order, replace(base, order=order)) for order in ("stage one", "late interaction", "blend")],
        ),
    }  # fmt: skip


def write(out: Path, tables: Sequence[Table], *, name: str) -> None:
    """Write the tables to `name`.md and .json."""
    facts = machine.facts()
    out.mkdir(parents=True, exist_ok=True)
    stored = {"schema": 1, "facts": facts, "tables": [asdict(table) for table in tables]}
    (out / f"{name}.json").write_text(json.dumps(stored, ensure_ascii=False) + "\n", "utf-8")
    questions = {name: len(right) for name, right in tables[0].rows[0].right.items()}
    lines = ["# Ablations", "", machine.line(facts), ""]
    lines += ["Questions: " + ", ".join(f"{name} {count}" for name, count in questions.items()) + "."]
    for table in tables:
        lines += ["", f"## {table.title}", "", f"Default: {table.default}. {table.reason}", ""]
        lines += [f"| | {' | '.join(questions)} | mean | won/lost | ms |", "|---|" + "---:|" * (len(questions) + 3)]
        default = next(row for row in table.rows if row.name == table.default)
        lines += [_line(row, default) for row in table.rows]
    (out / f"{name}.md").write_text("\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines))


def _line(row: Row, default: Row) -> str:
    shares = [float(np.mean(right)) for right in row.right.values()]
    pairs = [pair for name in row.right for pair in zip(row.right[name], default.right[name], strict=True)]
    won, lost = sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)
    name = f"**{row.name}**" if row is default else row.name
    cells = [f"{share:.3f}" for share in [*shares, float(np.mean(shares))]]
    return (
        f"| {name} | {' | '.join(cells)} | {f'{won}/{lost}' if row is not default else ''} | {np.median(row.ms):.1f} |"
    )


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="FOLDER[:QRELS]")
    parser.add_argument("--only", choices=list(_tables()), help="one table")
    parser.add_argument("--model", default="docs-e5-2")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/ragsearch-ablations"), help="for the converted model")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
