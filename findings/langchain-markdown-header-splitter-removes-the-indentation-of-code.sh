#!/usr/bin/env bash
# One would guess: MarkdownHeaderTextSplitter cuts Markdown at its headings, and the lines of a section stay as they are,
#   above all in a fenced code block, which it knows (a "# comment" in it is not a heading).
# What happens: each line is stripped on both sides before it is kept. Python in a code block loses its indentation and
#   is no program any more, YAML loses its nesting, and a list of three levels becomes flat. What is left of a line then
#   loses each character that str.isprintable() denies: tabs between columns, no-break spaces and the wide space of
#   Chinese go, and the words on both sides become one that nobody searches. strip_headers, here False, is about the
#   headers alone. ExperimentalMarkdownSyntaxTextSplitter of the same package keeps lines as they are.
# Versions: langchain-text-splitters 1.1.3, PyYAML 6.0.4, Python 3.11.
# Source: langchain_text_splitters/markdown.py, MarkdownHeaderTextSplitter.split_text (stripped_line).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check langchain-text-splitters==1.1.3 pyyaml==6.0.4
"$work/venv/bin/python" - <<'PY'
import re
from importlib.metadata import version

import yaml
from langchain_text_splitters import ExperimentalMarkdownSyntaxTextSplitter, MarkdownHeaderTextSplitter

print("langchain-text-splitters", version("langchain-text-splitters"))
TEXT = """\
# Settings

```python
def port(config):
    if config:

        return config["port"]
```

```yaml
server:
  port: 80
client:
  timeout: 5
```

- a
    - b
        - c

port\tnumber of the socket, 10\u00a0MB at\u3000most
"""


def blocks(splitter):
    text = "\n".join(each.page_content for each in splitter.split_text(TEXT))
    return {kind: re.search(f"```{kind}\n(.*?)```", text, re.DOTALL)[1] for kind in ("python", "yaml")} | {"all": text}


def compiles(source):
    try:
        compile(source, "block", "exec")
    except IndentationError as error:
        return type(error).__name__
    return "compiles"


usual = blocks(MarkdownHeaderTextSplitter([("#", "h1")], strip_headers=False))
other = blocks(ExperimentalMarkdownSyntaxTextSplitter([("#", "h1")], strip_headers=False))
for name, found in (("MarkdownHeaderTextSplitter", usual), ("Experimental...", other)):
    print(f"{name}: the code {compiles(found['python'])}; the YAML is {yaml.safe_load(found['yaml'])}")
print(repr(usual["all"]))
assert compiles(usual["python"]) == "IndentationError" and compiles(other["python"]) == "compiles"
assert yaml.safe_load(usual["yaml"]) == {"server": None, "port": 80, "client": None, "timeout": 5}
assert yaml.safe_load(other["yaml"]) == {"server": {"port": 80}, "client": {"timeout": 5}}
assert "portnumber of the socket, 10MB atmost" in usual["all"]
assert "port\tnumber of the socket, 10\u00a0MB at\u3000most" in other["all"]
assert "- a\n- b\n- c" in usual["all"] and "- a\n    - b\n        - c" in other["all"]
PY
