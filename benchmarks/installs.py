"""Install each extra into a clean environment by pip, and ask `ragsearch doctor` there.

    python -m benchmarks.installs [EXTRA ...]      # cpu, st, gpu; "both" is cpu with faiss-gpu beside it

Writes benchmarks/results/installs.md (a table) and prints what doctor says. gpu needs 15 GB of disk.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "installs.md"
EXTRAS = {"cpu": ["[cpu]"], "st": ["[st]"], "gpu": ["[gpu]"], "both": ["[cpu]", "faiss-gpu>=1.15"]}
TELLING = ("torch", "vllm", "sentence-transformers", "faiss-cpu", "faiss-gpu", "onnxruntime")


@dataclass(frozen=True)
class Installed:
    """One environment. doctor: its exit code and findings."""

    extra: str
    seconds: float
    packages: dict[str, str]
    gigabytes: float
    code: int
    findings: list[dict[str, str]]

    def row(self) -> str:
        versions = ", ".join(f"{name} {self.packages[name]}" for name in TELLING if name in self.packages)
        told = [f"{f['check']}: {f['detail']}" for f in self.findings if f["state"] != "ok"]
        said = f"exit {self.code}; " + ("; ".join(told).replace("|", "\\|") or "all ok")
        return (
            f"| `{self.extra}` | {len(self.packages)} | {self.gigabytes:.1f} GB | {self.seconds:.0f} s "
            f"| {versions} | {said} |"
        )


def main() -> None:
    rows = []
    for extra in sys.argv[1:] or EXTRAS:
        with tempfile.TemporaryDirectory(prefix="ragsearch-install-") as folder:
            installed = install(extra, Path(folder))
        rows.append(installed.row())
        print(rows[-1], flush=True)
    head = [
        f"Clean environments, pip, Python {platform.python_version()} on {platform.system()} {platform.machine()}, "
        f"{date.today():%B %Y}; written by `python -m benchmarks.installs`. No card in this machine.",
        "",
        "| extra | packages | size | time | of them | `ragsearch doctor`, what is not ok |",
        "|---|---|---|---|---|---|",
    ]
    RESULT.write_text("\n".join([*head, *rows, ""]), "utf-8")


def install(extra: str, folder: Path) -> Installed:
    """Raises CalledProcessError, with pip's last words on stderr, when the extra cannot be installed."""
    python = folder / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    start = time.monotonic()
    for wanted in EXTRAS[extra]:
        target = f"{ROOT}{wanted}" if wanted.startswith("[") else wanted
        subprocess.run([python, "-m", "pip", "install", "--quiet", target], check=True, cwd=folder)
    seconds = time.monotonic() - start
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], check=True, capture_output=True, text=True)
    packages = {row["name"]: row["version"] for row in json.loads(listed.stdout)}
    files = (path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
    gigabytes = sum(files) / 1e9
    environment = {**os.environ, "RAGSEARCH_CACHE_DIR": str(folder / "cache")}
    command = [python.with_name("ragsearch"), "doctor", "--json", "--index", folder / "index"]
    doctor = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    print(doctor.stderr, file=sys.stderr)
    return Installed(extra, seconds, packages, gigabytes, doctor.returncode, json.loads(doctor.stdout))


if __name__ == "__main__":
    main()
