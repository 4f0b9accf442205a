"""Measure the peaks of this machine: matrix products of float32 and of 8 bits, and reading memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from threadpoolctl import threadpool_limits

REPEATS = 20
BLAS_SIZES = (384, 512, 768, 1024)
TOKENS = 192
SHAPES = ((TOKENS, 384, 384), (TOKENS, 384, 1536), (TOKENS, 1536, 384), (512, 512, 512))  # of the network, and larger
MEMORY_BYTES = 512 * 2**20

Call = Callable[[], object]


def measure(cores: int) -> dict[str, float]:
    """Return the best of several shapes, for one thread and for one thread per core."""
    with threadpool_limits(1, "blas"):
        found = {
            "fp32, one thread, GFLOP/s": max(_rate(_blas(n), 1, 2 * n**3) for n in BLAS_SIZES),
            "fp32, all cores, GFLOP/s": max(_rate(_blas(n), cores, 2 * n**3) for n in BLAS_SIZES),
            "int8, one thread, GOP/s": max(_rate(_integer(*s), 1, 2 * s[0] * s[1] * s[2]) for s in SHAPES),
            "int8, all cores, GOP/s": max(_rate(_integer(*s), cores, 2 * s[0] * s[1] * s[2]) for s in SHAPES),
            "memory, one thread, GB/s": _rate(_reading, 1, MEMORY_BYTES),
        }
        return found | {"memory, all cores, GB/s": _rate(_reading, cores, MEMORY_BYTES)}


def best(call: Call, repeats: int) -> float:
    """Return the shortest of several times, in seconds: the speed of the machine when nothing disturbs it."""
    call()
    return min(timed(call) for _ in range(repeats))


def timed(call: Call) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _rate(make: Callable[[], Call], threads: int, operations: float) -> float:
    """Return billions of operations (or bytes) per second of all threads together, each with its own operands."""
    calls = [make() for _ in range(threads)]
    inner = max(1, int(2e9 / operations))  # so that a measurement takes some milliseconds
    with ThreadPoolExecutor(threads) as pool:

        def run(call: Call) -> None:
            for _ in range(inner):
                call()

        seconds = best(lambda: list(pool.map(run, calls)), REPEATS)
    return threads * inner * operations / seconds / 1e9


def _blas(n: int) -> Callable[[], Call]:
    def make() -> Call:
        random = np.random.default_rng(0)
        a, b = (random.standard_normal((n, n)).astype(np.float32) for _ in range(2))
        out = np.empty((n, n), np.float32)
        return lambda: np.matmul(a, b, out=out)

    return make


def _integer(rows: int, inner: int, columns: int) -> Callable[[], Call]:
    """Return a call of ONNX Runtime's MatMulInteger: unsigned activations, signed 7-bit weights, as in the engine."""

    def make() -> Call:
        random = np.random.default_rng(0)
        weights = random.integers(-64, 64, (inner, columns)).astype(np.int8)
        x = random.integers(0, 255, (rows, inner)).astype(np.uint8)
        zero = numpy_helper.from_array(np.array(0, np.uint8), "zero")
        session = _session(
            helper.make_graph(
                [helper.make_node("MatMulInteger", ["x", "w", "zero"], ["y"])],
                "product",
                [helper.make_tensor_value_info("x", TensorProto.UINT8, [rows, inner])],
                [helper.make_tensor_value_info("y", TensorProto.INT32, [rows, columns])],
                [numpy_helper.from_array(weights, "w"), zero],
            )
        )
        return lambda: session.run(None, {"x": x})

    return make


def _session(graph: onnx.GraphProto) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _reading() -> Call:
    data = np.ones(MEMORY_BYTES // 4, np.float32)
    return lambda: np.dot(data, data)
