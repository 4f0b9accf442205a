from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from rag_search.chunking import chunk_document
from rag_search.documents import SourceFile, read_document
from rag_search.errors import InputError
from rag_search.records import Document
from tests.chunking.counting import count_tokens

DAY_NS = 86_400 * 10**9


def read(tmp_path: Path, content: str | bytes, *, name: str = "file.md", max_bytes: int = 10**6) -> Document:
    path = tmp_path / name
    path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    os.utime(path, ns=(0, 31 * DAY_NS))
    return read_document(SourceFile(name, str(path), path.stat().st_size, 31 * DAY_NS), max_bytes=max_bytes)


def test_text_is_kept_exactly(tmp_path: Path) -> None:
    text = "# 标题\r\n\rone\u2028two\x85\ttab \x1b[0m"
    document = read(tmp_path, text)
    assert (document.text, document.title, document.path) == (text, "标题", "file.md")
    assert document.content_hash == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, "# 标题\n".encode(encoding)).text == "# 标题\n"


TITLES = {
    "---\ntitle: From  front\n---\n# Heading\n": "From front",
    "---\ntitle: 2024\n---\n": "2024",
    "---\ntitle: 1.10\n---\n# Heading\n": "1.10",
    "---\ntitle: ~\n---\n# Heading\n": "Heading",
    "---\ntitle: ' '\n---\n# Heading\n": "Heading",
    "---\ntitle: [a]\n---\n## **Bold** [link](http://a.example) {#id}\n": "Bold link",
    "```\n# in a fence\n```\n\nSetext *one*\n===\n": "Setext one",
    "> # quoted\n\ntext": "file",
    "#\n\n## Second": "Second",
    "": "file",
}


@pytest.mark.parametrize("text", TITLES)
def test_titles(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).title == TITLES[text]


def test_names_are_not_as_long_as_texts(tmp_path: Path) -> None:
    """Each hit repeats title and headings, so a line of megabytes is cut."""
    document = read(tmp_path, f"# {'title ' * 100_000}\n\na\n\n## {'part ' * 100_000}\n\nb\n", max_bytes=10**7)
    chunks = chunk_document(document, count_tokens=count_tokens, max_tokens=64)
    names = {document.title, *(name for chunk in chunks for name in (chunk.title, *chunk.heading_path))}
    assert sorted(name[:8] for name in names) == ["part par", "title ti"]
    assert all(len(name) <= 400 and name.endswith("…") for name in names)


DATES = {
    "---\nupdated: 2024-03-05\ndate: 2020-01-01\n---\n": "2024-03-05",
    "---\ndate: 2024-3-5T10:00:00Z\n---\n": "2024-03-05",
    "---\ndate: 2024年3月5日\n---\n": "2024-03-05",
    "---\nupdated: 2024-13-45\ndate: 2020-01-01\n---\n": "2020-01-01",
    "---\ndate: soon\n---\n": "1970-02-01",
    "text": "1970-02-01",
}


@pytest.mark.parametrize("text", DATES)
def test_dates(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).updated == DATES[text]


METADATA = {
    "a: 1\nb: [x, 2.5, null, true]\nc: {d: 2024-01-05}":
        {"a": 1, "b": ["x", 2.5, None, True], "c": {"d": "2024-01-05"}},
    "big: 123456789012345678901234567890\ninf: .inf": {"big": "123456789012345678901234567890", "inf": ".inf"},
    "version: 1.10\ncountry: NO\ntime: 12:30\ndraft: yes\nzip: 007\nid: 0x10\nmode: 1_0\nsum: +1\ntiny: 0.00001":
        {"version": "1.10", "country": "NO", "time": "12:30", "draft": "yes", "zip": "007", "id": "0x10", "mode": "1_0",
         "sum": "+1", "tiny": "0.00001"},
    "a: -1.5\nb: 0\nc: True\nd: FALSE\ne: ~\nf:\ng: NULL\nh: 123456789.123456789":
        {"a": -1.5, "b": 0, "c": True, "d": False, "e": None, "f": None, "g": None, "h": "123456789.123456789"},
    "a: =\nb: <<\nd: '1.5'\ne: -0": {"a": "=", "b": "<<", "d": "1.5", "e": "-0"},
    "2: a\ntrue: b": {"2": "a", "True": "b"},
    "half: \"\\ud800\"": {"half": "?"},
    "a: &x [1]\nb: *x": {"a": [1]},  # aliases are not read: a few lines of them expand to gigabytes
    "a: &a [x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]": {"a": ["x"]},
    "run: !!python/object/apply:os.system [ls]": {},
    "a: [1, 2": {},
    "a: " + "[" * 5000: {},
    "a: " + "9" * 5000: {"a": "9" * 5000},
    "a: 1\n" + "b: " + "x" * 70_000: {},
}  # fmt: skip


@pytest.mark.parametrize("yaml", METADATA, ids=lambda yaml: yaml[:20])
def test_metadata(tmp_path: Path, yaml: str) -> None:
    assert read(tmp_path, f"---\n{yaml}\n---\ntext").metadata == METADATA[yaml]


def test_bytes_that_are_not_utf8_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"file.md is not UTF-8: byte 11 in line 2 is 0xff\. Save it as UTF-8\."):
        read(tmp_path, b"first line\n\xff\xff")
    with pytest.raises(InputError, match="iconv -f GB18030"):
        read(tmp_path, "连接超时".encode("gb18030"))


def test_binary_and_large_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="looks binary: a NUL in line 2"):
        read(tmp_path, "text\nmore\0")
    with pytest.raises(InputError, match="has 11 bytes or more; the limit is 10"):
        read(tmp_path, "x" * 11, max_bytes=10)


def test_a_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone.md cannot be read: No such file"):
        read_document(SourceFile("gone.md", str(tmp_path / "gone.md"), 1, 0))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_file_that_became_a_pipe_is_an_input_error(tmp_path: Path) -> None:
    """Since it was found; a link to a device is none either."""
    os.mkfifo(tmp_path / "a.md")
    (tmp_path / "b.md").symlink_to("/dev/zero")
    for name in ("a.md", "b.md"):
        with pytest.raises(InputError, match=f"{name} cannot be read: is not a regular file"):
            read_document(SourceFile(name, str(tmp_path / name), 1, 1))


def test_a_file_that_keeps_changing_is_read_whole_or_refused(tmp_path: Path) -> None:
    path, stop = tmp_path / "busy.md", threading.Event()
    path.write_bytes(b"a" * 100_000)

    def write() -> None:
        while not stop.is_set():
            for letter in (b"a", b"b"):
                path.write_bytes(letter * 100_000)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            try:
                text = read_document(SourceFile("busy.md", str(path), 100_000, 0)).text
            except InputError as error:
                assert "changes while it is read" in str(error)
            else:
                assert len(set(text)) <= 1
    finally:
        stop.set()
        writer.join()
