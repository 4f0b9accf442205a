"""The command line in another process, as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def ragsearch(project: Path, *args: str, timeout_s: float = 200, **variables: str) -> subprocess.CompletedProcess[str]:
    """`ragsearch ARGS` in the folder `project`, whose settings are believed; variables: on top of the environment."""
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "XDG_CONFIG_HOME": str(project / "none")}
    environment |= {"RAGSEARCH_TRUST": "1", **variables}
    command = [sys.executable, "-m", "rag_search.cli.app", *args]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=timeout_s)
