#!/usr/bin/env bash
# One would guess: IndexHNSWFlat.search with an IDSelector in its parameters gives the k nearest of the allowed vectors,
#   perhaps a few of them wrong, as HNSW is approximate, since IndexFlat with the same selector does and there are far
#   more than k of them.
# What happens: the walk through the graph takes no notice of the selector; it only keeps a vector it happens to visit if
#   it is allowed, and it visits about efSearch of them around the query. If what is allowed lies elsewhere, as the
#   documents of one folder, language or customer do, none or few are left: ids are -1, with a score of -3.4e38 that sorts
#   and adds up like any other. With one in a hundred allowed at random it finds some of the ten. A filtered index then
#   seems to hold nothing. hnswlib raises in this case. efSearch as large as the index is the only cure, and an exact
#   scan of the allowed ones is cheaper.
# Versions: faiss-cpu 1.15.1, numpy 2.4.6, Python 3.11. Our search uses no HNSW and scans the rows of a narrow filter.
# Source: faiss/impl/HNSW.cpp (search_from_candidates: the selector is asked only before a result is kept).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check faiss-cpu==1.15.1 numpy==2.4.6
OMP_NUM_THREADS=1 "$work/venv/bin/python" - <<'PY'
import faiss
import numpy as np

print("faiss-cpu", faiss.__version__)
ROWS, DIM, K = 10_000, 32, 10
random = np.random.default_rng(0)
vectors = random.normal(size=(ROWS, DIM)).astype(np.float32)
vectors[:500] += 2  # a topic of its own
faiss.normalize_L2(vectors)
query = vectors[-1:]
graph, flat = (make(DIM, *m, faiss.METRIC_INNER_PRODUCT) for make, m in ((faiss.IndexHNSWFlat, (32,)), (faiss.IndexFlat, ())))
for index in (graph, flat):
    index.add(vectors)


def found(index, allowed, ef=None):
    parameters = faiss.SearchParametersHNSW() if ef else faiss.SearchParameters()
    parameters.sel = faiss.IDSelectorBatch(np.asarray(allowed, np.int64))
    if ef:
        parameters.efSearch = ef
    scores, ids = index.search(query, K, params=parameters)
    return int((ids >= 0).sum()), float(scores[0, -1])


topic, scattered = np.arange(500), np.arange(0, ROWS, 100)
for name, allowed in (("a topic of 500", topic), ("every hundredth", scattered), ("all", np.arange(ROWS))):
    for ef in (16, 64, ROWS):
        number, last = found(graph, allowed, ef)
        print(f"{name:16} allowed: HNSW with efSearch {ef:6} finds {number:2} of {K}, flat {found(flat, allowed)[0]}; last score {last:.3g}")
    assert found(flat, allowed)[0] == K
assert found(graph, topic, 16)[0] == 0 and found(graph, topic, 64)[0] < K and found(graph, topic, 64)[1] < -3e38
assert 0 < found(graph, scattered, 16)[0] < K
assert found(graph, topic, ROWS)[0] == found(graph, np.arange(ROWS), 16)[0] == K
PY
