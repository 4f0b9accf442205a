"""An MCP client. pip install 'ragsearch-local[cpu,mcp]'; without an address it starts `ragsearch mcp` itself.

An agent is told: {"mcpServers": {"ragsearch": {"command": "ragsearch", "args": ["mcp"]}}}
"""

import asyncio
import sys

import mcp

TRANSPORT = sys.argv[1] if len(sys.argv) > 1 else mcp.StdioServerParameters(command="ragsearch", args=["mcp"])


async def main() -> None:
    transport = TRANSPORT if isinstance(TRANSPORT, str) else mcp.stdio_client(TRANSPORT)
    async with mcp.Client(transport) as client:
        found = await client.call_tool("search", {"query": "如何解决Redis连接超时", "top_k": 1})
        print(found.content[0].text)


asyncio.run(main())
