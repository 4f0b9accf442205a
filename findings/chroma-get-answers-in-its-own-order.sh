#!/usr/bin/env bash
# One would guess: `collection.get(ids=[...])` answers in the order of the ids, as `query` answers in the order of the
#   distances, with None or an error for an id that is not there. So the texts of candidates that another stage has
#   ordered can be zipped with them.
# What happens: the records come back in the order in which they were added, and an unknown id is left out in silence.
#   `get(ids=["d", "zz", "a"])["documents"]` is the text of a, then that of d: zipped with the ids, each candidate of a
#   reranker has the text of another. Only the "ids" of the answer say which is which. Twice the same id is an error.
# Versions: chromadb 1.5.9, Python 3.11.
# Source: chromadb, Collection.get; the order is that of the rows in the metadata segment.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check chromadb==1.5.9
ANONYMIZED_TELEMETRY=False "$work/venv/bin/python" - <<'PY'
import chromadb
from chromadb.errors import DuplicateIDError

collection = chromadb.EphemeralClient().create_collection("passages", embedding_function=None)
ADDED = ["c", "a", "d", "b"]
collection.add(ids=ADDED, embeddings=[[1, 0], [0, 1], [0.9, 0.1], [0.5, 0.5]], documents=[name.upper() for name in ADDED])
print("chromadb", chromadb.__version__, "| added:", *ADDED)
for asked in (["d", "a"], ["b", "c"], ["d", "zz", "a"]):
    answer = collection.get(ids=asked)
    print("asked for", asked, "got", answer["ids"], answer["documents"], "zipped:", dict(zip(asked, answer["documents"])))
    assert answer["ids"] == [name for name in ADDED if name in asked] != asked
nearest = collection.query(query_embeddings=[[1, 0]], n_results=4)["ids"][0]
print("query:", nearest)
assert nearest == ["c", "d", "b", "a"]
try:
    collection.get(ids=["a", "a"])
except DuplicateIDError as error:
    print("twice the same id:", type(error).__name__)
else:
    raise AssertionError("the same id twice is no error now")
PY
