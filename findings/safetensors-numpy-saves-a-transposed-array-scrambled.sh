#!/usr/bin/env bash
# One would guess: safetensors.numpy.save_file({"w": array}) and load_file give an equal array, whatever its memory
#   layout, as numpy.save does, or refuse a layout that they cannot store, as safetensors.torch does.
# What happens: shape and dtype are those of the array, but the bytes are taken from its memory from the first element on,
#   as if it were in C order. A transposed weight matrix (weights.T, a projection exported from another framework), an
#   array in Fortran order (np.asfortranarray, results of np.linalg) or every second column comes back with the right
#   shape and other numbers, without an error; a model made this way answers, and wrongly. np.ascontiguousarray
#   before saving helps. A big-endian array is converted as it should be.
# Versions: safetensors 0.8.0, numpy 2.4.6, Python 3.11. Our export of a model writes tobytes(), which is in C order.
# Source: safetensors/numpy.py (save hands on the data pointer of each array).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check safetensors==0.8.0 numpy==2.4.6
cd "$work" && "$work/venv/bin/python" - <<'PY'
import io

import numpy as np
import safetensors
from safetensors.numpy import load, load_file, save, save_file

print("safetensors", safetensors.__version__, "numpy", np.__version__)
WEIGHTS = np.arange(6, dtype=np.float32).reshape(2, 3)
CASES = {
    "as it is": (WEIGHTS, True),
    "big-endian": (WEIGHTS.astype(">f4"), True),
    "weights.T": (WEIGHTS.T, False),
    "Fortran order": (np.asfortranarray(WEIGHTS), False),
    "weights[:, ::2]": (WEIGHTS[:, ::2], False),
    "weights.T, made contiguous": (np.ascontiguousarray(WEIGHTS.T), True),
}
for name, (array, expected) in CASES.items():
    written = array.tolist()
    save_file({"w": array}, "weights.safetensors")
    read = load_file("weights.safetensors")["w"]
    file = io.BytesIO()
    np.save(file, array)
    file.seek(0)
    print(f"{name:26} written {written}", "and read" if expected else f"but read {read.tolist()}")
    assert read.shape == array.shape and (read.tolist() == written) == expected, name
    assert (load(save({"w": array}))["w"].tolist() == written) == expected, name
    assert np.load(file).tolist() == written
PY
