"""`ragsearch mcp` as a process, over both transports, through the SDK's own client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the mcp extra is not installed")

import httpx2
import mcp
from mcp.client.streamable_http import streamable_http_client

from tests.clients.served import Project

pytestmark = pytest.mark.slow
QUESTION = "如何解决Redis连接超时"


async def use_tools(transport: Any) -> None:
    async with mcp.Client(transport) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == {
            "search",
            "get_document",
            "list_documents",
            "status",
        }
        found = await client.call_tool("search", {"query": QUESTION, "top_k": 1})
        head, passage = found.content[0].text.split("\n", 1)
        assert head.startswith("1. docs/redis.md:")
        document = await client.call_tool("get_document", {"path": "docs/redis.md"})
        assert passage.split("\n\n")[0] in document.content[0].text
        assert "docs/redis.md" in (await client.call_tool("list_documents", {})).content[0].text
        assert (await client.call_tool("status", {})).structured_content["documents"] == 3
        refused = await client.call_tool("get_document", {"path": "../../etc/passwd"})
        assert refused.is_error
        many = await asyncio.gather(*(client.call_tool("search", {"query": QUESTION}) for _ in range(16)))
        assert {answer.content[0].text[: len(head)] for answer in many} == {head}


def test_stdio(project: Project) -> None:
    command, *arguments = project.command("mcp")
    parameters = mcp.StdioServerParameters(
        command=command, args=arguments, env=dict(project.environment), cwd=project.folder
    )
    asyncio.run(asyncio.wait_for(use_tools(mcp.stdio_client(parameters)), 60))


def test_streamable_http(project: Project) -> None:
    with project.serving("mcp", "--transport", "http") as url:
        assert url.endswith("/mcp")
        asyncio.run(asyncio.wait_for(use_tools(url), 60))


def test_streamable_http_behind_a_key(project: Project) -> None:
    with project.serving("mcp", "--transport", "http", "--api-key", "secret") as url:

        async def with_key() -> None:
            async with httpx2.AsyncClient(headers={"Authorization": "Bearer secret"}) as client:
                await use_tools(streamable_http_client(url, http_client=client))

        asyncio.run(asyncio.wait_for(with_key(), 60))
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            assert httpx2.post(url, json={}, headers=headers, timeout=60).status_code == 401
