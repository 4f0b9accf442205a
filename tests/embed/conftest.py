from __future__ import annotations

from pathlib import Path

import pytest

from rag_search.embed.builtin.convert import Converted, ensure_converted
from rag_search.embed.builtin.embedder import BuiltinEmbedder
from rag_search.embed.builtin.network import network_path
from rag_search.embed.builtin.tokenizer import E5Tokenizer
from rag_search.embed.builtin.weights import E5File, find_weights


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model-cache")


@pytest.fixture(scope="session")
def converted(model_cache: Path) -> Converted:
    return ensure_converted(model_cache, find_weights(), network_path("zero-shot"))


@pytest.fixture(scope="session")
def e5_file() -> E5File:
    return E5File(find_weights())


@pytest.fixture(scope="session")
def tokenizer(e5_file: E5File, converted: Converted) -> E5Tokenizer:
    return E5Tokenizer(e5_file, converted.table)


@pytest.fixture(scope="session")
def embedder(model_cache: Path) -> BuiltinEmbedder:
    return BuiltinEmbedder(cache_dir=model_cache, threads=2)
