"""Build the encoder as an ONNX graph, already fused: BERT with post-norm layers and exact GELU (Devlin et al. 2019).

    embeddings float32 (n, t, 384)   word embeddings, gathered outside from the mapped file; no padding
    -> dense   float32 (n, 384)      mean over the tokens, unit length
    -> units   float32 (n, t, 128)   centred, projected token vectors of unit length

The graph uses ONNX Runtime's own operators (com.microsoft), so nothing is left to optimise when it is loaded, and the
file does not depend on the CPU it was made on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

from rag_search.embed.builtin.network import Network
from rag_search.embed.builtin.weights import Shape

Precision = Literal["int8", "q4", "q8", "fp32"]
_BLOCK = 32
_INT7 = 64
_EXTERNAL_BYTES = 1024  # constants from this size on; smaller ones stay in the graph
_ALIGNMENT = 64  # bytes


def build_graph(network: Network, precision: Precision) -> onnx.ModelProto:
    """Build the model of the module docstring. precision: how the matrices of the layers are multiplied."""
    graph = _Graph(precision)
    x = _embed(graph, network)
    for layer in range(network.shape.layers):
        x = _layer(graph, network, layer, x)
    _pool(graph, x)
    _project(graph, network, x)
    return graph.model(network.shape, token_dim=network.projection.shape[1])


def _embed(graph: _Graph, network: Network) -> str:
    """Add word, position and token type embeddings, and normalise."""
    length = graph.node("Shape", ["embeddings"], start=1, end=2)
    positions = graph.node("Slice", [graph.constant(network.positions), graph.ints([0]), length])
    total = graph.node("Add", ["embeddings", positions])
    return graph.node(
        "LayerNormalization",
        [total, graph.constant(network.tensors["emb.ln.w"]), graph.constant(network.tensors["emb.ln.b"])],
        epsilon=network.shape.eps,
    )


def _layer(graph: _Graph, network: Network, layer: int, x: str) -> str:
    """Add one transformer layer over `x`."""
    part = {name: network.tensors[f"l{layer}.{name}"] for name in _LAYER_TENSORS}
    query, key, value = graph.linear(x, [(part[f"{name}.w"], part[f"{name}.b"]) for name in "qkv"])
    attended = graph.fused("MultiHeadAttention", [query, key, value], num_heads=network.shape.heads)
    (out,) = graph.linear(attended, [(part["ao.w"], part["ao.b"])])
    x = graph.add_norm(out, x, part["aln.w"], part["aln.b"], eps=network.shape.eps)
    (up,) = graph.linear(x, [(part["fi.w"], part["fi.b"])])
    up = graph.fused("Gelu", [up])  # the same bits as BiasGelu, whose kernel takes nearly twice as long on the CPU
    (down,) = graph.linear(up, [(part["fo.w"], part["fo.b"])])
    return graph.add_norm(down, x, part["oln.w"], part["oln.b"], eps=network.shape.eps)


_LAYER_TENSORS = tuple(f"{name}.{kind}" for name in ("q", "k", "v", "ao", "aln", "fi", "fo", "oln") for kind in "wb")


def _pool(graph: _Graph, x: str) -> None:
    """Add the mean over the tokens as the output `dense`."""
    mean = graph.node("ReduceMean", [x], axes=[1], keepdims=0)
    graph.node("LpNormalization", [mean], output="dense", axis=-1, p=2)


def _project(graph: _Graph, network: Network, x: str) -> None:
    """Add the token vectors as the output `units`."""
    offset = -network.mean @ network.projection  # (x - mean) @ projection, with one pass less
    projected = graph.node("MatMul", [x, graph.constant(network.projection)])
    centred = graph.node("Add", [projected, graph.constant(offset.astype(np.float32))])
    graph.node("LpNormalization", [centred], output="units", axis=-1, p=2)


@dataclass
class _Graph:
    """Collects nodes and constants; every method adds something and returns its name."""

    precision: Precision
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def node(self, op: str, inputs: list[str], *, output: str = "", domain: str = "", **attributes: Any) -> str:
        """Add an operator."""
        name = output or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], domain=domain, **attributes))
        return name

    def fused(self, op: str, inputs: list[str], **attributes: Any) -> str:
        """Add one of ONNX Runtime's own operators."""
        return self.node(op, inputs, domain="com.microsoft", **attributes)

    def constant(self, array: NDArray[Any]) -> str:
        """Add an array."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def ints(self, values: list[int]) -> str:
        """Add a list of integers."""
        return self.constant(np.array(values, np.int64))

    def add_norm(self, x: str, skip: str, weight: NDArray[Any], bias: NDArray[Any], *, eps: float) -> str:
        """Add a residual connection and its layer normalization.

        Two operators: the kernel of the fused SkipLayerNormalization takes twice as long on the CPU.
        """
        total = self.node("Add", [x, skip])
        return self.node("LayerNormalization", [total, self.constant(weight), self.constant(bias)], epsilon=eps)

    def linear(self, x: str, parts: list[tuple[NDArray[Any], NDArray[Any]]]) -> list[str]:
        """Multiply: x @ weight.T + bias for each (weight, bias); the parts share the quantisation of x."""
        if self.precision == "fp32":
            return [self._plain(x, weight, bias) for weight, bias in parts]
        if self.precision == "int8":
            quantised = [f"v{len(self.nodes)}{suffix}" for suffix in ("", "_scale", "_zero")]
            self.nodes.append(helper.make_node("DynamicQuantizeLinear", [x], quantised))
            return [self._int8(quantised, weight, bias) for weight, bias in parts]
        return [self._blockwise(x, weight, bias) for weight, bias in parts]

    def _plain(self, x: str, weight: NDArray[Any], bias: NDArray[Any]) -> str:
        """Multiply in float32."""
        return self.node("Add", [self.node("MatMul", [x, self.constant(weight.T)]), self.constant(bias)])

    def _int8(self, x: list[str], weight: NDArray[Any], bias: NDArray[Any]) -> str:
        """Multiply with per-channel symmetric weights; activations as unsigned bytes with one scale for the tensor.

        Weights have 7 bits: ONNX Runtime's kernel for AVX2 without VNNI adds pairs of products in 16 bits, and 2 * 255
        * 64 just fits. One file is then right on every CPU; unsigned weights would be, too, at half the speed.
        """
        scales = np.maximum(np.abs(weight).max(axis=1), 1e-12) / _INT7
        rows = np.rint(weight / scales[:, None]).astype(np.int8)
        inputs = [
            x[0], self.constant(rows.T), x[1], self.constant(scales.astype(np.float32)),
            x[2], self.constant(np.zeros(len(rows), np.int8)), self.constant(bias),
        ]  # fmt: skip
        return self.fused("MatMulIntegerToFloat", inputs)

    def _blockwise(self, x: str, weight: NDArray[Any], bias: NDArray[Any]) -> str:
        """Multiply with weights in blocks of 32 with a scale each; activations quantised row by row, block by block."""
        bits = 4 if self.precision == "q4" else 8
        n, k = weight.shape
        blocks = weight.reshape(n, k // _BLOCK, _BLOCK)
        packed, scales = _quantise_blocks(blocks, bits)
        inputs = [x, self.constant(packed), self.constant(scales), "", "", self.constant(bias)]
        return self.fused("MatMulNBits", inputs, K=k, N=n, bits=bits, block_size=_BLOCK, accuracy_level=4)

    def model(self, shape: Shape, *, token_dim: int) -> onnx.ModelProto:
        """Return the model of the nodes and constants collected."""

        def tensor(name: str, kind: int, dims: list[Any]) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, kind, dims)

        inputs = [tensor("embeddings", TensorProto.FLOAT, ["n", "t", shape.hidden])]
        outputs = [
            tensor("dense", TensorProto.FLOAT, ["n", shape.hidden]),
            tensor("units", TensorProto.FLOAT, ["n", "t", token_dim]),
        ]
        graph = helper.make_graph(self.nodes, "e5", inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def move_weights(model: onnx.ModelProto, location: str) -> bytes:
    """Move the large constants of a model into a file of external data, and return its content.

    location: name of that file beside the model. Opening a session then takes half the time and memory.
    """
    content = bytearray()
    for tensor in model.graph.initializer:
        data = tensor.raw_data
        if len(data) < _EXTERNAL_BYTES:
            continue
        content += bytes(-len(content) % _ALIGNMENT)
        set_external_data(tensor, location, offset=len(content), length=len(data))
        tensor.ClearField("raw_data")
        content += data
    return bytes(content)


def _quantise_blocks(blocks: NDArray[np.float32], bits: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Quantise blocks (n, b, 32) to MatMulNBits' unsigned weights (zero point in the middle) and scales (n, b)."""
    middle = 1 << (bits - 1)
    # The signed extreme goes to -middle, as in Q4_0: weights that come from Q4_0 are kept exactly.
    extremes = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=2)[..., None], axis=2)[..., 0]
    scales = (extremes / -middle).astype(np.float32)
    safe = np.where(scales == 0, 1, scales)
    weights = np.clip(np.rint(blocks / safe[..., None]) + middle, 0, 2 * middle - 1).astype(np.uint8)
    packed = weights if bits == 8 else weights[..., 0::2] | (weights[..., 1::2] << 4)
    return packed, scales
