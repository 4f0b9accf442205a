"""The MCP tools in this process, through the SDK's own client: hostile requests get sentences, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the mcp extra is not installed")

import mcp

from rag_search.config import Config, load_config
from rag_search.server.live_searcher import LiveSearcher
from rag_search.server.mcp import make_mcp
from tests.server.conftest import write_index
from tests.support.fakes import OverlapReranker, WordEmbedder


class Tools:
    """Calls tools, each in a session of its own."""

    def __init__(self, live_searcher: LiveSearcher) -> None:
        self._server = make_mcp(live_searcher)

    def call(self, name: str, **arguments: Any) -> Mapping[str, Any]:
        answer = self._call(name, arguments)
        assert not answer.is_error, answer.content
        return answer.structured_content  # type: ignore[no-any-return]

    def error(self, name: str, **arguments: Any) -> str:
        answer = self._call(name, arguments)
        assert answer.is_error
        return str(answer.content[0].text)

    def schemas(self) -> Mapping[str, Mapping[str, Any]]:
        async def listed() -> Any:
            async with mcp.Client(self._server) as client:
                return await client.list_tools()

        return {tool.name: tool.input_schema["properties"] for tool in asyncio.run(listed()).tools}

    def _call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        async def called() -> Any:
            async with mcp.Client(self._server) as client:
                return await client.call_tool(name, dict(arguments))

        return asyncio.run(asyncio.wait_for(called(), 30))


@pytest.fixture
def config(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(tmp_path)
    return load_config({"cache_dir": str(tmp_path / "cache")}, cwd=tmp_path)


@pytest.fixture
def tools(config: Config, folder: Path) -> Iterator[Tools]:
    write_index(config, folder, WordEmbedder())
    engine = LiveSearcher(config, WordEmbedder(), OverlapReranker())
    yield Tools(engine)
    engine.close()


def test_tools_answer(tools: Tools) -> None:
    (hit,) = tools.call("search", query="redis connection timeout", top_k=1)["hits"]
    assert (hit["path"], hit["score"]) == ("docs/redis.md", 1.0)
    document = tools.call("get_document", path=hit["path"])
    assert (document["title"], hit["text"] in document["text"]) == ("Redis", True)
    assert tools.call("status")["documents"] == 2


def test_search_is_as_the_settings_say(folder: Path, tmp_path: Path) -> None:
    for settings, found in (({"search.top_k": 1}, 1), ({"search.min_score": 2.0}, 0), ({"search.top_k": 500}, 2)):
        config = load_config({**settings, "cache_dir": str(tmp_path / "cache")}, cwd=tmp_path)
        write_index(config, folder, WordEmbedder())
        engine = LiveSearcher(config, WordEmbedder(), OverlapReranker())
        assert len(Tools(engine).call("search", query="redis pg_dump")["hits"]) == found
        engine.close()


def test_schemas_name_limits_and_explain_every_field(tools: Tools) -> None:
    schemas = tools.schemas()
    assert set(schemas) == {"search", "get_document", "status"}
    assert (schemas["search"]["top_k"]["minimum"], schemas["search"]["top_k"]["maximum"]) == (1, 100)
    assert all("description" in field for fields in schemas.values() for field in fields.values())


@pytest.mark.parametrize("top_k", [0, -1, 101, 10**30])
def test_a_top_k_out_of_range_is_refused(tools: Tools, top_k: int) -> None:
    said = f"Error executing tool search: top_k is {top_k}. Ask for 1 to 100 passages."
    assert tools.error("search", query="redis", top_k=top_k) == said


@pytest.mark.parametrize("query", ["", " ", "[for beginners]", "\x00", "x" * 20_001])
def test_a_query_that_cannot_be_searched_is_refused(tools: Tools, query: str) -> None:
    said = tools.error("search", query=query)
    assert said.startswith("Error executing tool search: the query ")
    assert len(said) < 200


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../../../../etc/passwd",
        "docs/../docs/redis.md",
        "docs/../../secret.md",
        "docs/secret.md",
        "ragsearch.toml",
        "docs",
        "",
        ".",
        "docs/redis.md\x00",
        "file:///etc/passwd",
        "docs\\redis.md",
        "%2e%2e/etc/passwd",
        "\x1b[31mred",
        "x" * 100_000,
    ],
)
def test_only_indexed_documents_are_read(tools: Tools, folder: Path, path: str) -> None:
    (folder / "secret.md").write_text("# Secret\n\nnot indexed\n", "utf-8")
    said = tools.error("get_document", path=path)
    assert "is not an indexed document. Give the `path` of a search result." in said
    assert "\x1b" not in said
    assert len(said) < 400


def test_a_file_that_left_the_folder_is_still_what_was_indexed(tools: Tools, folder: Path) -> None:
    (folder / "redis.md").unlink()
    (folder / "redis.md").symlink_to("/etc/passwd")
    assert tools.call("get_document", path="docs/redis.md")["title"] == "Redis"


def test_without_an_index_every_tool_says_how_to_make_one(config: Config) -> None:
    engine = LiveSearcher(config, WordEmbedder(), OverlapReranker())
    tools = Tools(engine)
    for name, arguments in (("search", {"query": "x"}), ("get_document", {"path": "x"}), ("status", {})):
        assert "ragsearch ingest" in tools.error(name, **arguments)
