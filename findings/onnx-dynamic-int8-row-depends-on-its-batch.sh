#!/usr/bin/env bash
# One would guess: a network without any operation across the batch gives a row the same result alone and beside other
#   rows, and quantize_dynamic, the usual way to an int8 embedding model or reranker, keeps that: it rounds weights.
# What happens: it also rounds the activations, with one scale for the whole tensor that each run takes from its largest
#   and smallest value (DynamicQuantizeLinear). A row is therefore rounded more coarsely when a row with larger values is
#   in the same batch: here its cosine with itself falls from 1 to below .98, and the order of candidates changes.
#   The float model gives the same bits either way. So scores of an int8 model depend on how a caller batches, and a
#   cached vector need not be the one that would be computed now. Running one text at a time avoids it.
# Versions: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, Python 3.11.
# Source: onnxruntime/python/tools/quantization (quantize_dynamic), the definition of DynamicQuantizeLinear.
set -euo pipefail
export ORT_DISABLE_TELEMETRY=1
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$work" && "$work/venv/bin/python" - <<'PY'
from importlib.metadata import version

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

print("onnxruntime", version("onnxruntime"), "onnx", version("onnx"))
DIM = 64
random = np.random.default_rng(7)
weights = random.normal(size=(DIM, DIM)).astype(np.float32)
rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", DIM])
out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", DIM])
node = helper.make_node("MatMul", ["rows", "weights"], ["out"])
graph = helper.make_graph([node], "linear", [rows], [out], [numpy_helper.from_array(weights, "weights")])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "float.onnx")
quantize_dynamic("float.onnx", "int8.onnx")


def vectors(model, batch):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (result,) = session.run(["out"], {"rows": batch})
    return result / np.linalg.norm(result, axis=1, keepdims=True)


row = random.normal(size=(1, DIM)).astype(np.float32)
large = (40 * random.normal(size=(1, DIM))).astype(np.float32)
for model in ("float.onnx", "int8.onnx"):
    alone, beside = vectors(model, row)[0], vectors(model, np.vstack((row, large)))[0]
    cosine = float(alone @ beside)
    print(model, "cosine of a row alone and beside a larger one:", round(cosine, 3), "same bits:", bool((alone == beside).all()))
    assert (model == "float.onnx") == bool(np.allclose(alone, beside, atol=1e-5))
    assert model == "float.onnx" or cosine < 0.98

query = vectors("int8.onnx", row)[0]
candidates = (row + 0.25 * random.normal(size=(40, DIM))).astype(np.float32)
one_by_one = np.array([vectors("int8.onnx", candidate[None])[0] @ query for candidate in candidates])
together = vectors("int8.onnx", np.vstack((candidates, large)))[:-1] @ query
print("best of 40 candidates, encoded one by one:", one_by_one.argmax(), "in one batch with a larger row:", together.argmax())
assert (np.argsort(-one_by_one) != np.argsort(-together)).any()
PY
