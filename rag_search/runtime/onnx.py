"""Open networks in ONNX Runtime: the one place that imports it, with its telemetry switched off before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from rag_search.errors import EngineError
from rag_search.runtime import telemetry

telemetry.switch_off()
import onnxruntime  # noqa: E402


class Port(Protocol):
    """An input or an output of a network: its name, and its type such as `tensor(int64)`."""

    name: str
    type: str


class Session(Protocol):
    """An open network."""

    def get_inputs(self) -> Sequence[Port]:
        """Return the inputs."""
        ...

    def get_outputs(self) -> Sequence[Port]:
        """Return the outputs."""
        ...

    def run(self, outputs: list[str] | None, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the `outputs`, all for None."""
        ...


def open_session(
    graph: Path, *, remedy: str, threads: int = 1, is_optimised: bool = False, few_runs: bool = False
) -> Session:
    """Open a network on the CPU. Raises EngineError with the remedy.

    threads: of one operator. is_optimised: the graph is fused already, and nothing is left to optimise. few_runs: open
    in a third of the time; a run takes a quarter longer.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # an error is raised; without this it is printed, too, in colour
    options.enable_mem_pattern = False  # plans memory by shape, and every length is another shape
    if few_runs:  # weights are used as they are mapped, and not copied into the order that the CPU prefers
        options.add_session_config_entry("session.disable_prepacking", "1")
    if is_optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session: Session = onnxruntime.InferenceSession(
            str(graph), options, providers=["CPUExecutionProvider"], enable_fallback=0
        )  # a fallback would print to stdout and try the same once more
    except Exception as error:  # ONNX Runtime has a class for each kind of error, and none for all
        raise EngineError(f"{graph} cannot be opened: {error}", remedy=remedy) from error
    return session
