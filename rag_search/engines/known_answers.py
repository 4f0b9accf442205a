"""Check that an engine answers as its model must, before its first use: wrong set-ups answer HTTP 200.

Three kinds of evidence, cheapest first:

    structure   what the backend sees of tokens, template and pooling (`check_structure`)
    behaviour   an instruction changes the answer, a batch answers like single calls
    numbers     a reference file made with transformers if one is named, else the figures that the model card publishes
                (whole vectors only), and a dozen question-passage pairs in English and Chinese whose order is known
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from rag_search.embed.base import Embedder
from rag_search.embed.prompts import POOLING_REMEDY
from rag_search.errors import ConfigError, ForeignFileError, KnownAnswerError
from rag_search.records import FloatMatrix, FloatVector
from rag_search.rerank.base import Reranker, check_scores
from rag_search.rerank.qwen3 import DEAF_REMEDY
from rag_search.runtime.files import read_own, write_atomically

PUBLISHED_TOLERANCE = 0.03  # bfloat16 and FP8 move a cosine by up to 0.02
REFERENCE_TOLERANCE = 0.01
SINGLE_TOLERANCE = 0.01  # half precision: other shapes take other kernels
FIRST_OF_12 = 10  # questions whose own passage must win
FIRST_REMEDY = "Compare how it is served with what `ragsearch up --dry-run` prints."
_POOLING = ("pooling, prompts or end token", f"{POOLING_REMEDY} {FIRST_REMEDY}")  # what may be wrong, what to do
_TEMPLATE = ("template or overrides", FIRST_REMEDY)


@runtime_checkable
class StructureChecked(Protocol):
    """A backend that can see whether tokens, template and pooling are right."""

    def check_structure(self) -> None:
        """Raise KnownAnswerError unless tokens, template and pooling are right."""
        ...


@dataclass(frozen=True, slots=True)
class Answers:
    """Questions with their answers.

    pairs: (question, passage that answers it). reference: matrix (questions, passages) made with transformers, or None.
    """

    pairs: tuple[tuple[str, str], ...]
    reference: FloatMatrix | None = None

    @property
    def queries(self) -> list[str]:
        """The questions."""
        return [query for query, _ in self.pairs]

    @property
    def passages(self) -> list[str]:
        """The passages, in the order of their questions."""
        return [passage for _, passage in self.pairs]


def load_answers(reference: Path | None = None) -> Answers:
    """Return the packaged pairs, with the matrix of the file `reference` ({"matrix": [[...]]}). Raises ConfigError."""
    pairs = tuple((query, passage) for query, passage in _data()["pairs"])
    if reference is None:
        return Answers(pairs)
    remedy = f'Write {{"matrix": [[...]]}} with {len(pairs)} rows of {len(pairs)} numbers.'
    try:
        matrix = np.array(json.loads(reference.read_text("utf-8"))["matrix"], np.float32)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(f"{reference} does not contain known answers: {error}.", remedy=remedy) from error
    if matrix.shape != (len(pairs), len(pairs)):
        shapes = f"{matrix.shape} instead of {(len(pairs),) * 2}"
        raise ConfigError(f"{reference} contains a matrix of {shapes}.", remedy=remedy)
    return Answers(pairs, matrix)


def check_embedder(embedder: Embedder, answers: Answers, *, model: str = "", whole: bool = True) -> None:
    """Raise KnownAnswerError or EngineError unless the embedder answers as it must.

    model: its name, to look up published figures. whole: no dimensions were cut off.
    """
    backend = getattr(embedder, "backend", embedder)
    if isinstance(backend, StructureChecked):
        backend.check_structure()
    queries = embedder.encode_queries(answers.queries).vectors
    passages = embedder.encode_documents(answers.passages).vectors
    single = np.concatenate([embedder.encode_documents([text]).vectors for text in answers.passages[:3]])
    _alike(single, passages[:3], embedder.name)
    if embedder.follows_instructions:
        told = embedder.encode_queries(answers.queries[:1], instruction="Find passages about marine biology").vectors
        _changed(float(1 - told[0] @ queries[0]), embedder.name, remedy=FIRST_REMEDY)
    matrix = queries @ passages.T
    if answers.reference is not None:
        _near(matrix, answers.reference, REFERENCE_TOLERANCE, embedder.name, _POOLING)
        return
    _published(embedder, model if whole else "")
    _ordered(matrix, embedder.name)


def check_reranker(reranker: Reranker, answers: Answers, *, listwise: bool = False, remedy: str = "") -> None:
    """Raise KnownAnswerError or EngineError unless the reranker answers as it must.

    listwise: scores depend on the other passages, so a single passage is not compared. remedy: what to do when the
    order is wrong; "" for a model behind a server.
    """
    if isinstance(reranker, StructureChecked):
        reranker.check_structure()
    rows = [_scores(reranker, query, answers) for query in answers.queries]
    matrix = np.array(rows, np.float32)
    if not listwise:
        single = np.array([reranker.score(answers.queries[0], [text])[0] for text in answers.passages[:3]], np.float32)
        _alike(single[:, None], matrix[0, :3, None], reranker.name)
    if reranker.follows_instructions:
        told = reranker.score(answers.queries[0], answers.passages, instruction="Find passages about marine biology")
        _changed(float(np.abs(told - matrix[0]).max()), reranker.name, remedy=DEAF_REMEDY)
    if answers.reference is not None:
        _near(matrix, answers.reference, REFERENCE_TOLERANCE, reranker.name, _TEMPLATE)
        return
    _ordered(matrix, reranker.name, remedy=remedy)


def once(cache_dir: Path, key: str, check: Callable[[], None]) -> None:
    """Run `check` unless it has passed before under `key` (engine, settings, and the run of the server)."""
    passed = cache_dir / "known-answers" / hashlib.sha256(key.encode()).hexdigest()
    with suppress(OSError, ForeignFileError):
        if read_own(passed) == key.encode():
            return
    check()
    write_atomically(passed, key.encode())


@cache
def _data() -> Mapping[str, Any]:
    """Return the packaged pairs and published figures."""
    data: Mapping[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
    return data


def _scores(reranker: Reranker, query: str, answers: Answers) -> FloatVector:
    """Return the checked scores of all passages for a question."""
    scores = reranker.score(query, answers.passages)
    check_scores(scores, len(answers.pairs), reranker.name)
    return scores


def _alike(single: FloatMatrix, batched: FloatMatrix, name: str) -> None:
    """Raise KnownAnswerError if a batch answers differently from single texts."""
    if float(np.abs(single - batched).max()) > SINGLE_TOLERANCE:
        raise KnownAnswerError(
            f"{name}: scores differ between a batch and single texts.", remedy="Its padding is wrong: upgrade it."
        )


def _changed(difference: float, name: str, *, remedy: str) -> None:
    """Raise KnownAnswerError if the instruction changed nothing."""
    if difference < 1e-6:
        raise KnownAnswerError(
            f"{name} ignores the instruction, so its prompt is not that of the model.", remedy=remedy
        )


def _near(matrix: FloatMatrix, wanted: FloatMatrix, tolerance: float, name: str, suspects: tuple[str, str]) -> None:
    """Raise KnownAnswerError unless the matrix is within `tolerance` of the known one."""
    worst = float(np.abs(matrix - wanted).max())
    if worst > tolerance:
        wrong, remedy = suspects
        raise KnownAnswerError(
            f"{name} is off by {worst:.3f} from the known answers (allowed {tolerance}): wrong {wrong}.", remedy=remedy
        )


def _published(embedder: Embedder, model: str) -> None:
    """Compare with the figures of the model card, if they are known."""
    published = _data()["published"]
    wanted = published["similarities"].get(model.rsplit("/", 1)[-1].lower())
    if wanted is not None:
        queries = embedder.encode_queries(published["queries"]).vectors
        matrix = queries @ embedder.encode_documents(published["documents"]).vectors.T
        _near(matrix, np.array(wanted, np.float32), PUBLISHED_TOLERANCE, embedder.name, _POOLING)


def _ordered(matrix: FloatMatrix, name: str, *, remedy: str = "") -> None:
    """Raise KnownAnswerError unless nearly every question prefers its own passage, and by more than noise."""
    own = np.diag(matrix)
    first = int((own >= matrix.max(axis=1)).sum())
    others = float((matrix.sum() - own.sum()) / (matrix.size - len(own)))
    gap = float(own.mean()) - others
    spread = float(matrix.std()) or 1.0
    if first < FIRST_OF_12 or gap < spread:
        raise KnownAnswerError(
            f"{name} puts the right passage first for {first} of {len(own)} known questions "
            f"(needs {FIRST_OF_12}; its scores are {gap:.3f} above the others).",
            remedy=remedy or f"{FIRST_REMEDY} If the model is not a retrieval model, choose one that is.",
        )
