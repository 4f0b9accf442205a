"""Several real vLLM servers from one import: importing vLLM takes most of a server's start, so import once and fork.

    python -m tests.vllm.launcher SPEC.json

SPEC: [{"log": PATH, "args": [...]}, ...], the arguments of `python -m vllm.entrypoints.openai.api_server`. Prints the
process id of each, one a line, and waits for them.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path

import vllm.platforms
from vllm.config import VllmConfig
from vllm.entrypoints.launchers.api_server.entry import main as run_server
from vllm.model_executor.models import ModelRegistry
from vllm.model_executor.models.qwen3 import Qwen3ForCausalLM
from vllm.platforms.cpu import CpuPlatform

WARM = (
    "vllm.model_executor.models.adapters",
    "vllm.v1.engine.async_llm",
    "vllm.v1.worker.cpu_worker",
    "vllm.v1.worker.mamba_utils",
)


class ForkingPlatform(CpuPlatform):
    """The CPU platform; its engine process is forked too, where vLLM would spawn one that imports all over again."""

    @classmethod
    def check_and_update_config(cls, vllm_config: VllmConfig) -> None:
        super().check_and_update_config(vllm_config)
        os.environ["VLLM_WORKER_MULTIPROC_METHOD"] = "fork"


def serve(args: list[str], log: str) -> None:
    """What vLLM's own entry point does, with its output in `log`. Never returns."""
    os.setsid()  # so that a kill of the group ends its engine process too
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.argv = ["api_server", *args]
    run_server()
    os._exit(0)


def main() -> None:
    vllm.platforms.current_platform = ForkingPlatform()
    for name in WARM:
        importlib.import_module(name)
    ModelRegistry.register_model("Qwen3ForCausalLM", Qwen3ForCausalLM)  # else each server asks another process about it
    children = []
    for spec in json.loads(Path(sys.argv[1]).read_text("utf-8")):
        child = os.fork()
        if child == 0:
            serve(spec["args"], spec["log"])
        children.append(child)
        print(child, flush=True)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
