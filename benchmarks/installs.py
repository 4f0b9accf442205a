"""Install each extra into a clean environment with uv, and run `ragsearch doctor` there.

    python -m benchmarks.installs [EXTRA ...]      # cpu, st, gpu; "cpu beside gpu" is cpu and then faiss-gpu

Needs the command `uv`. Writes benchmarks/results/installs.md (a table). gpu needs 30 GB of disk for a while.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "installs.md"
EXTRAS = {"cpu": ["[cpu]"], "st": ["[st]"], "cpu beside gpu": ["[cpu]", "faiss-gpu>=1.15"], "gpu": ["[gpu]"]}
TELLING = ("torch", "vllm", "sentence-transformers", "faiss-cpu", "faiss-gpu", "onnxruntime")


@dataclass(frozen=True)
class Installed:
    """One environment. code, findings: of `ragsearch doctor`."""

    extra: str
    packages: dict[str, str]
    gigabytes: float
    code: int
    findings: list[dict[str, str]]

    def row(self) -> str:
        """Return the row of the table."""
        versions = ", ".join(f"{name} {self.packages[name]}" for name in TELLING if name in self.packages)
        told = [f"{f['check']}: {f['detail']}" for f in self.findings if f["state"] == "fail"]
        said = f"exit {self.code}; " + ("; ".join(told).replace("|", "\\|") or "nothing fails")
        return f"| `{self.extra}` | {len(self.packages)} | {self.gigabytes:.1f} GB | {versions} | {said} |"


def main() -> None:
    """Install each extra in a new environment and write the table."""
    lines = [
        f"Clean environments, nothing cached, {platform.system()} {platform.machine()} without a card, Python "
        f"{platform.python_version()}, {date.today():%B %Y}; written by `python -m benchmarks.installs`.",
        "",
        "| extra | packages | size | of them | `ragsearch doctor` |",
        "|---|---|---|---|---|",
    ]
    for extra in sys.argv[1:] or EXTRAS:
        with tempfile.TemporaryDirectory(prefix="ragsearch-install-") as folder:
            lines.append(install(extra, Path(folder)).row())
        print(lines[-1], flush=True)
        RESULT.write_text("\n".join([*lines, ""]), "utf-8")


def install(extra: str, folder: Path) -> Installed:
    """Install an extra into a new environment and run doctor there.

    Raises:
        CalledProcessError: with uv's last words on stderr, if the extra cannot be installed.
    """
    environment = {
        **os.environ,
        "UV_CACHE_DIR": str(folder / "downloads"),
        "RAGSEARCH_CACHE_DIR": str(folder / "cache"),
    }
    python = folder / "venv" / "bin" / "python"

    def run(*command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=folder, env=environment, check=check, stdout=subprocess.PIPE, text=True)

    run("uv", "venv", "--quiet", "--python", sys.executable, folder / "venv")
    for wanted in EXTRAS[extra]:
        target = f"{ROOT}{wanted}" if wanted.startswith("[") else wanted
        run("uv", "pip", "install", "--quiet", "--python", python, target)
    listed = json.loads(run("uv", "pip", "list", "--python", python, "--format=json").stdout)
    size = sum(path.lstat().st_size for path in (folder / "venv").rglob("*") if not path.is_dir())
    doctor = run(python.with_name("ragsearch"), "doctor", "--json", "--index", folder / "index", check=False)
    packages = {row["name"]: row["version"] for row in listed}
    return Installed(extra, packages, size / 1e9, doctor.returncode, json.loads(doctor.stdout))


if __name__ == "__main__":
    main()
