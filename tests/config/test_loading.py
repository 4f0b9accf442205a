import os
from dataclasses import is_dataclass
from pathlib import Path
from typing import get_type_hints

import pytest

from rag_search.config import Settings, find_project_file, known_keys, load_config
from rag_search.config.editing import set_in_file
from rag_search.config.settings import PATH_KEYS
from rag_search.engines.base_folder import base_folder
from rag_search.errors import ConfigError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without settings of its own: user config and data under tmp_path."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "config" / "ragsearch").mkdir(parents=True)
    (tmp_path / "project" / "deep").mkdir(parents=True)
    return tmp_path


def write_user(home: Path, text: str) -> Path:
    path = home / "config" / "ragsearch" / "config.toml"
    path.write_text(text, "utf-8")
    return path


def write_project(home: Path, text: str) -> Path:
    path = home / "project" / "ragsearch.toml"
    path.write_text(text, "utf-8")
    return path


def test_each_layer_wins_over_the_ones_below(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = write_user(home, "[search]\ntop_k = 1\ncandidates = 11\nmin_score = 0.1\n[ingest]\nmax_tokens = 64\n")
    project = write_project(home, "[search]\ntop_k = 2\ncandidates = 12\nmin_score = 0.2\n")
    monkeypatch.setenv("RAGSEARCH_SEARCH__TOP_K", "3")
    monkeypatch.setenv("RAGSEARCH_SEARCH__CANDIDATES", "13")
    config = load_config({"search.top_k": 4, "search.candidates": None}, cwd=home / "project" / "deep")
    search = config.settings.search
    assert (search.top_k, search.candidates, search.min_score) == (4, 13, 0.2)
    assert config.settings.ingest.max_tokens == 64
    assert config.origins == {
        "search.top_k": "flag",
        "search.candidates": "RAGSEARCH_SEARCH__CANDIDATES",
        "search.min_score": str(project),
        "ingest.max_tokens": str(user),
    }


@pytest.mark.parametrize("text", ["[search]\ntopk = 3\n", "profil = 'gpu'\n", "[serch]\ntop_k = 3\n", "search = 3\n"])
def test_an_unknown_key_is_an_error_with_a_suggestion(home: Path, text: str) -> None:
    path = write_project(home, text)
    with pytest.raises(ConfigError, match="unknown setting") as raised:
        load_config(cwd=path.parent)
    assert str(path) in raised.value.message
    assert "Did you mean" in raised.value.remedy or "config show" in raised.value.remedy


def test_what_resembles_no_key_is_to_be_taken_out(home: Path) -> None:
    write_project(home, "zzz = 1\n")
    with pytest.raises(ConfigError) as raised:
        load_config(cwd=home / "project")
    assert raised.value.remedy.startswith("Remove it")


def test_an_unknown_variable_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSEARCH_SEARCH__TOPK", "3")
    with pytest.raises(ConfigError) as raised:
        load_config(cwd=home)
    assert raised.value.remedy == "Did you mean RAGSEARCH_SEARCH__TOP_K?"


@pytest.mark.parametrize("text", ["[search]\ntop_k = 0\n", "[search]\ntop_k = 'many'\n", "profile = 'tpu'\n"])
def test_a_bad_value_names_key_and_file(home: Path, text: str) -> None:
    path = write_project(home, text)
    with pytest.raises(ConfigError, match=r"setting '(search\.top_k|profile)'") as raised:
        load_config(cwd=path.parent)
    assert str(path) in raised.value.message
    assert raised.value.remedy == "Correct or remove it."  # config show reads the settings, too


def test_broken_toml_names_the_file(home: Path) -> None:
    path = write_project(home, "[search\n")
    with pytest.raises(ConfigError, match="cannot be read") as raised:
        load_config(cwd=path.parent)
    assert str(path) in raised.value.message


@pytest.mark.parametrize(
    "text",
    [
        f"[search]\ntop_k = {'9' * 5000}\n",
        f"a = {'[' * 5000}{']' * 5000}\n",
        f"a = {'{a = ' * 3000}\n",
        f"{'.'.join('a' * 900)} = 1\n",
        f"{'-.' * 500_000}x = 1\n",
        'index = ".."\n',
        'index = ""\n',
        'index = "a\\u0000b"\n',
        "index = ['a']\n",
        "[embedder]\ntimeout_s = inf\n",
        "[server]\nqueue_timeout_s = 1e300\n",
        "[server]\nmax_body_mb = inf\n",
        "[server]\nworkers = 1000000000000\n",
        "[ingest]\nmax_file_mb = inf\n",
        "[search]\nmin_score = nan\n",
    ],
)
def test_hostile_values_are_one_error(home: Path, text: str) -> None:
    """Numbers without an end, tables without a bottom, and names that are other folders."""
    path = write_project(home, text)
    with pytest.raises(ConfigError, match=r"setting|cannot be read") as caught:
        load_config(cwd=home / "project")
    assert str(path) in str(caught.value)
    assert caught.value.remedy


def test_a_number_without_an_end_is_set_as_text(home: Path) -> None:
    """It is not TOML that can be read, and no number of results."""
    with pytest.raises(ConfigError, match=r"search\.top_k cannot be"):
        set_in_file(home / "project" / "ragsearch.toml", "search.top_k", "9" * 5000)


def test_a_file_with_a_key_is_closed_to_others(home: Path) -> None:
    """It keeps the permissions that it has, loses those of others with a key, and no link is followed."""
    path = home / "config" / "ragsearch" / "config.toml"
    set_in_file(path, "search.top_k", "3")
    path.chmod(0o644)
    set_in_file(path, "embedder.api_key", "sk-secret")
    assert path.stat().st_mode & 0o777 == 0o600
    for number in range(os.getpid() - 2, os.getpid() + 3):
        path.with_name(f".{path.name}.{number}").symlink_to(home / "precious")
    set_in_file(path, "search.top_k", "4")
    assert path.stat().st_mode & 0o777 == 0o600
    assert not (home / "precious").exists()
    assert path.read_text("utf-8") == '[search]\ntop_k = 4\n\n[embedder]\napi_key = "sk-secret"\n'


def test_a_secret_is_never_printed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSEARCH_RERANKER__API_KEY", "hunter2")
    assert "hunter2" not in repr(load_config(cwd=home).settings)


@pytest.mark.parametrize("section", ["embedder", "reranker", "server"])
def test_a_key_loses_its_line_end(home: Path, monkeypatch: pytest.MonkeyPatch, section: str) -> None:
    """A key that no header can carry is refused."""
    variable = f"RAGSEARCH_{section.upper()}__API_KEY"
    monkeypatch.setenv(variable, " schlüssel\r\n")
    assert getattr(load_config(cwd=home).settings, section).api_key == "schlüssel"
    for key in ("hunter2\nhunter2", "hunter2\x1b[2J", "hunter2\udcff", " \n"):
        monkeypatch.setenv(variable, key)
        with pytest.raises(ConfigError, match=rf"{section}\.api_key.*{variable}") as caught:
            load_config(cwd=home)
        assert "hunter" not in str(caught.value)


@pytest.mark.parametrize("section", ["embedder", "reranker"])
def test_an_address_is_put_right_or_refused(home: Path, monkeypatch: pytest.MonkeyPatch, section: str) -> None:
    variable = f"RAGSEARCH_{section.upper()}__URL"
    monkeypatch.setenv(variable, " http://127.0.0.1:8101/v1/ ")
    assert getattr(load_config(cwd=home).settings, section).url == "http://127.0.0.1:8101/v1"
    for url in ("127.0.0.1:8101", "http://127.0.0.1:81o1/v1", "http://h:99999", "http://a b/v1", "http://[::1/v1"):
        monkeypatch.setenv(variable, url)
        with pytest.raises(ConfigError, match=rf"{section}\.url.*{variable}"):
            load_config(cwd=home)


def test_an_address_with_a_password_is_refused_and_not_printed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSEARCH_EMBEDDER__URL", "https://user:hunter2@h/v1")
    with pytest.raises(ConfigError, match=r"embedder\.url.*api_key") as caught:
        load_config(cwd=home)
    assert "hunter2" not in str(caught.value)


def test_a_database_is_an_address_of_its_own_kind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules of HTTP do not hold for it; user and password are never printed."""
    monkeypatch.setenv("RAGSEARCH_STORE__URL", "postgresql://me:secret@db.example/search")
    config = load_config(cwd=home / "project")
    assert config.settings.store.url == "postgresql://me:secret@db.example/search"
    assert config.index_place == "postgresql://db.example/search (default)"


def test_place_of_the_index(home: Path) -> None:
    """It is beside the project file, else in the data folder: under its name, without one under the project's."""
    assert load_config(cwd=home).index_dir.parent.parent == home / "data" / "ragsearch" / "projects"
    assert load_config({"index": "default"}, cwd=home).index_dir == home / "data" / "ragsearch" / "indexes" / "default"
    write_project(home, "index = 'docs'\n")
    inside = load_config(cwd=home / "project" / "deep")
    assert inside.index_dir == home / "project" / "indexes" / "docs"
    assert base_folder(inside) == home / "project"
    assert load_config({"index": str(home / "elsewhere")}, cwd=home).index_dir == home / "elsewhere"


def test_paths_are_meant_from_the_file_they_stand_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_user(home, "[embedder]\nknown_answers = 'mine.json'\n")
    write_project(home, "index = './store/docs'\ncache_dir = '../cache'\n[reranker]\nknown_answers = '~/r.json'\n")
    monkeypatch.setenv("HOME", str(home / "me"))
    for folder in (home / "project", home / "project" / "deep"):
        monkeypatch.chdir(folder)
        config = load_config(trusting=True)
        assert config.index_dir == home / "project" / "store" / "docs"
        assert config.settings.cache_dir.resolve() == home / "cache"
        assert config.settings.embedder.known_answers == home / "config" / "ragsearch" / "mine.json"
        assert config.settings.reranker.known_answers == home / "me" / "r.json"
        monkeypatch.setenv("RAGSEARCH_CACHE_DIR", "~/cache")
        config = load_config({"index": "./here"}, trusting=True)
        assert config.index_dir == folder / "here"
        assert config.settings.cache_dir == home / "me" / "cache"
        monkeypatch.delenv("RAGSEARCH_CACHE_DIR")


def test_every_setting_that_is_a_path_is_known_as_one() -> None:
    sections = get_type_hints(Settings)
    found = {name for name, kind in sections.items() if kind is Path}
    for name, kind in sections.items():
        if is_dataclass(kind):
            found |= {f"{name}.{key}" for key, inner in get_type_hints(kind).items() if inner in (Path, Path | None)}
    assert found == PATH_KEYS


def test_the_nearest_project_file_counts(home: Path) -> None:
    outer = write_project(home, "")
    assert find_project_file(home / "project" / "deep") == outer
    inner = home / "project" / "deep" / "ragsearch.toml"
    inner.write_text("")
    assert find_project_file(home / "project" / "deep") == inner


def test_every_key_is_dotted_once_at_most() -> None:
    assert {"profile", "search.top_k", "server.port"} <= set(known_keys())
