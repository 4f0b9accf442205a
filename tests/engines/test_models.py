"""Getting a model from a hub: whole files with right digests, or nothing; and nothing without being asked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_search.engines.models.getting import check_files, get_model, read_record
from rag_search.engines.models.hub import ATTEMPTS
from rag_search.engines.models.known import KNOWN_MODELS, known_model
from rag_search.engines.models.local import RECORD, find_folder, find_model
from rag_search.errors import ConfigError, EngineError, ForeignFileError, RagSearchError
from tests.support.hub_server import COMMIT, HubServer, files_of, hub
from tests.support.onnx_models import make_reader, score
from tests.support.project import Run, model_cache, project, run

__all__ = ["model_cache", "project", "run"]

NAME = "tiny-labs/reader"
GRAPH = "onnx/model.onnx"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of ours, and an empty one of huggingface_hub."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setenv("RAGSEARCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def server(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub with a tiny reader, at HF_ENDPOINT."""
    files = files_of(make_reader(tmp_path / "source"))
    files |= {"README.md": b"# Reader\n", "model.safetensors": b"w" * 5000}
    with hub(HubServer(NAME, files)) as served:
        monkeypatch.setenv("HF_ENDPOINT", served.root)
        yield served


def fetched(server: HubServer) -> list[str]:
    return [path.removeprefix("/cdn/") for path, _ in server.asked if path.startswith("/cdn/")]


def test_a_model_is_got_once_and_whole(server: HubServer, cache: Path) -> None:
    """Settings, tokenizer and network, and nothing else; their digests are recorded; the second time asks nobody."""
    seen: dict[str, int] = {}
    folder = get_model(NAME, cache, on_bytes=lambda path, done, _: seen.update({path: done}))
    assert folder == cache / "models" / "tiny-labs--reader" / COMMIT
    wanted = {"config.json", "tokenizer.json", GRAPH}
    assert set(fetched(server)) == wanted
    assert seen == {path: len(server.files[path]) for path in wanted}
    digests = {path: hashlib.sha256(server.files[path]).hexdigest() for path in wanted}
    assert read_record(folder) == digests
    assert check_files(folder) == []
    assert files_of(folder).keys() == wanted | {RECORD}
    before = len(server.asked)
    assert get_model(NAME, cache) == get_model(NAME, cache, offline=True) == folder
    assert len(server.asked) == before


def test_it_can_be_loaded(server: HubServer, cache: Path) -> None:
    from rag_search.rerank.onnx import OnnxReranker

    get_model(NAME, cache)
    reader = OnnxReranker(find_model(NAME, cache).files, name=NAME)
    assert reader.score("redis timeout", ["redis"]).tolist() == pytest.approx(
        score("redis timeout", ["redis"]).tolist()
    )


def test_offline_asks_nobody(server: HubServer, cache: Path) -> None:
    with pytest.raises(EngineError, match="is not on this machine"):
        get_model(NAME, cache, offline=True)
    assert server.asked == []
    assert not cache.exists()


@pytest.mark.parametrize("name", ["", "tokenizer.json", GRAPH])
def test_a_model_that_others_can_change_is_not_believed(server: HubServer, cache: Path, name: str) -> None:
    """A shared cache may hold a folder of another user, or a file that everybody may write to."""
    folder = get_model(NAME, cache)
    (folder / name).chmod(0o777)
    with pytest.raises(ForeignFileError, match="everybody may write"):
        find_model(NAME, cache)


def test_a_connection_that_breaks_is_taken_up(server: HubServer, cache: Path) -> None:
    """The second request asks for the rest, and the file is whole."""
    server.cuts = [1000, 500]
    folder = get_model(NAME, cache)
    asked = [wanted for path, wanted in server.asked if path.startswith("/cdn/") and wanted]
    assert asked == ["bytes=1000-", "bytes=1500-"]
    assert check_files(folder) == []


def test_an_interrupted_command_goes_on(server: HubServer, cache: Path) -> None:
    """What one run has left, the next one keeps."""
    server.cuts = [300] * ATTEMPTS
    with pytest.raises(EngineError, match="cannot be reached") as caught:
        get_model(NAME, cache)
    assert "goes on where it stopped" in caught.value.remedy
    assert find_folder(NAME, cache) is None
    server.asked.clear()
    folder = get_model(NAME, cache)
    assert f"bytes={300 * ATTEMPTS}-" in [wanted for _, wanted in server.asked]
    assert check_files(folder) == []
    assert not list(folder.rglob("*.part"))


def test_a_server_without_ranges_sends_all_again(server: HubServer, cache: Path) -> None:
    server.cuts, server.ranges = [1000], False
    assert check_files(get_model(NAME, cache)) == []


@pytest.mark.parametrize("path", [GRAPH, "config.json"])
def test_another_content_is_refused(server: HubServer, cache: Path, path: str) -> None:
    """A large file has a SHA-256, a small one Git's hash; neither gets its name with a wrong one."""
    sound = server.files[path]
    server.spoilt[path] = sound[:-1] + bytes([sound[-1] ^ 1])
    with pytest.raises(EngineError, match=f"{path} of {NAME} has another digest"):
        get_model(NAME, cache)
    assert find_folder(NAME, cache) is None
    assert not list(cache.rglob("*.part"))
    assert not [found for found in cache.rglob("*") if found.name == Path(path).name]
    server.spoilt.clear()
    assert check_files(get_model(NAME, cache)) == []


def test_an_answer_without_end_is_cut_off(server: HubServer, cache: Path) -> None:
    server.spoilt[GRAPH] = server.files[GRAPH] + b"x" * 100_000
    with pytest.raises(EngineError, match=f"more bytes for {GRAPH} than it announced"):
        get_model(NAME, cache)


def test_paths_of_a_hostile_listing(server: HubServer, cache: Path) -> None:
    """A name that leads out of the folder, and rows of other kinds, are no files."""
    size = {"size": 3, "blobId": "0" * 40}
    names = ["../evil.onnx", "/evil.onnx", "a/../../evil.onnx", "a\\evil.onnx", "\x1b[31m.onnx", "", None, 7]
    server.rows = [None, 3, {}, *({"rfilename": name, **size} for name in names)]
    server.rows += [{"rfilename": "b.onnx", "size": -1, "blobId": "0" * 40}, {"rfilename": "c.onnx", "size": 3}]
    server.rows += [{"rfilename": "d.onnx", "lfs": {"sha256": "short", "size": 3}}]
    assert check_files(get_model(NAME, cache)) == []


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        ((404, b"{}"), "has no model tiny-labs/reader"),
        ((401, b"{}"), "has no model tiny-labs/reader"),
        ((500, b"oops"), "status 500"),
        ((200, b"<html>"), "not JSON"),
        ((200, b"[" * 100_000), "not JSON"),
        ((200, b"[]"), "without commit and files"),
        ((200, b'{"sha": "main", "siblings": []}'), "without commit and files"),
        ((200, b'{"sha": "' + b"a" * 40 + b'", "siblings": []}'), "it has none"),
    ],
)
def test_listings_that_are_none(server: HubServer, cache: Path, listing: tuple[int, bytes], message: str) -> None:
    server.listing = listing
    with pytest.raises(EngineError, match=message):
        get_model(NAME, cache)
    assert not list(cache.rglob("*.onnx"))


def test_a_network_is_chosen_or_named(server: HubServer, cache: Path) -> None:
    server.files = {**server.files, "onnx/model_quantized.onnx": server.files[GRAPH] + b"", "onnx/model_q4.onnx": b"q"}
    get_model(NAME, cache)
    assert "onnx/model_quantized.onnx" in fetched(server)
    with pytest.raises(EngineError, match=r"has no network onnx/none\.onnx: it has onnx/model\.onnx, ") as caught:
        get_model(NAME, cache, graph="onnx/none.onnx")
    assert caught.value.remedy == "Name one with --file."


def test_external_data_comes_along(server: HubServer, cache: Path) -> None:
    server.files = {**server.files, f"{GRAPH}_data": b"d" * 3000, f"{GRAPH}_data_1": b"e", "onnx/other.onnx_data": b"f"}
    assert f"{GRAPH}_data" in read_record(get_model(NAME, cache))
    assert {f"{GRAPH}_data", f"{GRAPH}_data_1"} <= set(fetched(server))
    assert "onnx/other.onnx_data" not in fetched(server)


def test_a_file_that_is_not_the_one_of_the_table(server: HubServer, cache: Path) -> None:
    """The table has size and digest of this revision: a mirror with other bytes is not believed."""
    known = known_model("onnx-community/gte-multilingual-reranker-base")
    assert known is not None
    server.name, server.commit = known.name, known.revision.ljust(40, "0")
    server.files = {**server.files, known.graph: b"x" * 5000}
    with pytest.raises(EngineError, match="is not the file that revision ee64367e had"):
        get_model(known.name, cache)
    assert not fetched(server)


@pytest.mark.parametrize("name", ["reader", "../x/y", "a/b/c", "a/..", "https://x/y", "a b/c", "/tmp/x", ""])
def test_names_that_are_none(cache: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="is not the name of a model"):
        get_model(name, cache)


@pytest.mark.parametrize("endpoint", ["ftp://hub", "http://user:secret@hub", "hub"])
def test_an_endpoint_that_cannot_be_used(cache: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(ConfigError, match="HF_ENDPOINT") as caught:
        get_model(NAME, cache)
    assert "secret" not in str(caught.value)


def test_the_cache_of_huggingface_hub_is_read(tmp_path: Path, cache: Path) -> None:
    """A model that another program has got is used where it lies; a folder of that name here is not."""
    snapshot = tmp_path / "hub-cache" / "models--tiny-labs--reader" / "snapshots" / ("a" * 40)
    make_reader(snapshot)
    assert find_folder(NAME, cache) == snapshot
    assert find_model(NAME, cache).files.tokenizer.parent == snapshot


def test_a_name_never_means_a_folder_here(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout could bring a folder with the name of a model that its user has in the settings."""
    monkeypatch.chdir(tmp_path)
    make_reader(tmp_path / "tiny-labs" / "reader")
    with pytest.raises(EngineError, match="is not on this machine"):
        find_model(NAME, cache)
    assert find_model("./tiny-labs/reader", cache).files.graph.is_file()


def test_a_changed_file_is_found(server: HubServer, cache: Path) -> None:
    folder = get_model(NAME, cache)
    (folder / "config.json").write_text("{}", "utf-8")
    (folder / GRAPH).unlink()
    assert {(problem.path, problem.detail.split(":")[0]) for problem in check_files(folder)} == {
        ("config.json", "its content has changed"),
        (GRAPH, "it cannot be read"),
    }
    with pytest.raises(EngineError, match="was not made by"):
        check_files(cache)


def test_the_table_says_what_is_known_only() -> None:
    """Names are those of a hub, digests are hexadecimal, and a network has a revision."""
    assert len({model.name for model in KNOWN_MODELS}) == len(KNOWN_MODELS) == 6
    for model in KNOWN_MODELS:
        assert known_model(model.name.upper()) is model
        assert bool(model.graph) == bool(model.revision) == bool(model.megabytes)
        for pin in model.pins.values():
            int(pin.sha256, 16)


def test_the_commands(project: Path, server: HubServer, cache: Path, run: Run) -> None:
    """Get, path, verify, list; and verify after a file has changed."""
    assert (run("models", "path", NAME).code, server.asked) == (2, [])
    got = run("models", "get", NAME)
    assert got.code == 0, got.err
    folder = Path(got.out.strip())
    assert f"{GRAPH}: " in got.err
    assert run("models", "path", NAME).out.strip() == str(folder)
    assert json.loads(run("models", "get", NAME, "--json").out) == {"name": NAME, "path": str(folder)}
    verified = run("models", "verify", NAME)
    assert "all digests are right" in verified.out
    assert (verified.code, "puts the right passage first for" in verified.out) == (2, True)  # a few words are no model
    (folder / "config.json").write_text("{}", "utf-8")
    findings = json.loads(run("models", "verify", NAME, "--json").out)
    assert [row["state"] for row in findings if row["check"] == "files"] == ["fail"]
    assert "config.json: its content has changed" in run("models", "verify", NAME).out
    rows = json.loads(run("models", "list", "--json").out)
    assert [row["name"] for row in rows] == [model.name for model in KNOWN_MODELS]
    assert rows[0]["path"] is None
    assert "not here" in run("models", "list").out
    bad = run("models", "get", "nonsense")
    assert (bad.code, "is not the name of a model" in bad.err) == (2, True)


def test_every_error_can_be_printed(server: HubServer, cache: Path) -> None:
    server.listing = (200, b"{}")
    with pytest.raises(RagSearchError) as caught:
        get_model(NAME, cache)
    assert caught.value.remedy
