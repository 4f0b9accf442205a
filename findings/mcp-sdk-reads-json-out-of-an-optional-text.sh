#!/usr/bin/env bash
# One would guess: an MCP tool with the parameter `hint: str | None` gets the text that the client sent, since the text is
#   valid for the schema that the SDK itself publishes ("anyOf": string or null), and `hint: str` behaves the same.
# What happens: before it validates, the Python SDK runs json.loads over each text whose annotation is anything but exactly
#   `str`, because some client sends lists as text. The text `null` therefore arrives as None: a word of a question is
#   gone without an error. `["beginners"]` or `{"role": "operator"}` becomes a list or an object, which then is refused
#   as "not a valid string". `12`, `true` and `"quoted"` stay. The same texts pass unchanged through a parameter of type
#   `str`. To take null and every text, annotate `str` with a BeforeValidator that turns None into "".
# Versions: mcp 2.3.0, pydantic 2, Python 3.11. Our tool `search` had `instruction: str | None` and was changed.
# Source: mcp/server/mcpserver/utilities/func_metadata.py (pre_parse_json).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check mcp==2.3.0
"$work/venv/bin/python" - 2> "$work/log" <<'PY' || { cat "$work/log" >&2; exit 1; }
from importlib.metadata import version

import anyio
from mcp import Client
from mcp.server.mcpserver import MCPServer

server = MCPServer("echo")


@server.tool(structured_output=False)
def echo(plain: str = "", hint: str | None = None) -> str:
    """Return what arrived."""
    return repr(plain or hint)


async def arrived(name, text):
    async with Client(server) as client:
        answer = await client.call_tool("echo", {name: text})
    said = answer.content[0].text
    return "refused: " + said.split("\n")[2].split("[")[0].strip() if answer.is_error else said


async def main():
    print("mcp", version("mcp"))
    found = {}
    for text in ("null", '["beginners"]', '{"role": "operator"}', "12", "true", '"quoted"'):
        found[text] = [await arrived(name, text) for name in ("plain", "hint")]
        print(f"{text:21} as str: {found[text][0]:24} as str | None: {found[text][1]}")
    assert all(plain == repr(text) for text, (plain, _) in found.items())
    assert found["null"][1] == "None"
    for text in ('["beginners"]', '{"role": "operator"}'):
        assert found[text][1] == "refused: Input should be a valid string"
    for text in ("12", "true", '"quoted"'):
        assert found[text][1] == repr(text)


anyio.run(main)
PY
