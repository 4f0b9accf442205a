#!/usr/bin/env bash
# One would guess: DocumentCleaner with its defaults, which pipelines usually have before DocumentSplitter, removes double
#   blanks and empty lines, and leaves paragraphs, headings and lines to be split at.
# What happens: remove_extra_whitespaces replaces each run of two or more white characters by one blank, and line ends
#   are white: a blank line between paragraphs is such a run. The whole text becomes one paragraph. The splitter then
#   finds no passage ("\n\n") and returns the document as one piece, far beyond a model's limit, which truncates it;
#   MarkdownHeaderSplitter finds one section, for all of the text is its first heading; code loses its indentation. The
#   option for empty lines has nothing left to do. No warning. remove_extra_whitespaces=False keeps passages, but only
#   with remove_empty_lines=False, too: passages are separated by the empty lines which that one removes.
# Versions: haystack-ai 3.4.1, Python 3.11. Our peers' benchmark uses no cleaner.
# Source: haystack/components/preprocessors/document_cleaner.py, document_splitter.py, markdown_header_splitter.py.
set -euo pipefail
export HAYSTACK_TELEMETRY_ENABLED=False
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check haystack-ai==3.4.1
"$work/venv/bin/python" - <<'PY'
from importlib.metadata import version

from haystack import Document
from haystack.components.preprocessors import DocumentCleaner, DocumentSplitter, MarkdownHeaderSplitter

print("haystack-ai", version("haystack-ai"))
TEXT = "# Limits\n\nOne user, one session.\n\n```python\ndef f():\n    return 1\n```\n\n# Errors\n\nLook into the log.\n"


def pieces(splitter, options):
    documents = [Document(content=TEXT)]
    if options is not None:
        documents = DocumentCleaner(**options).run(documents=documents)["documents"]
    return [document.content for document in splitter.run(documents=documents)["documents"]]


OPTIONS = {
    "no cleaner": None,
    "cleaner, defaults": {},
    "cleaner, remove_extra_whitespaces=False": {"remove_extra_whitespaces": False},
    "cleaner, neither": {"remove_extra_whitespaces": False, "remove_empty_lines": False},
}
counts = {}
for name, options in OPTIONS.items():
    passages = pieces(DocumentSplitter(split_by="passage", split_length=1), options)
    sections = pieces(MarkdownHeaderSplitter(), options)
    counts[name] = (len(passages), len(sections))
    print(f"{name:40} {len(passages)} passages, {len(sections)} sections; the first passage is {passages[0]!r}")
assert counts["no cleaner"] == counts["cleaner, neither"] == (5, 2), counts
assert counts["cleaner, defaults"] == (1, 1), counts
assert counts["cleaner, remove_extra_whitespaces=False"][0] == 1, counts
cleaned = DocumentCleaner().run(documents=[Document(content=TEXT)])["documents"][0].content
assert "def f(): return 1" in cleaned and "\n\n" not in cleaned
PY
