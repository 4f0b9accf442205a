"""Enter the MCP server into the settings of an agent, beside what is there."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_search.errors import InputError
from rag_search.runtime.files import write_atomically
from rag_search.runtime.foreign_json import parse_json
from rag_search.runtime.json_comments import with_entry

NAME = "ragsearch"


@dataclass(frozen=True, slots=True)
class Agent:
    """Where an agent keeps its servers.

    file: from the home folder, or from the project with `in_project`. key: the object of all servers.
    """

    file: str
    key: str = "mcpServers"
    in_project: bool = False


AGENTS = {
    "claude-code": Agent(".mcp.json", in_project=True),
    "claude-desktop": Agent("Claude/claude_desktop_config.json"),
    "codex": Agent(".codex/config.toml", key="mcp_servers"),
    "cursor": Agent(".cursor/mcp.json"),
    "gemini": Agent(".gemini/settings.json"),
    "qwen": Agent(".qwen/settings.json"),
    "vscode": Agent(".vscode/mcp.json", key="servers", in_project=True),
    "windsurf": Agent(".codeium/windsurf/mcp_config.json"),
}


def install(agent: str, *, index: Path, project: Path) -> Path:
    """Enter the server under the name `ragsearch` and return the file that was changed.

    agent: a key of AGENTS. index: folder of the index that the agent searches. project: for agents with a file in it.
    Raises InputError if the file cannot be read or written; it is then unchanged.
    """
    chosen = AGENTS[agent]
    file = (project if chosen.in_project else _home(agent)) / chosen.file
    server = {"command": _command(), "args": ["mcp", "--index", str(index)]}
    try:
        content = file.read_text("utf-8") if file.exists() else ""
        text = _with_toml(content, server) if file.suffix == ".toml" else _with_json(content, chosen.key, server)
        mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
        write_atomically(file.resolve(), text.encode("utf-8"), mode=mode)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(
            f"{file} cannot be changed: {error}.", remedy=f"Add this to it by hand: {json.dumps({NAME: server})}"
        ) from error
    return file


def _home(agent: str) -> Path:
    """Return the folder that the files of an agent are in."""
    if agent != "claude-desktop":
        return Path.home()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    roaming = os.environ.get("APPDATA") if sys.platform == "win32" else os.environ.get("XDG_CONFIG_HOME")
    return Path(roaming) if roaming else Path.home() / ".config"


def _command() -> str:
    """Return the path of the command: agents start it without the user's PATH."""
    beside = Path(sys.executable).with_name("ragsearch")
    return str(beside) if beside.exists() else shutil.which("ragsearch") or "ragsearch"


def _with_json(content: str, key: str, server: dict[str, Any]) -> str:
    """Return the settings with the server, comments kept. Raises ValueError for what is not a JSON object."""
    try:
        settings = parse_json(content) if content.strip() else {}
    except ValueError:
        return with_entry(content, key, NAME, server)
    if not isinstance(settings, dict) or not isinstance(settings.setdefault(key, {}), dict):
        raise ValueError(f"it is not an object with an object {key!r}")  # noqa: TRY004 - as of JSON that is not valid
    settings[key][NAME] = server
    return json.dumps(settings, ensure_ascii=False, indent=2) + "\n"


def _with_toml(content: str, server: dict[str, Any]) -> str:
    """Return the settings with the server. An entry that is there is replaced; the rest stays as it is written."""
    lines = _without_table(content.split("\n"), f"[mcp_servers.{NAME}]")
    table = [
        f"[mcp_servers.{NAME}]",
        f"command = {json.dumps(server['command'])}",
        f"args = {json.dumps(server['args'])}",
    ]
    text = "\n".join([*lines, *([""] if lines else []), *table, ""])
    tomllib.loads(text)
    return text


def _without_table(lines: Sequence[str], head: str) -> list[str]:
    """Return the lines without a table, and without blank lines at the end."""
    kept, inside = [], False
    for line in lines:
        inside = line.strip() == head or (inside and not line.lstrip().startswith("["))
        if not inside:
            kept.append(line)
    while kept and not kept[-1].strip():
        kept.pop()
    return kept
