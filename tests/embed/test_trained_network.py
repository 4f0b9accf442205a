"""The trained network as it is shipped: complete, small, moved but not far, and of use across languages."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from rag_search.embed.builtin.embedder import BuiltinEmbedder
from rag_search.embed.builtin.network import load_network, network_path
from rag_search.embed.builtin.weights import E5File

MAX_BYTES = 25_000_000


def test_file_is_whole_and_small() -> None:
    path = network_path("docs-e5-2")
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    metadata = json.loads(str(arrays.pop("metadata")))
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + arrays[name].tobytes())
    assert digest.hexdigest() == metadata["arrays_sha256"]
    assert path.stat().st_size < MAX_BYTES
    assert "emb.word" not in arrays


def test_every_trained_tensor_comes_from_the_file(e5_file: E5File) -> None:
    with np.load(network_path("docs-e5-2")) as stored:
        own = set(stored.files)
    assert {name for name in e5_file.tensor_names() if name not in own} == {"emb.word", "emb.type"}


def test_training_moved_every_layer_a_little(e5_file: E5File) -> None:
    trained = load_network(e5_file, network_path("docs-e5-2")).tensors
    shipped = load_network(e5_file, network_path("zero-shot")).tensors
    for layer in range(e5_file.shape.layers):
        old, new = shipped[f"l{layer}.q.w"].ravel(), trained[f"l{layer}.q.w"].ravel()
        assert 0.98 < old @ new / np.linalg.norm(old) / np.linalg.norm(new) < 0.99999


@pytest.mark.slow
def test_chinese_questions_find_english_answers(tmp_path: Path) -> None:
    embedder = BuiltinEmbedder(cache_dir=tmp_path, model="docs-e5-2")
    answers = [
        "Timeouts\nSet `timeout` in redis.conf; clients that stay idle longer are disconnected.",
        "Uninstall\nRemove the package with `apt-get remove`, then delete the data folder.",
        "Backups\nA snapshot is written every hour and kept for seven days.",
    ]
    questions = ["Redis 连接超时怎么办", "怎么卸载", "备份保留多久"]
    vectors = embedder.encode_documents(answers).vectors
    assert (embedder.encode_queries(questions).vectors @ vectors.T).argmax(1).tolist() == [0, 1, 2]
