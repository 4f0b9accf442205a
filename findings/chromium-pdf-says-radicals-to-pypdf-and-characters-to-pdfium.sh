#!/usr/bin/env bash
# The text of a Chinese page that Chromium prints to PDF depends on the reader: with pypdf and pdfminer.six it is made of
# radicals that no one types, and NFKC does not bring all of them back.
#
# One would guess: a PDF that a browser prints holds the characters of the page, or at most full-width and compatibility
# forms, and normalising the extracted text with NFKC (as tokenizers of search engines and embedding models do) gives
# the words that people search for.
#
# What happens: Noto Sans CJK has one glyph for a radical and for the character that looks the same (U+2F64 and U+7528
# 用, U+2EDA and U+9875 页). The map from glyphs to text that Chromium writes names the radical. pypdf and pdfminer.six
# return it: "⽤⼾⼿册" instead of "用户手册", and "ﬃ" for the letters of "office". pypdfium2 (PDFium) and PyMuPDF return
# what was printed. NFKC restores Kangxi radicals (U+2F00 to U+2FD5), but of the CJK Radicals Supplement (U+2E80 to
# U+2EF3) nearly nothing: 页, 门, 车, 长, 风, 黄 stay radicals, and 户 becomes the traditional 戶. WeasyPrint, with the
# same font, writes the characters. So a search for 页面 or 用户 finds nothing in such a document, and both look right.
#
# Versions: Chromium of Debian (printed below; seen with 150), fonts-noto-cjk, pypdf 7.1.1, pdfminer.six 20260107,
# pypdfium2 5.15.2, PyMuPDF 2.0, Python 3.11. Source: found while choosing a converter for PDF; the standard is Unicode's
# UAX #15 (NFKC) and its file EquivalentUnifiedIdeograph.txt, which has what NFKC leaves out.
set -euo pipefail
if ! command -v chromium > /dev/null || ! fc-list 2> /dev/null | grep -q 'NotoSansCJK'; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium fonts-noto-cjk > /dev/null
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv v
v/bin/python -m pip install --quiet --disable-pip-version-check \
    pypdf==7.1.1 pdfminer.six==20260107 pypdfium2==5.15.2 pymupdf==2.0 2> /dev/null

cat > page.html <<'HTML'
<!doctype html><meta charset="utf-8"><html lang="zh"><body style="font-family: 'Noto Sans CJK SC'">
<p>用户手册：页面长度，门户，车辆风险，黄色文件，office</p>
HTML
home=$(mktemp -d -p "$folder")
HOME=$home chromium --headless --no-sandbox --disable-gpu --no-pdf-header-footer --print-to-pdf=page.pdf page.html \
    > /dev/null 2>&1
chromium --version 2> /dev/null

v/bin/python - <<'PYTHON'
import logging
import unicodedata
from importlib.metadata import version

import pdfminer.high_level
import pymupdf
import pypdf
import pypdfium2

logging.disable()  # pdfminer warns of the font's box, once a font
printed = "用户手册：页面长度，门户，车辆风险，黄色文件，office"
texts = {
    "pypdf": pypdf.PdfReader("page.pdf").pages[0].extract_text(),
    "pdfminer.six": pdfminer.high_level.extract_text("page.pdf"),
    "pypdfium2": pypdfium2.PdfDocument("page.pdf")[0].get_textpage().get_text_range(),
    "pymupdf": pymupdf.open("page.pdf")[0].get_text(),
}
texts = {name: text.strip() for name, text in texts.items()}
for name, text in texts.items():
    radicals = sum(0x2E80 <= ord(character) <= 0x2FDF for character in text)
    print(f"{name:13}{version(name):10} {text}   radicals: {radicals}; equals the page: {text == printed}")

folded = unicodedata.normalize("NFKC", texts["pypdf"])
wanted = unicodedata.normalize("NFKC", printed)
left = {a: f"{b} U+{ord(b):04X}" for a, b in zip(wanted, folded, strict=True) if a != b}
print("after NFKC still another character:", left)

assert texts["pypdfium2"] == texts["pymupdf"] == printed
assert texts["pypdf"] == texts["pdfminer.six"] != printed
assert "用户" not in texts["pypdf"] and "页面" not in texts["pypdf"] and "office" not in texts["pypdf"]
assert set(left) == {"户", "页", "长", "门", "车", "风", "黄"} and left["户"].startswith("戶")
print("as described")
PYTHON
