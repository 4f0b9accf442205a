"""The commands of a README, and the environment in which a newcomer types them."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

KEPT = ("LANG", "PIP_", "UV_", "SSL_", "REQUESTS_", "HTTP", "NO_PROXY", "ALL_PROXY")  # how packages are fetched
LISTENS = ("ragsearch serve", "ragsearch ui")
START_S = 120  # a server loads its engine, and the page its libraries


def commands_of(page: Path) -> list[str]:
    """Return the commands of the shell blocks of a page, in order, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [command for line in lines if (command := re.split(r"\s{2,}#", line)[0].strip())]


def clean_environment(home: Path) -> dict[str, str]:
    """Return an environment without settings, whose home is new and empty."""
    kept = {name: value for name, value in os.environ.items() if name.upper().startswith(KEPT)}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    home.mkdir()
    cache = Path.home() / ".cache"  # of downloads: nothing is fetched twice
    caches = {"PIP_CACHE_DIR": str(cache / "pip"), "UV_CACHE_DIR": str(cache / "uv")}
    return {**caches, **kept, "PATH": path, "HOME": str(home), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def activated(env: dict[str, str]) -> dict[str, str]:
    """Return the environment that the last command line has left in ~/environment, as written by `env -0`."""
    content = (Path(env["HOME"]) / "environment").read_text("utf-8")
    return dict(row.split("=", 1) for row in content.split("\0") if row)
