"""qmd in its BM25 mode (`qmd search`): SQLite's full-text search, one process a question, no model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.peers.protocol import DEPTH, Job, Variants
from benchmarks.peers.systems.tree import written

ENVIRONMENT = Path(sys.executable).parents[1]
QMD = ENVIRONMENT / "npm" / "node_modules" / ".bin" / "qmd"
SCHEME = "qmd://peers/"


class Search:
    """`qmd collection add`, then `qmd search --json`."""

    def prepare(self, job: Job) -> None:
        pass

    def build(self, job: Job) -> None:
        self._folder = job.folder
        tree, self._ids = written(job)
        self._run("collection", "add", str(tree), "--name", "peers")

    def open(self, job: Job) -> None:
        pass

    def search(self, question: str) -> list[str]:
        found = self._run("search", "--json", "-n", str(DEPTH), "--", question)
        rows = json.loads(found) if found.lstrip().startswith("[") else []  # a sentence when nothing was found
        return [self._ids[row["file"].removeprefix(SCHEME)] for row in rows]

    def _run(self, *arguments: str) -> str:
        home = {"XDG_CACHE_HOME": str(self._folder / "cache"), "XDG_CONFIG_HOME": str(self._folder / "config")}
        path = {"PATH": f"{ENVIRONMENT / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            [str(QMD), *arguments], check=True, capture_output=True, text=True, env={**os.environ, **home, **path}
        )
        return done.stdout


VARIANTS: Variants = {"qmd search (BM25)": Search}
