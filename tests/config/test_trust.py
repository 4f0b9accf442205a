"""A checkout chooses nothing that leaks: its addresses, folders and places count after `ragsearch trust` only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rag_search.config import data_dir, load_config, sensitive_in
from rag_search.config.trust import distrust, trust
from rag_search.errors import ConfigError

REMOTE = "[embedder]\nbackend = 'openai'\nurl = 'https://collector.example/v1'\n"
LOCAL = "[embedder]\nbackend = 'openai'\nurl = 'http://127.0.0.1:8101/v1'\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout on a machine without settings of its own; the path is that of the settings file."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "project" / "named-like" / "a-folder").mkdir(parents=True)
    return tmp_path / "project" / "ragsearch.toml"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (REMOTE, "embedder.url"),
        ("[reranker]\nurl = 'http://192.0.2.7/v1'\n", "reranker.url"),
        ("[embedder]\nmodel = './model'\n", "embedder.model"),
        ("[embedder]\nmodel = '/srv/model'\n", "embedder.model"),
        ("[reranker]\nmodel = 'named-like/a-folder'\n", "reranker.model"),
        ("[embedder]\ntokenizer = '~/tokenizer'\n", "embedder.tokenizer"),
        ("cache_dir = './cache'\n", "cache_dir"),
        ("index = '/srv/shared/index'\n", "index"),
        ("index = '../elsewhere'\n", "index"),
        ("[server]\nhost = '0.0.0.0'\n", "server.host"),
        ("[cli]\neditor = 'sh -c date'\n", "cli.editor"),
        ("[cli]\nlinks = 'https://collector.example/{path}'\n", "cli.links"),
        ("[embedder]\nknown_answers = '/dev/zero'\n", "embedder.known_answers"),
        ("[ingest]\nfollow_links = true\n", "ingest.follow_links"),
        ("[ingest]\nfollow_links = 1\n", "ingest.follow_links"),
        ("[ingest]\nfollow_links = 'yes'\n", "ingest.follow_links"),
    ],
)
def test_guarded_settings_need_trust(project: Path, text: str, key: str) -> None:
    """Each is an error that names it, until it is trusted; a change ends the trust, and so does taking it back."""
    project.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=f"not trusted, and sets {key} = ") as caught:
        load_config(cwd=project.parent)
    assert caught.value.remedy.endswith("run: ragsearch trust")
    trust(project, sensitive_in(project), data=data_dir())
    assert load_config(cwd=project.parent).origins[key] == str(project)
    project.write_text(f"{text}[search]\ntop_k = 3\n", "utf-8")  # not what the trust is about
    assert load_config(cwd=project.parent).settings.search.top_k == 3
    project.write_text(f"{text}[server]\nhost = '10.0.0.1'\n".replace("[server]\nhost = '0.0.0.0'\n", ""), "utf-8")
    with pytest.raises(ConfigError, match=r"not trusted.*server\.host = '10\.0\.0\.1'"):
        load_config(cwd=project.parent)
    project.write_text(text, "utf-8")
    load_config(cwd=project.parent)
    distrust(project, data=data_dir())
    with pytest.raises(ConfigError, match="not trusted"):
        load_config(cwd=project.parent)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[server]\nhost = ''\n", "server.host"),
        ("[server]\nhosts = ['rebound.example']\n", "server.hosts"),
        ("[server]\napi_key = 'known to others'\n", "server.api_key"),
        ('index = "./a\\u0000b"\n', "index"),
        ('[embedder]\nknown_answers = "a\\u0000b"\n', "embedder.known_answers"),
        ('cache_dir = "a\\u0000b"\n', "cache_dir"),
    ],
)
def test_names_and_keys_of_a_server_need_trust(project: Path, text: str, key: str) -> None:
    """A page of another site can reach the server by a name or with a key; what cannot be a place is refused, too."""
    project.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=f"not trusted, and sets {key} = "):
        load_config(cwd=project.parent)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[ingest]\nfollow_links = false\n",
        "[server]\nhosts = []\n",
        '[embedder]\nmodel = "a\\u0000b"\n',
        f"[embedder]\nmodel = '{'a' * 300}'\n",
        "index = 'docs'\n",
        "index = './indexes/docs'\n",
        "[search]\ntop_k = 3\n",
        "[embedder]\nmodel = 'zero-shot'\n",
        "[reranker]\nmodel = 'Qwen/Qwen3-Reranker-0.6B'\n",
        LOCAL,
        "[server]\nhost = 'localhost'\n",
        "[cli]\nlinks = 'vscode'\n",
        "[embedder]\nknown_answers = 'answers.json'\n",
    ],
)
def test_other_settings_need_none(project: Path, text: str) -> None:
    project.write_text(text, "utf-8")
    load_config(cwd=project.parent)


def test_a_stronger_layer_replaces_what_is_not_trusted(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a flag or a variable sets instead is the user's own."""
    project.write_text(REMOTE, "utf-8")
    assert load_config({"embedder.url": "http://127.0.0.1:1/v1"}, cwd=project.parent).origins["embedder.url"] == "flag"
    monkeypatch.setenv("RAGSEARCH_TRUST", "1")
    assert load_config(cwd=project.parent).settings.embedder.url == "https://collector.example/v1"


def test_the_users_key_goes_to_the_users_address(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of the user beside an address of the checkout is an error, also for an address of this machine."""
    user = project.parents[1] / "config" / "ragsearch" / "config.toml"
    user.parent.mkdir(parents=True)
    user.write_text("[embedder]\napi_key = 'sk-secret'\n", "utf-8")
    project.write_text(LOCAL, "utf-8")
    with pytest.raises(ConfigError, match=r"would receive embedder\.api_key") as caught:
        load_config(cwd=project.parent)
    assert "sk-secret" not in str(caught.value)
    user.unlink()
    monkeypatch.setenv("RAGSEARCH_EMBEDDER__API_KEY", "sk-secret")
    with pytest.raises(ConfigError, match="would receive"):
        load_config(cwd=project.parent)
    trust(project, sensitive_in(project), data=data_dir())
    assert load_config(cwd=project.parent).settings.embedder.api_key == "sk-secret"
    project.write_text(LOCAL.replace("8101", "8102"), "utf-8")  # another local address is another matter
    with pytest.raises(ConfigError, match="would receive"):
        load_config(cwd=project.parent)
    monkeypatch.setenv("RAGSEARCH_EMBEDDER__URL", "http://127.0.0.1:8101/v1")
    assert load_config(cwd=project.parent).settings.embedder.api_key == "sk-secret"


def test_a_key_of_the_project_goes_to_its_local_address(project: Path) -> None:
    project.write_text(f"{LOCAL}api_key = 'local'\n", "utf-8")
    assert load_config(cwd=project.parent).settings.embedder.api_key == "local"


def test_no_key_of_the_project_goes_to_an_address_of_the_user(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who made the key can see what is sent under it: the account is theirs."""
    monkeypatch.setenv("RAGSEARCH_EMBEDDER__URL", "https://api.example/v1")
    monkeypatch.setenv("RAGSEARCH_EMBEDDER__BACKEND", "openai")
    project.write_text("[embedder]\napi_key = 'sk-theirs'\n", "utf-8")
    with pytest.raises(ConfigError, match=r"its embedder\.api_key would be sent to embedder\.url") as caught:
        load_config(cwd=project.parent)
    assert "sk-theirs" not in str(caught.value)
    trust(project, sensitive_in(project), data=data_dir())
    assert load_config(cwd=project.parent).settings.embedder.api_key == "sk-theirs"
    assert "sk-theirs" not in str(sensitive_in(project))
    project.write_text("[embedder]\napi_key = 'sk-of-another'\n", "utf-8")  # another key is another matter
    with pytest.raises(ConfigError, match="would be sent to"):
        load_config(cwd=project.parent)
    monkeypatch.setenv("RAGSEARCH_EMBEDDER__API_KEY", "sk-mine")
    assert load_config(cwd=project.parent).settings.embedder.api_key == "sk-mine"


def test_the_command_and_the_name_of_the_host(project: Path) -> None:
    """`ragsearch trust` prints what it is about; later commands name the host on stderr, and stdout stays clean."""
    project.write_text(REMOTE, "utf-8")
    refused = ragsearch(project.parent, "config", "show", "--json")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "run: ragsearch trust" in refused.stderr
    once = ragsearch(project.parent, "--trust", "config", "show", "--json")
    assert (once.returncode, "embedder.url is collector.example" in once.stderr) == (0, True)
    assert ragsearch(project.parent, "config", "show").returncode == 2
    trusted = ragsearch(project.parent, "trust")
    assert "embedder.url = 'https://collector.example/v1'" in trusted.stdout
    shown = ragsearch(project.parent, "config", "show", "--json")
    assert (shown.returncode, shown.stderr) == (0, f"embedder.url is collector.example, as {project} says\n")
    assert "trusted" in ragsearch(project.parent, "trust", "--show").stdout
    assert ragsearch(project.parent, "trust", "--remove").returncode == 0
    assert ragsearch(project.parent, "config", "show").returncode == 2


def ragsearch(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder."""
    command = [sys.executable, "-m", "rag_search", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
