"""PDF, DOCX and PPTX: titles, sections, and pages as places."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from rag_search.documents import SourceFile, read_document
from rag_search.documents.formats import DecodingError, format_named
from rag_search.errors import InputError
from rag_search.records import Chunk
from tests.documents.test_dialects import chunks_of

LONG = "A sentence that is long enough to keep a section of its own, as a reader would expect it."
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


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


def test_hyphens_at_line_ends_of_a_pdf() -> None:
    """A divided word is joined; a compound keeps its hyphen, as far as the text tells them apart."""
    pytest.importorskip("pypdfium2")
    lines = ["A docu-", "ment of 2019-", "2021, state-of-the-", "art and Anglo-", "American."]
    text = format_named("pdf").decode(pdf([lines], title=""))
    assert " ".join(text.split()) == "[page 1] A document of 2019- 2021, state-of-the-art and Anglo-American."


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


def paragraph_xml(content: str) -> str:
    return f"<w:p xmlns:w='{WORD}'>{content}</w:p>"


def run_xml(text: str) -> str:
    return f"<w:r><w:t xml:space='preserve'>{text}</w:t></w:r>"


def docx_of(*elements: str) -> bytes:
    """Return a DOCX whose body is the XML of these elements."""
    docx = pytest.importorskip("docx")
    from docx.oxml import parse_xml

    document = docx.Document()
    for element in elements:
        document.element.body.insert(len(document.element.body) - 1, parse_xml(element))
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def test_docx_shows_what_the_page_shows() -> None:
    """Inserted text, content controls and text boxes are read; removed, moved and hidden text is not."""
    changed = (
        run_xml("kept ")
        + f"<w:ins w:id='1' w:author='a'>{run_xml('inserted ')}</w:ins>"
        + "<w:del w:id='2' w:author='a'><w:r><w:delText>deleted </w:delText></w:r></w:del>"
        + f"<w:moveFrom w:id='3' w:author='a'>{run_xml('moved away ')}</w:moveFrom>"
        + "<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>"
        + f"<w:sdt><w:sdtPr/><w:sdtContent>{run_xml('controlled')}</w:sdtContent></w:sdt>"
    )
    control = f"<w:sdt xmlns:w='{WORD}'><w:sdtContent>{paragraph_xml(run_xml('in a block'))}</w:sdtContent></w:sdt>"
    box = f"<w:txbxContent>{paragraph_xml(run_xml('in a box'))}</w:txbxContent>"
    choice = (
        f"<mc:AlternateContent xmlns:mc='http://schemas.openxmlformats.org/markup-compatibility/2006'>"
        f"<mc:Choice Requires='wps'>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent>"
    )
    text = format_named("docx").decode(docx_of(paragraph_xml(changed), control, paragraph_xml(f"<w:r>{choice}</w:r>")))
    assert text.split("\n") == ["kept inserted controlled", "", "in a block", "", "in a box", ""]


def test_docx_tables_and_levels() -> None:
    """Equal values of a row stay, a merged cell is one; a paragraph with an outline level is a heading."""
    cells = [f"<w:tc>{paragraph_xml(run_xml(value))}</w:tc>" for value in ("0", "0")]
    merged = f"<w:tc><w:tcPr><w:gridSpan w:val='2'/></w:tcPr>{paragraph_xml(run_xml('wide'))}</w:tc>"
    table = f"<w:tbl xmlns:w='{WORD}'><w:tr>{''.join(cells)}</w:tr><w:tr>{merged}</w:tr></w:tbl>"
    heading = paragraph_xml("<w:pPr><w:outlineLvl w:val='1'/></w:pPr>" + run_xml("Levels"))
    body = paragraph_xml("<w:pPr><w:outlineLvl w:val='9'/></w:pPr>" + run_xml("Body"))
    numbered = paragraph_xml("<w:pPr><w:numPr><w:numId w:val='1'/></w:numPr></w:pPr>" + run_xml("step"))
    text = format_named("docx").decode(docx_of(heading, table, body, numbered))
    assert text.split("\n") == ["[section 2: Levels]", "0 | 0", "wide", "", "Body", "", "- step", ""]


def test_docx_notes_follow_their_paragraph() -> None:
    docx = pytest.importorskip("docx")
    from docx.opc.packuri import PackURI
    from docx.opc.part import Part

    document = docx.Document()
    note = f"<w:footnote w:id='2'>{paragraph_xml(run_xml('The note.'))}</w:footnote>"
    note = f"<w:footnotes xmlns:w='{WORD}'>{note}</w:footnotes>"
    part = Part(PackURI("/word/footnotes.xml"), "application/xml", note.encode(), document.part.package)
    document.part.relate_to(part, f"{RELATIONS}/footnotes")
    document.add_paragraph("Sentence.")
    mark = document.paragraphs[-1]._p.makeelement(f"{{{WORD}}}footnoteReference", {f"{{{WORD}}}id": "2"})
    document.paragraphs[-1].runs[-1]._r.append(mark)
    document.add_paragraph("Next.")
    file = io.BytesIO()
    document.save(file)
    assert format_named("docx").decode(file.getvalue()) == "Sentence.\n\nThe note.\n\nNext.\n"


def test_pptx_groups_charts_and_diagrams() -> None:
    """Text in a group is read, and the names in a chart and in a diagram, whose text is in a part of its own."""
    pptx = pytest.importorskip("pptx")
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.opc.package import Part
    from pptx.opc.packuri import PackURI
    from pptx.oxml import parse_xml

    presentation = pptx.Presentation()  # its properties say "PowerPoint Presentation", as programs write
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    slide.shapes.title.text = "Harbour"
    group = slide.shapes.add_group_shape().shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, 9, 9).text_frame.text = "in a group"
    data = CategoryChartData()
    data.categories = ["north", "south"]
    data.add_series("tides", (1.5, 2.5))
    slide.shapes.add_chart(XL_CHART_TYPE.BAR_CLUSTERED, 0, 0, 9, 9, data)
    drawing = "http://schemas.openxmlformats.org/drawingml/2006"
    diagram = f"<d:dataModel xmlns:d='{drawing}/diagram' xmlns:a='{drawing}/main'><a:t>in a diagram</a:t></d:dataModel>"
    part = Part(PackURI("/ppt/diagrams/data1.xml"), "application/xml", presentation.part.package, diagram.encode())
    frame = slide.shapes.add_table(1, 1, 0, 0, 9, 9)._element
    data_id = slide.part.relate_to(part, f"{RELATIONS}/diagramData")
    graphic = f"<d:relIds xmlns:d='{drawing}/diagram' xmlns:r='{RELATIONS}' r:dm='{data_id}'/>"
    table = frame.graphic.graphicData
    table.set("uri", f"{drawing}/diagram")
    table.replace(table[0], parse_xml(graphic))
    file = io.BytesIO()
    presentation.save(file)
    text = format_named("pptx").decode(file.getvalue())
    assert text.split("\n")[:3] == ["[title: Harbour]", "[section 1: Harbour]", "[slide 1]"]
    assert [line for line in text.split("\n")[3:] if line] == [
        "in a group", "tides", "north", "south", "in a diagram",
    ]  # fmt: skip


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


@pytest.mark.parametrize("part", ["word/document.xml", "word/media/image.png"])
def test_a_file_that_unpacks_to_too_much_xml_is_refused(part: str) -> None:
    """A small file does not take the memory of the machine; a picture may be as large."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(part, "w") as unpacked:
            for _ in range(65):
                unpacked.write(b"\r\n<x/>  " * 2**17)
        archive.writestr("media/photo", bytes(65 * 2**20))
    with pytest.raises(DecodingError, match="68,157,440 of XML"):
        format_named("docx").decode(file.getvalue())


def test_a_text_larger_than_the_limit_of_files_is_refused(tmp_path: Path) -> None:
    """What a packed file holds counts, not only its bytes."""
    documents = pytest.importorskip("docx")
    document = documents.Document()
    document.add_paragraph("word " * 200_000)
    path = tmp_path / "a.docx"
    document.save(path)
    source = SourceFile("a.docx", str(path), path.stat().st_size, 0)
    assert path.stat().st_size < 100_000
    assert "word word" in read_document(source, max_bytes=2_000_000).text
    with pytest.raises(InputError, match=r"1,000,\d\d\d bytes or more; the limit is 100,000"):
        read_document(source, max_bytes=100_000)
