#!/usr/bin/env bash
# One would guess: `paragraph.text` of python-docx is the text of the paragraph that Word shows, and
#   `document.iter_inner_content()` yields every paragraph of the body, since deleted text is left out as it should be.
# What happens: text inserted while changes were tracked (w:ins) is left out as well as the deleted one, until somebody
#   accepts the change; so is text in an inline content control (w:sdt). A content control around paragraphs (cover
#   pages, tables of contents, forms and templates) hides them from `paragraphs` and `iter_inner_content()`. A document
#   under review loses its newest sentences in an index, without an error. pandoc shows all of them.
# Versions: python-docx 1.2.0, pypandoc-binary 1.17 (pandoc 3.9), Python 3.11.
# Source: docx/oxml/text/paragraph.py (CT_P.text joins w:r and w:hyperlink children only), docx/oxml/document.py
#   (CT_Body.inner_content_elements is ./w:p | ./w:tbl).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check python-docx==1.2.0 pypandoc-binary==1.17
"$work/venv/bin/python" - "$work/review.docx" <<'PY'
import sys
from importlib.metadata import version

import pypandoc
from docx import Document
from docx.oxml import parse_xml

WORD = "xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'"


def run(text):
    return f"<w:r><w:t xml:space='preserve'>{text}</w:t></w:r>"


reviewed = f"""<w:p {WORD}>{run("Restart ")}<w:ins w:id="1" w:author="R" w:date="2026-01-01T00:00:00Z">{run("both nodes ")}</w:ins>
<w:del w:id="2" w:author="R" w:date="2026-01-01T00:00:00Z"><w:r><w:delText xml:space="preserve">the node </w:delText></w:r></w:del>
<w:sdt><w:sdtPr><w:id w:val="7"/></w:sdtPr><w:sdtContent>{run("on Monday")}</w:sdtContent></w:sdt></w:p>"""
block = f"""<w:sdt {WORD}><w:sdtPr><w:id w:val="8"/></w:sdtPr><w:sdtContent><w:p>{run("Owner: operations")}</w:p></w:sdtContent></w:sdt>"""
document = Document()
for element in (reviewed, block):
    document.element.body.insert(len(document.element.body) - 1, parse_xml(element))
document.save(sys.argv[1])

document = Document(sys.argv[1])
texts = [part.text for part in document.iter_inner_content()]
shown = pypandoc.convert_file(sys.argv[1], "plain", extra_args=["--wrap=none"])
print("python-docx", version("python-docx"), "pandoc", pypandoc.get_pandoc_version())
print("python-docx:", texts, [paragraph.text for paragraph in document.paragraphs])
print("pandoc:     ", [line for line in shown.split("\n") if line])
assert texts == ["Restart "] == [paragraph.text for paragraph in document.paragraphs], "python-docx reads more now"
assert [line for line in shown.split("\n") if line] == ["Restart both nodes on Monday", "Owner: operations"]
print("as described: the inserted words and both content controls are missing")
PY
