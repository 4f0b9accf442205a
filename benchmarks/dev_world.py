"""Build reduced dev sets for ablations.py: real documents, chunks, vectors and index; token vectors whole in memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag_search.chunking import chunk_document
from rag_search.chunking.passage import one_line
from rag_search.documents import SourceFile, read_document, walk
from rag_search.embed.builtin.embedder import BuiltinEmbedder
from rag_search.embed.builtin.network import load_network, network_path
from rag_search.embed.builtin.onnx_graph import build_graph
from rag_search.embed.builtin.weights import E5File, find_weights
from rag_search.evaluation.dataset import EvalQuery, load_dataset
from rag_search.index import FileState, IndexManifest, IndexReader, open_reader, open_writer
from rag_search.records import Chunk, Encoded, EncodedQuery, FloatMatrix
from rag_search.text.terms import LEXICAL_VERSION, terms

QUESTIONS = 170  # of a set, at most
BYTES = 600_000  # of Markdown: the documents that answer, and others drawn at random

Lines = tuple[int, int]
Tokens = NDArray[np.float16]  # (t, 384) of one passage: centred, unit length
PassageOf = Callable[[Chunk], str]


@dataclass(frozen=True)
class DevSet:
    """A reduced set.

    answers: question id -> (path, lines) of each place that answers it; lines None: anywhere in the document.
    """

    name: str
    questions: list[EvalQuery]
    answers: dict[str, list[tuple[str, Lines | None]]]
    sources: list[SourceFile]

    def is_right(self, question: EvalQuery, chunk: Chunk) -> bool:
        """Return whether most of the chunk is in a place that answers the question, or the place in the chunk."""
        return any(
            chunk.path == path and (lines is None or _overlap((chunk.line_start, chunk.line_end), lines) >= 0.5)
            for path, lines in self.answers[question.query_id]
        )


def load_set(wanted: str) -> DevSet:
    """Load `FOLDER[:QRELS]` with a tree of Markdown in `docs`.

    Questions are those of the split `dev` where there are splits. Judgments of sections need the lines in
    `corpus.jsonl`; without lines their documents count.
    """
    folder, _, qrels = wanted.partition(":")
    dataset = load_dataset(Path(folder), qrels=qrels or None, split="dev")
    chance = np.random.default_rng(0)
    judged = list(dataset.judged)
    questions = [judged[i] for i in sorted(chance.permutation(len(judged))[:QUESTIONS].tolist())]
    places = _section_places(Path(folder) / "corpus.jsonl") if dataset.docs is None else {}
    answers = {
        q.query_id: [places.get(document, (document.split("#")[0], None)) for document in dataset.qrels[q.query_id]]
        for q in questions
    }
    docs = (Path(folder) / "docs").resolve()
    sources = list(walk([docs], base=docs, on_problem=lambda _: None))
    return DevSet(dataset.name, questions, answers, _reduced(sources, answers, chance))


def _section_places(corpus: Path) -> dict[str, tuple[str, Lines | None]]:
    rows = [json.loads(line) for line in corpus.read_text("utf-8").split("\n") if line]
    with_lines = [(row["_id"], row["metadata"]) for row in rows if "line_start" in row.get("metadata", {})]
    return {section: (place["path"], (place["line_start"], place["line_end"])) for section, place in with_lines}


def _reduced(
    sources: list[SourceFile], answers: dict[str, list[tuple[str, Lines | None]]], chance: np.random.Generator
) -> list[SourceFile]:
    chosen = {path for places in answers.values() for path, _ in places}
    size = sum(source.size for source in sources if source.path in chosen)
    for i in chance.permutation(len(sources)).tolist():
        if size + sources[i].size <= BYTES and sources[i].path not in chosen:
            chosen.add(sources[i].path)
            size += sources[i].size
    return [source for source in sources if source.path in chosen]


def _overlap(one: Lines, other: Lines) -> float:
    """Return the lines in both runs as a share of the shorter one."""
    both = min(one[1], other[1]) - max(one[0], other[0]) + 1
    return both / min(one[1] - one[0] + 1, other[1] - other[0] + 1)


class WideEmbedder(BuiltinEmbedder):
    """The built-in encoder with whole token vectors (384 columns).

    A projection of them equals a projection inside the graph, so one pass serves every number of columns.
    """

    def __init__(self, cache_dir: Path, model: str) -> None:
        network = load_network(E5File(find_weights()), network_path(model))
        self.projection = network.projection
        wide = replace(network, projection=np.eye(len(network.projection), dtype=np.float32))
        with tempfile.TemporaryDirectory() as folder:
            graph = Path(folder) / "wide.onnx"
            graph.write_bytes(build_graph(wide, "int8").SerializeToString())
            super().__init__(cache_dir=cache_dir, model=model, graph=graph)
            self.wait_until_open()

    def encode(self, passages: Sequence[str]) -> tuple[FloatMatrix, list[Tokens]]:
        """Return vectors (n, 384) and the token vectors of each passage."""
        made = self.run(self.token_ids(passages, kind="passage"))
        units = [self.content(tokens, kind="passage").astype(np.float16) for _, tokens in made]
        return np.array([dense for dense, _ in made], np.float32).reshape(-1, self.dim), units


@dataclass(frozen=True)
class World:
    """One set, chunked and read in one way. tokens: token vectors by chunk id."""

    dev: DevSet
    reader: IndexReader
    tokens: list[Tokens]
    queries: dict[str, EncodedQuery]


def build(dev: DevSet, place: Path, embedder: WideEmbedder, *, max_tokens: int, passage_of: PassageOf) -> World:
    """Chunk, encode and store the set in the folder `place`, which must not exist."""
    manifest = IndexManifest("wide", embedder.fingerprint, embedder.dim, 0, LEXICAL_VERSION)
    tokens: list[Tokens] = []
    with open_writer(place, manifest) as writer:
        for source in dev.sources:
            document = read_document(source)
            made = chunk_document(document, count_tokens=embedder.count_tokens, max_tokens=max_tokens)
            chunks = [replace(chunk, passage=passage_of(chunk)) for chunk in made]
            vectors, units = embedder.encode([chunk.passage for chunk in chunks])
            tokens += units
            lines = [" ".join(terms(chunk.passage)) for chunk in chunks]
            state = FileState(source.size, source.mtime_ns, document.content_hash)
            writer.put(document, chunks, Encoded(vectors), lines, state=state)
        writer.commit()
    texts = [question.text for question in dev.questions]
    encoded = embedder.encode_queries(texts).each(texts)
    queries = {question.query_id: query for question, query in zip(dev.questions, encoded, strict=True)}
    return World(dev, open_reader(place), tokens, queries)


def whole_passage(chunk: Chunk) -> str:
    """Return title, heading path and text, as the product does."""
    return chunk.passage


def without_path(chunk: Chunk) -> str:
    """Return title and text."""
    return "\n".join([*_head(chunk)[:1], _body(chunk)])


def text_only(chunk: Chunk) -> str:
    """Return the text alone."""
    return _body(chunk) or chunk.passage


def _head(chunk: Chunk) -> list[str]:
    """Return the lines above the text: title, and as much of the heading path as the budget kept."""
    lines = chunk.passage.split("\n")[:2]
    paths = {" > ".join(map(one_line, chunk.heading_path[i:])) for i in range(len(chunk.heading_path))}
    return lines[: 2 if len(lines) == 2 and (lines[1] in paths or lines[1].endswith("…")) else 1]


def _body(chunk: Chunk) -> str:
    return "\n".join(chunk.passage.split("\n")[len(_head(chunk)) :])
