#!/usr/bin/env bash
# One would guess: in the tree of tree-sitter-markdown, which editors and chunkers cut and fold by, each heading opens a
#   `section` that lasts until the next heading of its level, "Setup" over "=====" like "# Setup", as CommonMark has it.
# What happens: only headings with # open sections. A heading that is underlined is a node inside whatever section is
#   open, and everything after it, too: a chapter underlined with = after "## Details" belongs to Details, and a file
#   with underlined headings alone is one section. A cut by sections gives such texts one passage and wrong ancestors.
#   And the last line needs a line end: "# Setup" alone is a node ERROR without a heading, and without an exception.
# Versions: tree-sitter 0.26.1, tree-sitter-markdown 0.5.4, Python 3.11. Our own parser treats both headings alike.
# Source: tree-sitter-markdown/grammar.js (_section1 to _section6 begin with an ATX heading).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    tree-sitter==0.26.1 tree-sitter-markdown==0.5.4 markdown-it-py==4.3.0
"$work/venv/bin/python" - <<'PY'
from importlib.metadata import version

import tree_sitter_markdown
from markdown_it import MarkdownIt
from tree_sitter import Language, Parser

print("tree-sitter", version("tree-sitter"), "tree-sitter-markdown", version("tree-sitter-markdown"))
parser = Parser(Language(tree_sitter_markdown.language()))
HASHED = "# Guide\n\nOne.\n\n## Details\n\nTwo.\n\n# Reference\n\nThree.\n"
UNDERLINED = "Guide\n=====\n\nOne.\n\nDetails\n-------\n\nTwo.\n\nReference\n=========\n\nThree.\n"
MIXED = "# Guide\n\nOne.\n\n## Details\n\nTwo.\n\nReference\n=========\n\nThree.\n"


def sections(node, depth=0):
    """Return depth and words of each section, those of inner sections left out."""
    found = []
    if node.type == "section":
        own = [child for child in node.named_children if child.type != "section"]
        words = [line for child in own for line in child.text.decode().split("\n") if line.strip("-= \n")]
        found.append((depth, " ".join(words)))
        depth += 1
    return found + [each for child in node.named_children for each in sections(child, depth)]


def headings(text):
    return [(token.tag, token.map[0] + 1) for token in MarkdownIt().parse(text) if token.type == "heading_open"]


trees = {}
for name, text in (("hashed", HASHED), ("underlined", UNDERLINED), ("mixed", MIXED)):
    trees[name] = sections(parser.parse(text.encode()).root_node)
    print(f"{name}: CommonMark has", headings(text), "sections are", trees[name])
    assert [tag for tag, _ in headings(text)] == ["h1", "h2", "h1"]
assert trees["hashed"] == [(0, "# Guide One."), (1, "## Details Two."), (0, "# Reference Three.")]
assert trees["underlined"] == [(0, "Guide One. Details Two. Reference Three.")]
assert trees["mixed"] == [(0, "# Guide One."), (1, "## Details Two. Reference Three.")]
for text in ("# Setup", "# Setup\n"):
    root = parser.parse(text.encode()).root_node
    print(repr(text), "is", root.type)
    assert (root.type == "ERROR") == (text == "# Setup") and len(headings(text)) == 1
PY
