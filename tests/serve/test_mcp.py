"""The MCP tools through the SDK's own client, over stdio."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="the mcp extra is not installed")

from mcp import ClientSession, StdioServerParameters, stdio_client

from tests.cli.conftest import Run, model_cache, project, run

__all__ = ["model_cache", "project", "run"]  # fixtures


@pytest.mark.slow
def test_tools_over_stdio(project: Path, run: Run) -> None:
    assert run("ingest", "docs").code == 0
    asyncio.run(asyncio.wait_for(_use_tools(), 60))


async def _use_tools() -> None:
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "rag_search.cli.app", "mcp"], env=dict(os.environ)
    )
    async with stdio_client(parameters) as (reading, writing), ClientSession(reading, writing) as session:
        await session.initialize()
        assert {tool.name for tool in (await session.list_tools()).tools} == {"search", "get_document", "status"}
        found = await session.call_tool("search", {"query": "如何解决Redis连接超时", "top_k": 1})
        assert "docs/redis.md" in str(found.content)
        document = await session.call_tool("get_document", {"path": "docs/redis.md"})
        assert "maxWaitMillis" in str(document.content)
        assert "documents" in str((await session.call_tool("status", {})).content)
