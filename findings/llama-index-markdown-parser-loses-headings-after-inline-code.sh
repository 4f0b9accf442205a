#!/usr/bin/env bash
# One would guess: MarkdownNodeParser cuts at the headings of CommonMark, outside of fenced code.
# What happens: any line that begins with three backticks switches "in code" on or off. A line that begins with inline
#   code in three backticks (```value``` is the default) is such a line: all headings after it are text, until the next
#   fence, whose code is then cut at its comments. A fence of four backticks that shows one of three ends at the inner
#   one. A fence of tildes is not seen: the comments of a shell script in it become headings, and the sections after it
#   are filed under them. A heading that is underlined is text. Nothing is reported; the nodes just say other sections.
# Versions: llama-index-core 0.14.25; markdown-it-py 4.0.0, a parser of CommonMark, for comparison. Python 3.11.
# Source: llama_index/core/node_parser/file/markdown.py (startswith("```"), one pattern for headings).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check llama-index-core==0.14.25 markdown-it-py==4.0.0
"$work/venv/bin/python" - <<'PY'
import re
from importlib.metadata import version

from llama_index.core import Document
from llama_index.core.node_parser import MarkdownNodeParser
from markdown_it import MarkdownIt

CASES = {
    "inline code at the start of a line": "# Install\n\n```pip``` is enough.\n\n# Upgrade\n\nRun it again.\n\n# Remove\n\nDelete it.\n",
    "a fence of tildes": "# Install\n\n~~~sh\n# as root\nmake install\n~~~\n\n## Check\n\nRun it.\n",
    "a fence of four backticks": "# Write docs\n\n````md\n```\n# an example\n````\n\n# Publish\n\nPush it.\n",
    "an underlined heading": "Install\n=======\n\nRun it.\n\nRemove\n======\n\nDelete it.\n",
    "nothing odd": "# Install\n\nRun it.\n\n```sh\n# as root\n```\n\n# Remove\n\nDelete it.\n",
}


def of_commonmark(text):
    tokens = MarkdownIt().parse(text)
    return [tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "heading_open"]


def of_nodes(text):
    nodes = MarkdownNodeParser().get_nodes_from_documents([Document(text=text)])
    return [match[1] for node in nodes if (match := re.match(r"#+ (.+)", node.text))]


print("llama-index-core", version("llama-index-core"), "markdown-it-py", version("markdown-it-py"))
found = {}
for name, text in CASES.items():
    found[name] = of_nodes(text)
    print(f"{name}: headings {of_commonmark(text)}, nodes begin with {found[name]}")
assert found["nothing odd"] == of_commonmark(CASES["nothing odd"]) == ["Install", "Remove"]
assert found["inline code at the start of a line"] == ["Install"]
assert found["a fence of tildes"] == ["Install", "as root", "Check"]
assert found["a fence of four backticks"] == ["Write docs", "an example"]
assert found["an underlined heading"] == []
PY
