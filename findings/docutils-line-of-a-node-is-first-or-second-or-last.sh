#!/usr/bin/env bash
# One would guess: `node.line` of a docutils doctree is the line where the construct begins, or at least always the same
#   end of it, so that a section or a code block can be shown with its line and cut out of the source.
# What happens: it depends on the kind of node. A paragraph has its first line. A section and its title have the line of
#   the underline, with an overline above it, too. A literal block after "::" has its first line, but one that the
#   code-block directive made has the directive's last line, the blank lines after it counted, so the more blank lines
#   follow, the further away it is. Rows, cells and inline nodes have None. A tool that indexes sections by
#   `node.line` points one or two lines too low at headings, and behind the end at code.
# Versions: docutils 0.23, Python 3.11.
# Source: docutils/parsers/rst/states.py (section title: state_machine.abs_line_number() after the underline was
#   matched) and directives/body.py (CodeBlock never sets the line, the state machine's is taken).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check docutils==0.23 pygments==2.19.2
"$work/venv/bin/python" - <<'PY'
import docutils
from docutils import core, nodes

SOURCE = """\
Some words
come first.

Section one
-----------

.. code-block:: text

   first code line
   second code line



=====
Boxed
=====

Then::

   literal
"""
print("docutils", docutils.__version__)
lines = SOURCE.split("\n")
tree = core.publish_doctree(SOURCE, settings_overrides={"report_level": 5})
found = []
for kind in (nodes.paragraph, nodes.title, nodes.section, nodes.literal_block):
    for node in tree.findall(kind):
        first = node.astext().split("\n")[0].removesuffix(":")
        begins = 1 + next(number for number, line in enumerate(lines) if first in line)
        found.append((kind.__name__, first, begins, node.line))
        print(f"{kind.__name__:14} {first!r:19} text begins in line {begins:2}, node.line is {node.line}")
assert [(kind, begins, line) for kind, _, begins, line in found] == [
    ("paragraph", 1, 1),
    ("paragraph", 18, 18),
    ("title", 4, 5),
    ("title", 15, 16),
    ("section", 4, 5),
    ("section", 15, 16),
    ("literal_block", 9, 13),
    ("literal_block", 20, 20),
]
PY
