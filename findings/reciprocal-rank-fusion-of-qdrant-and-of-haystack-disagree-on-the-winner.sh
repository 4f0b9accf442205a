#!/usr/bin/env bash
# One would guess: reciprocal rank fusion is one formula, 1 / (k + rank) with rank from 1 and k = 60 as in its paper, so
#   the same two rankings fused by two tools give the same order, and a tool's parameter k is the paper's.
# What happens: Haystack's DocumentJoiner has k = 61 with ranks from 0, which is the paper's formula, but divides by the
#   best possible sum. qdrant-client has k = 2 and ranks from 0, the paper's k = 1: the first place of one list weighs
#   as much as three fifth places. The document that both lists have in place five wins with Haystack, and with Qdrant
#   loses to each list's own best: that retrievers agree counts for little. To have the paper's order in
#   Qdrant, k is 61 and not 60, and it must be asked for with RrfQuery(rrf=Rrf(k=61)) instead of FusionQuery.
# Versions: qdrant-client 1.20.0 (local mode; the server documents k = 2 too), haystack-ai 3.4.1, Python 3.11.
# Source: qdrant_client/hybrid/fusion.py (DEFAULT_RANKING_CONSTANT_K); haystack/utils/misc.py; Cormack, Clarke and Büttcher,
#   SIGIR 2009. Our own fusion counts from 1 with the paper's k.
set -euo pipefail
export HAYSTACK_TELEMETRY_ENABLED=False
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check qdrant-client==1.20.0 haystack-ai==3.4.1
"$work/venv/bin/python" - <<'PY'
from importlib.metadata import version
from math import cos, sin

from haystack import Document
from haystack.components.joiners import DocumentJoiner
from qdrant_client import QdrantClient, models

print("qdrant-client", version("qdrant-client"), "haystack-ai", version("haystack-ai"))
LISTS = [["a1", "a2", "a3", "a4", "both"], ["b1", "b2", "b3", "b4", "both"]]
NAMES = sorted({name for each in LISTS for name in each})


def paper(k):
    return {name: sum(1 / (k + each.index(name) + 1) for each in LISTS if name in each) for name in NAMES}


def haystack():
    lists = [[Document(id=name, content=name) for name in each] for each in LISTS]
    found = DocumentJoiner(join_mode="reciprocal_rank_fusion").run(documents=lists)["documents"]
    return {document.id: document.score for document in found}


def qdrant(query):
    """Fuse two vector searches that return LISTS: the angle to the query is the place in the list."""
    client = QdrantClient(":memory:")
    space = models.VectorParams(size=2, distance=models.Distance.COSINE)
    client.create_collection("c", vectors_config={"0": space, "1": space})
    for row, name in enumerate(NAMES):
        angles = [each.index(name) / 10 if name in each else 2 for each in LISTS]
        vectors = {str(number): [cos(angle), sin(angle)] for number, angle in enumerate(angles)}
        client.upsert("c", [models.PointStruct(id=row, vector=vectors, payload={"name": name})])
    parts = [models.Prefetch(query=[1.0, 0.0], using=str(number), limit=5) for number in range(2)]
    found = client.query_points("c", prefetch=parts, query=query, limit=9).points
    return {point.payload["name"]: point.score for point in found}


results = {
    "the paper, k = 60": paper(60),
    "Haystack": haystack(),
    "Qdrant": qdrant(models.FusionQuery(fusion=models.Fusion.RRF)),
    "Qdrant with k = 61": qdrant(models.RrfQuery(rrf=models.Rrf(k=61))),
    "the paper, k = 1": paper(1),
}
for name, scores in results.items():
    order = sorted(scores, key=lambda key: (-scores[key], key))
    print(f"{name:19}", ", ".join(f"{key} {scores[key]:.4f}" for key in order[:5]))
    winner = "a1" if name in ("Qdrant", "the paper, k = 1") else "both"
    assert order[0] == winner, (name, order)
near = lambda one, other: all(abs(one[name] - other[name]) < 1e-6 for name in NAMES)  # noqa: E731
assert near(results["Qdrant"], paper(1)) and near(results["Qdrant with k = 61"], paper(60))
ratio = {round(score / results["the paper, k = 60"][name], 4) for name, score in results["Haystack"].items()}
assert ratio == {30.5}, ratio
PY
