"""One set of checkpoints and one set of real servers for all tests of this folder.

They need vLLM and the tokenizer of Qwen3. `.ci/vllm.sh` installs the one, fetches the other into the folder that
QWEN3_TOKENIZER names, and takes the tables of VLLM_FINDINGS; without them the tests skip and say why.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rag_search.engines.known_answers import load_answers

if TYPE_CHECKING:
    from tests.vllm.findings import Findings
    from tests.vllm.reference import Reference
    from tests.vllm.servers import Server


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer = os.environ.get("QWEN3_TOKENIZER")
    if tokenizer is None or importlib.util.find_spec("vllm") is None:
        pytest.skip("needs vLLM and the tokenizer of Qwen3: run .ci/vllm.sh")
    from tests.vllm.checkpoints import make_all

    folder = tmp_path_factory.mktemp("checkpoints")
    make_all(folder, Path(tokenizer))
    return folder


@pytest.fixture(scope="session")
def findings() -> Iterator[Findings]:
    """Where tests note what they measure; written to the file that VLLM_FINDINGS names."""
    from tests.vllm.findings import Findings

    noted = Findings()
    yield noted
    if os.environ.get("VLLM_FINDINGS"):
        Path(os.environ["VLLM_FINDINGS"]).write_text(noted.markdown(), "utf-8")


@pytest.fixture(scope="session")
def reference(checkpoints: Path) -> Reference:
    from tests.vllm.reference import Reference

    return Reference(checkpoints)


@pytest.fixture(scope="session")
def answers(reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of known answers for both tiny models, made with transformers."""
    folder, pairs = tmp_path_factory.mktemp("answers"), load_answers()
    matrices = {
        "embedder": reference.queries(pairs.queries) @ reference.vectors(pairs.passages).T,
        "reranker": [reference.scores(query, pairs.passages) for query in pairs.queries],
    }
    for name, matrix in matrices.items():
        rows = [[float(value) for value in row] for row in matrix]
        (folder / f"{name}.json").write_text(json.dumps({"matrix": rows}), "utf-8")
    return {name: folder / f"{name}.json" for name in matrices}


@pytest.fixture(scope="session")
def servers(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    from tests.vllm.servers import plan, running

    folder = tmp_path_factory.mktemp("servers")
    with running(plan(checkpoints, folder), folder) as started:
        yield started


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """What a child process that runs vLLM on a CPU needs."""
    from tests.vllm.servers import ENVIRONMENT

    return {**ENVIRONMENT, "PYTHONPATH": str(Path.cwd())}
