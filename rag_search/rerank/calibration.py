"""The weights that turn the features of candidates into probabilities of relevance, and the packaged ones."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag_search.errors import EngineError
from rag_search.records import FloatMatrix, FloatVector
from rag_search.rerank.features import EVIDENCE, columns

CALIBRATION = Path(__file__).with_name("data") / "late_interaction.json"
RIVALS = 10  # candidates
REACH = 8.0  # of the blend; an instruction lifts a candidate that is nearer to the best one


@dataclass(frozen=True, slots=True)
class Calibration:
    """The weights that turn features into a probability of relevance.

    late, dense, lexical, length, untranslated, agreement: weights of `columns`; their weighted sum is the blend, which
    decides the order. edition: taken off the blend of a passage of another year than the query names. translation: a
    passage in another script than the query counts as untranslated if its likeness to every candidate in the query's
    script is smaller. threshold: a hit with a smaller probability is not a confident match. exact: added to the blend
    of a passage with evidence of strength 1.

    The probability is sigmoid(slope * blend - rivals * level - partial * hint + bias), where level is the mean blend of
    the RIVALS best documents after the first: a right answer stands out, a question without an answer has many equals.
    Chunks of one document do not count as rivals of each other. `typical` replaces the blend of missing documents. hint
    is the `partial_evidence` of the best candidate: `exact` is so large because it decides the order, and a passage
    with a term of a longer question does not answer as surely as that.
    """

    late: float
    dense: float
    lexical: float
    length: float
    untranslated: float
    edition: float
    translation: float
    slope: float
    rivals: float
    typical: float
    bias: float
    threshold: float
    exact: float = 0.0
    partial: float = 0.0
    agreement: float = 0.0

    def blend(self, features: FloatMatrix) -> NDArray[np.float64]:
        """Return the blend (n,) of `features` (n, 8)."""
        fitted = (self.late, self.dense, self.lexical, self.length, self.untranslated)
        weights = np.array((*fitted, -self.edition, self.exact, self.agreement))
        return np.asarray(columns(features, self.translation) @ weights, np.float64)

    def probability(
        self,
        features: FloatMatrix,
        documents: Sequence[Hashable] | None = None,
        *,
        reference: int | None = None,
        preferences: FloatVector | None = None,
    ) -> FloatVector:
        """Return the probability of each candidate of one query, float32 (n,).

        features: (n, 8), of all candidates. documents: the document of each; None if each is its own. reference:
        number of first candidates, which are the rivals; None: all. preferences: (n,) of the instruction, added to the
        blend.
        """
        blend = self.blend(features)
        if preferences is not None:  # an instruction chooses among answers; it makes no answer of another subject
            near = blend >= blend.max(initial=-np.inf) - REACH
            blend = blend + np.where(near, preferences, np.minimum(preferences, 0.0))
        documents = range(len(blend)) if documents is None else documents
        level = rival_level(blend[:reference], self.typical, documents[:reference])
        hint = partial_evidence(features[:reference], blend[:reference])
        logit = self.slope * blend - self.rivals * level - self.partial * hint + self.bias
        return np.asarray(1 / (1 + np.exp(-logit)), np.float32)


def rival_level(blend: NDArray[np.float64], typical: float, documents: Sequence[Hashable] | None = None) -> float:
    """Return the mean of the best blends of the RIVALS best documents after the first.

    typical: blend of documents that are missing. documents: the document of each candidate; None if each is its own.
    """
    best: dict[Hashable, float] = {}
    for document, value in zip(range(len(blend)) if documents is None else documents, blend.tolist(), strict=True):
        best[document] = max(value, best.get(document, value))
    after = sorted(best.values(), reverse=True)[1 : RIVALS + 1]
    return (sum(after) + typical * (RIVALS - len(after))) / RIVALS


def partial_evidence(features: FloatMatrix, blend: NDArray[np.float64]) -> float:
    """Return how far the evidence in the best candidate is one hint of several, 0 to 0.5.

    0 without evidence, and 0 if the term is the whole question, since then nothing else was asked.
    """
    if not len(blend):
        return 0.0
    strength = float(features[int(np.argmax(blend)), EVIDENCE])
    return min(strength, 1 - strength)


def load_calibration(model: str) -> Calibration:
    """Return the calibration that benchmarks/calibrate.py wrote for an encoder.

    Raises EngineError if there is none.
    """
    stored = json.loads(CALIBRATION.read_text(encoding="utf-8"))
    if model not in stored:
        raise EngineError(
            f"{CALIBRATION} has no calibration for the model {model!r}.", remedy="Run: python -m benchmarks.calibrate"
        )
    return Calibration(**stored[model]["calibration"])
