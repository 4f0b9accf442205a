#!/usr/bin/env bash
# One would guess: QueryFusionRetriever adds up what its retrievers say about a node, and a node is what its node_id says,
#   so each list votes once for each node.
# What happens: nodes are merged by `node.hash`, of the text and the metadata. (1) Two nodes of one list with the same
#   text, such as a licence or a notice that two pages repeat, are one with two votes: with reciprocal_rerank and with
#   dist_based_score it passes the best node of the same list, and the other page is lost. (2) The same node from two
#   retrievers of which one adds a word to the metadata is two nodes with a vote each; the doubles are then dropped
#   without adding up, so what both found stands behind what one found. The ranks count from 0, the paper's from 1.
# Versions: llama-index-core 0.14.25, Python 3.11. The metadata of our retriever name path and lines, always the same
#   ones for a passage, so its nodes neither collapse nor split.
# Source: llama_index/core/retrievers/fusion_retriever.py, llama_index/core/schema.py (TextNode.hash).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check llama-index-core==0.14.25
"$work/venv/bin/python" - <<'PY'
from importlib.metadata import version

from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import BaseRetriever, QueryFusionRetriever
from llama_index.core.schema import NodeWithScore, TextNode

print("llama-index-core", version("llama-index-core"))
MODES = ("reciprocal_rerank", "relative_score", "dist_based_score", "simple")


class Fixed(BaseRetriever):
    """Return the same rows for any question."""

    def __init__(self, *rows, **metadata):
        super().__init__()
        self._rows, self._metadata = rows, metadata

    def _retrieve(self, query):
        made = [TextNode(id_=key, text=text, metadata=self._metadata) for key, text, _ in self._rows]
        return [NodeWithScore(node=node, score=score) for node, (_, _, score) in zip(made, self._rows)]


def fused(mode, *retrievers):
    fusion = QueryFusionRetriever(
        list(retrievers), llm=MockLLM(), mode=mode, num_queries=1, similarity_top_k=10, use_async=False
    )
    return {hit.node.node_id: round(hit.score, 4) for hit in fusion.retrieve("any")}


ROWS = (("answer", "Raise the limit.", 0.95), ("page 1", "MIT License", 0.3), ("page 2", "MIT License", 0.2))
print("(1) one list:", {key: score for key, _, score in ROWS})
repeated = {mode: fused(mode, Fixed(*ROWS)) for mode in MODES}
for mode, found in repeated.items():
    print(f"    {mode:18}", found)
    assert len(found) == 2 and "answer" in found
    assert (next(iter(found)) != "answer") == (mode in ("reciprocal_rerank", "dist_based_score"))

FIRST = (("a", "text a", 0.9), ("b", "text b", 0.8))
SECOND = (("b", "text b", 9.0), ("c", "text c", 8.0))
same = fused("reciprocal_rerank", Fixed(*FIRST), Fixed(*SECOND))
other = fused("reciprocal_rerank", Fixed(*FIRST, source="dense"), Fixed(*SECOND, source="words"))
print("(2) b is in both lists; the same metadata:", same, "- others:", other)
assert next(iter(same)) == "b" and same["b"] == round(1 / 61 + 1 / 60, 4)
assert next(iter(other)) == "a" and other["b"] == round(1 / 60, 4)
PY
