#!/usr/bin/env bash
# One would guess: `upsert` of Chroma puts a record in the place of the one with its id, so that afterwards the collection
#   holds what was passed, as if the old one had been deleted and the new one added; and `add` of an id that is there
#   fails or replaces.
# What happens: upsert merges. Metadata keys that the new record does not name stay: a document that is no draft any more
#   is still found by {"draft": True}, and one that left a group still answers its filter. Without `documents`, the
#   old text stays beside the new vector, so a hit shows a text that it was not found by. `add` with a known id does
#   nothing, without an error, so a changed text is never seen. To take a key away it must be passed as None, or the
#   record deleted before.
# Versions: chromadb 1.5.9, Python 3.11. Our peers' benchmark adds each document once.
# Source: chromadb's Collection.upsert, add and update (rust bindings); docs.trychroma.com on updating data.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check chromadb==1.5.9
"$work/venv/bin/python" - <<'PY'
import chromadb
from chromadb.config import Settings

print("chromadb", chromadb.__version__)
client = chromadb.EphemeralClient(Settings(anonymized_telemetry=False))


def collection(name):
    made = client.create_collection(name, embedding_function=None)
    made.add(ids=["page"], embeddings=[[1.0, 0.0]], documents=["old"], metadatas=[{"draft": True, "team": "a"}])
    return made


def record(pages):
    found = pages.get(ids=["page"], include=["documents", "metadatas", "embeddings"])
    return found["documents"][0], dict(sorted(found["metadatas"][0].items())), found["embeddings"][0].tolist()


def shown(what, pages):
    print(f"{what:36}", *record(pages), "drafts:", pages.get(where={"draft": True})["ids"])
    return record(pages)


new = {"ids": ["page"], "embeddings": [[0.0, 1.0]]}
pages = collection("upserted")
pages.upsert(**new, documents=["new"], metadatas=[{"team": "b"}])
assert shown("upsert of text and {'team': 'b'}", pages) == ("new", {"draft": True, "team": "b"}, [0.0, 1.0])
assert pages.get(where={"draft": True})["ids"] == ["page"]

pages = collection("textless")
pages.upsert(**new, metadatas=[{"team": "b"}])
assert shown("upsert without a text", pages) == ("old", {"draft": True, "team": "b"}, [0.0, 1.0])

pages = collection("added")
pages.add(**new, documents=["new"], metadatas=[{"team": "b"}])
assert shown("add of the same id", pages) == ("old", {"draft": True, "team": "a"}, [1.0, 0.0])

pages = collection("emptied")
pages.upsert(**new, documents=["new"], metadatas=[{"team": "b", "draft": None}])
assert shown("upsert with 'draft': None", pages) == ("new", {"team": "b"}, [0.0, 1.0])
PY
