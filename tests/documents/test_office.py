"""PDF, DOCX and PPTX: titles, sections, and pages as places."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import pytest

from rag_search.documents.formats import DecodingError, format_named
from rag_search.records import Chunk
from tests.documents.test_dialects import chunks_of

LONG = "A sentence that is long enough to keep a section of its own, as a reader would expect it."


def pdf(pages: Sequence[Sequence[str]], *, title: str, bookmarks: Sequence[tuple[str, int]] = ()) -> bytes:
    """Return a PDF with lines of text on pages, and bookmarks (title, page) of one level."""
    objects: list[str] = []

    def add(body: str) -> int:
        objects.append(body)
        return len(objects)

    first_page, first_mark = 3 + 1, 3 + 1 + 2 * len(pages)
    kids = " ".join(f"{first_page + 2 * i} 0 R" for i in range(len(pages)))
    outline = first_mark + len(bookmarks)
    add(f"<< /Type /Catalog /Pages 2 0 R /Outlines {outline} 0 R >>")
    add(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>")
    add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for lines in pages:
        stream = "BT /F1 11 Tf 14 TL 50 780 Td " + " ".join(f"({line}) Tj T*" for line in lines) + " ET"
        page = add(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >>"
            f" /Contents {len(objects) + 2} 0 R >>"
        )
        assert add(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream") == page + 1
    for number, (name, page) in enumerate(bookmarks):
        following = f" /Next {first_mark + number + 1} 0 R" if number + 1 < len(bookmarks) else ""
        add(f"<< /Title ({name}) /Parent {outline} 0 R /Dest [{first_page + 2 * page} 0 R /Fit]{following} >>")
    ends = f"/First {first_mark} 0 R /Last {outline - 1} 0 R" if bookmarks else ""
    add(f"<< /Type /Outlines {ends} /Count {len(bookmarks)} >>")
    info = add(f"<< /Title ({title}) >>")
    out, offsets = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    trailer = f"trailer << /Size {size} /Root 1 0 R /Info {info} 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    return (out + f"xref\n0 {size}\n0000000000 65535 f \n{table}" + trailer).encode("latin-1")


def read(content: bytes, name: str) -> list[Chunk]:
    return chunks_of(format_named(name).decode(content), f"docs/file.{name}")


def test_pages_of_a_pdf_are_places() -> None:
    """A bookmark whose title is a line of the page makes a section there."""
    pytest.importorskip("pypdfium2")
    pages = [
        ["Introduction text.", LONG, LONG],
        ["Rest of it.", LONG, LONG, "2.1 Starting the pump", LONG, LONG, "#no *marks*"],
    ]
    chunks = read(pdf(pages, title="Pump manual", bookmarks=[("2.1 Starting the pump", 1)]), "pdf")
    assert {chunk.title for chunk in chunks} == {"Pump manual"}
    assert [chunk.heading_path for chunk in chunks] == [
        ("page 1",), ("page 2",), ("2.1 Starting the pump", "page 2"),
    ]  # fmt: skip
    assert chunks[2].passage.endswith("#no *marks*")
    assert chunks[2].passage.startswith("Pump manual\n2.1 Starting the pump > page 2\nA sentence")


@pytest.mark.parametrize("title", ["", "untitled", "Microsoft Word - report.docx", "report.tex"])
def test_a_title_that_a_program_made_is_not_one(title: str) -> None:
    pytest.importorskip("pypdfium2")
    assert read(pdf([["Text."]], title=title), "pdf")[0].title == "file"


def test_docx() -> None:
    docx = pytest.importorskip("docx")
    document = docx.Document()
    document.add_heading("Kiln log", 0)
    document.add_paragraph(LONG * 2)
    document.add_heading("Glaze", 1)
    document.add_paragraph("First *item*", style="List Bullet")
    table = document.add_table(2, 2)
    for row, values in zip(table.rows, (("Cone", "Hours"), ("six", "nine")), strict=True):
        for cell, value in zip(row.cells, values, strict=True):
            cell.text = value
    document.add_paragraph(LONG * 2)
    file = io.BytesIO()
    document.save(file)
    chunks = read(file.getvalue(), "docx")
    assert [(chunk.title, chunk.heading_path) for chunk in chunks] == [("Kiln log", ()), ("Kiln log", ("Glaze",))]
    assert "- First *item*\nCone | Hours\nsix | nine\n" in chunks[1].passage


def test_pptx() -> None:
    pptx = pytest.importorskip("pptx")
    presentation = pptx.Presentation()
    presentation.core_properties.title = "Tide talk"
    for name in ("Ebb", "Flow"):
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = name
        slide.placeholders[1].text = LONG * 2
        slide.notes_slide.notes_text_frame.text = f"Notes of {name}."
    file = io.BytesIO()
    presentation.save(file)
    chunks = read(file.getvalue(), "pptx")
    assert [(chunk.title, chunk.heading_path) for chunk in chunks] == [
        ("Tide talk", ("Ebb", "slide 1")),
        ("Tide talk", ("Flow", "slide 2")),
    ]
    assert "Notes of Flow." in chunks[1].passage


@pytest.mark.parametrize("name", ["pdf", "docx", "pptx"])
@pytest.mark.parametrize("content", [b"", b"%PDF-1.4\n", b"PK\x03\x04", b"text", b"\xff" * 100])
def test_broken_files_are_told(name: str, content: bytes) -> None:
    pytest.importorskip("pypdfium2")
    with pytest.raises(DecodingError) as caught:
        format_named(name).decode(content)
    assert caught.value.problem and caught.value.remedy


def test_other_archives_are_told() -> None:
    pytest.importorskip("docx")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "x")
    for name in ("docx", "pptx"):
        with pytest.raises(DecodingError):
            format_named(name).decode(file.getvalue())
