"""Tell what the output of an ONNX cross-encoder means: a logit, or a probability already."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_SMALLEST = 1e-9  # of a probability, so that its logarithm is finite
_SHAPES = ("Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten")  # leave the numbers as they are


class Head(StrEnum):
    """The last layer of a network."""

    logit = "logit"
    probability = "probability"

    def logit_of(self, values: NDArray[np.float64]) -> float:
        """Return the log-odds that the passage answers, from the one or two numbers of a pair.

        Of two numbers the last one is for the passage that answers.
        """
        if self is Head.probability:
            share = float(np.clip(values[-1], _SMALLEST, 1 - _SMALLEST))
            return float(np.log(share) - np.log1p(-share))
        return float(values[-1] - values[0]) if len(values) == 2 else float(values[0])


def head_of(graph: Path) -> Head:
    """Return what the first output of a network is, by the operator that makes it."""
    import onnx  # 0.1 s, which a model of the table does without

    network = onnx.load(str(graph), load_external_data=False).graph
    makers = {name: node for node in network.node for name in node.output}
    node = makers.get(network.output[0].name)
    while node is not None and node.op_type in _SHAPES:
        node = makers.get(node.input[0])
    return Head.probability if node is not None and node.op_type in ("Sigmoid", "Softmax") else Head.logit
