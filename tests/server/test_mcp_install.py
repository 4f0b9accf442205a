"""`ragsearch mcp install` enters the server and keeps everything else."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from rag_search.errors import InputError
from rag_search.runtime.json_comments import without_comments
from rag_search.server.mcp_install import AGENTS, install


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path / "home"


@pytest.mark.parametrize("agent", AGENTS)
def test_every_agent_gets_a_command(home: Path, tmp_path: Path, agent: str) -> None:
    """The file is made with its folder, private to the user, and a second time changes nothing."""
    index, project = tmp_path / "an index", tmp_path / "project"
    file = install(agent, index=index, project=project)
    assert file.is_relative_to(project if AGENTS[agent].in_project else home)
    assert file.stat().st_mode & 0o777 == 0o600
    content = file.read_text("utf-8")
    settings = tomllib.loads(content) if file.suffix == ".toml" else json.loads(content)
    server = settings[AGENTS[agent].key]["ragsearch"]
    assert server["args"] == ["mcp", "--index", str(index)]
    assert Path(server["command"]).name == "ragsearch"
    install(agent, index=index, project=project)
    assert file.read_text("utf-8") == content


def test_other_settings_stay(home: Path, tmp_path: Path) -> None:
    """Other servers and keys, in JSON and in TOML with comments."""
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir(parents=True)
    others = {"theme": "深色", "mcpServers": {"git": {"command": "git-mcp"}, "ragsearch": {"command": "old"}}}
    file.write_text(json.dumps(others), "utf-8")
    install("cursor", index=tmp_path, project=tmp_path)
    settings = json.loads(file.read_text("utf-8"))
    assert settings["theme"] == "深色"
    assert settings["mcpServers"]["git"] == {"command": "git-mcp"}
    assert settings["mcpServers"]["ragsearch"]["args"][0] == "mcp"
    file = home / ".codex" / "config.toml"
    file.parent.mkdir()
    file.write_text(
        '# mine\nmodel = "x"\n\n[mcp_servers.ragsearch]\ncommand = "old"\n\n[mcp_servers.git]\ncommand = "g"\n'
    )
    install("codex", index=tmp_path, project=tmp_path)
    content = file.read_text("utf-8")
    assert content.startswith('# mine\nmodel = "x"\n')
    assert content.count("[mcp_servers.ragsearch]") == 1
    assert tomllib.loads(content)["mcp_servers"]["git"] == {"command": "g"}


COMMENTED = {
    '{\n  // mine\n  "mcpServers": {\n    "git": {"command": "git-mcp"}, // "ragsearch": {}\n  },\n}\n': {"git"},
    '{ /* none */ "mcpServers": {} }': set(),
    '// mine\n{"url": "http://a.example/*x", "n": [{"mcpServers": {"x": 1}}],}': set(),
    "{\n  // nothing yet\n}": set(),
}


@pytest.mark.parametrize("content", COMMENTED)
def test_comments_stay(home: Path, tmp_path: Path, content: str) -> None:
    """Editors take comments and commas at the end of a list; every line that was there is there afterwards."""
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir(parents=True)
    file.write_text(content, "utf-8")
    install("cursor", index=tmp_path, project=tmp_path)
    changed = file.read_text("utf-8")
    position = 0
    for char in content:  # nothing but the entry was added
        position = changed.index(char, position) + 1
    servers = json.loads(without_comments(changed))["mcpServers"]
    assert servers.keys() == COMMENTED[content] | {"ragsearch"}
    assert servers["ragsearch"]["args"][0] == "mcp"
    with pytest.raises(InputError, match="has comments, and an entry 'ragsearch'"):
        install("cursor", index=tmp_path, project=tmp_path)


@pytest.mark.parametrize("content", ["{nonsense", "[1]", '{"mcpServers": 5}', "\ufeff{}x"])
def test_a_file_that_cannot_be_read_stays(home: Path, tmp_path: Path, content: str) -> None:
    """The error says what to add by hand."""
    file = home / ".cursor" / "mcp.json"
    file.parent.mkdir(parents=True)
    file.write_text(content, "utf-8")
    with pytest.raises(InputError, match=r"mcp\.json cannot be changed") as error:
        install("cursor", index=tmp_path, project=tmp_path)
    assert '"ragsearch": {"command": ' in error.value.remedy
    assert file.read_text("utf-8") == content
