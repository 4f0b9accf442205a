#!/usr/bin/env bash
# One would guess: the usual loop over a book, `for item in book.get_items_of_type(ITEM_DOCUMENT)` of EbookLib, gives its
#   chapters in reading order, so that their texts joined are the text of the book, and a passage may run on from one
#   into the next.
# What happens: it gives the order of the manifest, which the EPUB standard leaves without meaning, as tools write it
#   (often by name, so that chapter10 comes before chapter2). The page of contents is one of the documents, too, so each
#   heading is found once more where it says nothing. The reading order is in `book.spine`, a list of (id, linear)
#   pairs; get_item_with_id of each gives the text that a reader shows, and linear "no" marks what it skips.
# Versions: EbookLib 0.20, Python 3.11. We read no EPUB.
# Source: ebooklib/epub.py (EpubBook.get_items, EpubReader._load_manifest); EPUB 3.3, section 5.6 and 5.7.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check EbookLib==0.20
cd "$work" && "$work/venv/bin/python" -W ignore - <<'PY'
import zipfile
from importlib.metadata import version

from ebooklib import ITEM_DOCUMENT, epub

print("EbookLib", version("EbookLib"))
NAMES = [f"chapter{number}" for number in range(1, 11)]
XHTML = '<html xmlns="http://www.w3.org/1999/xhtml"><head><title>{0}</title></head><body>{1}</body></html>'
CONTENTS = '<nav xmlns:epub="http://www.idpf.org/2007/ops" epub:type="toc"><ol>{0}</ol></nav>'
manifest = "".join(f'<item id="{n}" href="{n}.xhtml" media-type="application/xhtml+xml"/>' for n in sorted(NAMES))
manifest += '<item id="contents" href="contents.xhtml" media-type="application/xhtml+xml" properties="nav"/>'
spine = "".join(f'<itemref idref="{name}"/>' for name in NAMES)
package = (
    '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">'
    '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:identifier id="id">x</dc:identifier>'
    "<dc:title>Book</dc:title><dc:language>en</dc:language>"
    '<meta property="dcterms:modified">2026-01-01T00:00:00Z</meta></metadata>'
    f"<manifest>{manifest}</manifest><spine>{spine}</spine></package>"
)
container = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
    '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
with zipfile.ZipFile("book.epub", "w") as book:
    book.writestr("mimetype", "application/epub+zip")
    book.writestr("META-INF/container.xml", container)
    book.writestr("book.opf", package)
    items = "".join(f'<li><a href="{name}.xhtml">{name}</a></li>' for name in NAMES)
    book.writestr("contents.xhtml", XHTML.format("Contents", CONTENTS.format(items)))
    for name in NAMES:
        book.writestr(f"{name}.xhtml", XHTML.format(name, f"<p>{name}</p>"))

read = epub.read_epub("book.epub")
usual = [item.get_name().removesuffix(".xhtml") for item in read.get_items_of_type(ITEM_DOCUMENT)]
by_spine = [read.get_item_with_id(key).get_name().removesuffix(".xhtml") for key, _linear in read.spine]
print("items:", *usual)
print("spine:", *by_spine)
assert usual == [*sorted(NAMES), "contents"] and usual[:2] == ["chapter1", "chapter10"]
assert by_spine == NAMES
PY
