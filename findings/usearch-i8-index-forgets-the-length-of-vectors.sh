#!/usr/bin/env bash
# One would guess: Index(metric="ip", dtype="i8") or metric="l2sq" of usearch stores a coarser form of the vectors, so
#   that the order by inner product or by distance is roughly the one of dtype="f32", and a stored vector is roughly
#   what was added, or that values beyond what 8 bits hold are refused.
# What happens: each vector is scaled to length one (times 127) on its own, and the scale is not kept. All metrics are
#   then the cosine: a long vector, the best by inner product, comes last, and one that is 0.9 away ties with the
#   vector itself at distance 0. get() returns the scaled integers. f16, bf16 and e5m2 keep the length. Vectors of length
#   one, as of most text models, are safe; those of models for inner product, and sums or differences, are not.
# Versions: usearch 2.26.6, numpy 2.4.6, Python 3.11.
# Source: include/usearch/index_plugins.hpp (cast to i8 divides by the magnitude).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check usearch==2.26.6 numpy==2.4.6
"$work/venv/bin/python" - <<'PY'
import numpy as np
import usearch
from usearch.index import Index

print("usearch", usearch.__version__)
VECTORS = np.array([[1, 0, 0, 0], [10, 1, 0, 0], [0.1, 0, 0, 0]], np.float32)
QUERY = VECTORS[0]


def ranked(metric, dtype):
    index = Index(ndim=4, metric=metric, dtype=dtype)
    index.add(np.arange(3), VECTORS)
    found = index.search(QUERY, 3)
    return dict(zip(found.keys.tolist(), found.distances.tolist())), index.get(1).tolist()


for metric in ("ip", "l2sq"):
    for dtype in ("f32", "f16", "bf16", "i8"):
        distances, stored = ranked(metric, dtype)
        print(f"{metric:4} {dtype:4} keys and distances, nearest first: {distances}; [10, 1, 0, 0] is kept as {stored}")
        order = list(distances)
        if dtype == "i8":
            assert order[-1] == 1 and distances[0] == distances[2] and abs(stored[0]) <= 127 and stored[1] > 9
        else:
            assert order == ([1, 0, 2] if metric == "ip" else [0, 2, 1]) and distances[0] != distances[2]
PY
