#!/usr/bin/env bash
# PDFium's text of a page has U+FFFE, which is not a character, for a hyphen between letters at a line end.
#
# One would guess: the text that pypdfium2 extracts has the hyphens of the page, as a "-" and a line end that a program may
#   join, or else words that are joined already; in any case characters that can be stored, searched and written as XML.
# What happens: a hyphen between letters at the end of a line and the line end after it become one U+FFFE, in "docu-ment"
#   as in "state-of-the-art", so joining by dropping it makes "state-of-theart". After a digit ("2019-", then "2021") or a
#   blank both stay, and a hyphen within a line is "-". No tokenizer knows the code point, XML 1.0 forbids it, and most
#   fonts show nothing, so the word looks joined on a screen. pypdf, pdfminer.six and PyMuPDF return "-" and a line end.
# Versions: pypdfium2 5.15.2, pypdf 7.1.1, pdfminer.six 20260107, PyMuPDF 2.0, Python 3.11.
# Source: found while choosing a converter for PDF; core/fpdftext/cpdf_textpage.cpp of PDFium (kHyphen, "0xfffe" in
#   AppendGeneratedCharacter), and the XML 1.0 recommendation, production [2] Char.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv v
v/bin/python -m pip install --quiet --disable-pip-version-check \
    pypdfium2==5.15.2 pypdf==7.1.1 pdfminer.six==20260107 pymupdf==2.0 2> /dev/null
v/bin/python - <<'PYTHON'
import io
from importlib.metadata import version
from xml.etree import ElementTree

import pymupdf
from pdfminer.high_level import extract_text
from pypdf import PdfReader
from pypdfium2 import PdfDocument

LINES = ["A docu-", "ment of 2019-", "2021, state-of-the-", "art and self-made. A dash -", "here."]
stream = "BT /F1 11 Tf 14 TL 50 780 Td " + " ".join(f"({line}) Tj T*" for line in LINES) + " ET"
objects = [
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents 5 0 R >>",
    f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
]
out, offsets = "%PDF-1.4\n", []
for number, body in enumerate(objects, 1):
    offsets.append(len(out))
    out += f"{number} 0 obj\n{body}\nendobj\n"
table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
trailer = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
content = (out + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}" + trailer).encode()

for name in ("pypdfium2", "pypdf", "pdfminer.six", "PyMuPDF"):
    print(name, version(name), end="; ")
print()
texts = {
    "PDFium": PdfDocument(content)[0].get_textpage().get_text_range(),
    "pypdf": PdfReader(io.BytesIO(content)).pages[0].extract_text(),
    "pdfminer.six": extract_text(io.BytesIO(content)),
    "PyMuPDF": pymupdf.open(stream=content)[0].get_text(),
}
for name, text in texts.items():
    print(f"{name}: {ascii(text)}")
joined = texts["PDFium"].replace("\ufffe", "")
print("PDFium without U+FFFE:", ascii(joined))
assert "A docu\ufffement of 2019-\r\n2021, state-of-the\ufffeart and self-made. A dash -\r\nhere." in texts["PDFium"]
assert "state-of-theart" in joined
for name in ("pypdf", "pdfminer.six", "PyMuPDF"):
    assert "docu-\nment of 2019-\n2021, state-of-the-\nart" in texts[name].replace(" \n", "\n"), name
    assert "\ufffe" not in texts[name]
xml = b"<p>" + texts["PDFium"].encode() + b"</p>"
try:
    ElementTree.fromstring(xml)
    raise SystemExit("XML takes the text now")
except ElementTree.ParseError as error:
    print("as XML:", error)
PYTHON
