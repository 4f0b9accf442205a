"""Make the peers' environments: one folder each, with the versions pinned in `requirements-*.txt`.

    python -m benchmarks.peers.setup --envs DIR [NAME ...]

uv is used when it is on the PATH (minutes less), else pip. About 3 GB, most of it torch, five times.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
QMD = "@tobilu/qmd@2.8.3"  # needs Node 22, which requirements-qmd.txt brings


def main() -> None:
    """Make or complete the environments; leave those with the pinned packages alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", type=Path, required=True)
    parser.add_argument("names", nargs="*", help=f"of: {', '.join(names())}")
    arguments = parser.parse_args()
    for name in arguments.names or names():
        _make(arguments.envs.resolve() / name, HERE / f"requirements-{name}.txt")


def names() -> list[str]:
    """Return the names of environments that can be made."""
    return sorted(path.stem.removeprefix("requirements-") for path in HERE.glob("requirements-*.txt"))


def _make(folder: Path, requirements: Path) -> None:
    done = folder / "installed.txt"
    if done.exists() and done.read_text() == requirements.read_text():
        return
    print(f"installing {folder.name}", file=sys.stderr)
    python = folder / "bin" / "python"
    uv = shutil.which("uv")
    if not python.exists():
        subprocess.run([uv, "venv", "-q", folder] if uv else [sys.executable, "-m", "venv", folder], check=True)
    # copies: NLTK, which LlamaIndex uses, refuses to read files that have a second link
    pip = [uv, "pip", "install", "--link-mode=copy", "--python", python] if uv else [python, "-m", "pip", "install"]
    subprocess.run([*pip, "-q", "-r", requirements], check=True)
    if folder.name == "qmd":
        # its database driver ships built; the scripts left out would build the part that runs models
        npm = [folder / "bin" / "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"]
        path = {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run([*npm, "--prefix", folder / "npm", QMD], check=True, env={**os.environ, **path})
    done.write_text(requirements.read_text())


if __name__ == "__main__":
    main()
