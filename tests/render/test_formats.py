import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from rag_search.chunking import chunk_document
from rag_search.records import Chunk, Document, EngineNames, Hit, SearchResult, StageScores
from rag_search.render.formats import BATCH_FORMATS, CSV_FIELDS, FORMATS, as_dict
from rag_search.render.paths import PathMapper
from rag_search.render.snippet import highlights, snippet, snippet_with_best
from rag_search.render.table import print_table
from rag_search.text.passages import body_of
from rag_search.text.sanitize import plain
from tests.chunking.counting import count_tokens

MAPPER = PathMapper(Path("/srv/project"), Path("/srv/project"))
HOSTILE = (
    "[bold red]x[/] \x1b[31mred\x1b[0m \x1b]0;title\x07 <script>alert(1)</script> \u202eevil\u202c \x9b2J \u2028 =1+1"
)


def chunk(text: str, *, path: str = "docs/a.md", title: str = "Title") -> Chunk:
    return Chunk(path, title, 0, text, ("Part",), 0, len(text), 3, 9, text, 0)


def result(*texts: str, **changes: object) -> SearchResult:
    hits = tuple(
        Hit(chunk(text), rank, 0.9 / rank, StageScores(0.8, None, 1.5, 0.9 / rank))
        for rank, text in enumerate(texts, 1)
    )
    found = SearchResult("redis timeout", None, hits, EngineNames("e", "r", "i"), {"total": 1.23456})
    return replace(found, **changes)  # type: ignore[arg-type]


def table(shown: SearchResult, *, width: int, terminal: bool = False, explain: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, highlight=False, emoji=False, markup=False)
    print_table(console, shown, MAPPER, explain=explain)
    return out.getvalue()


@pytest.mark.parametrize(
    ("pattern", "stored"),
    [
        ("docs", "docs"),
        ("./docs/*", "docs/*"),
        ("docs/**/a.md", "docs/**/a.md"),
        (".", "*"),
        ("..", "*"),
        ("/", "*"),
        ("!..", "!*"),
        ("../other", "/srv/other"),
        ("*.md", "*.md"),
        ("**/a.md", "**/a.md"),
        ("/srv/project/docs/*", "docs/*"),
        ("../other/*", "/srv/other/*"),
        ("docs/[ab]/x.md", "docs/[ab]/x.md"),
        ("!./docs/*", "!docs/*"),
        ("!*.md", "!*.md"),
    ],
)
def test_patterns_are_meant_as_paths_are_shown(pattern: str, stored: str) -> None:
    assert MAPPER.stored_pattern(pattern) == stored


def test_patterns_from_other_folders() -> None:
    outside = PathMapper(
        Path("/data/indexes/default"), Path("/home/me/[notes]")
    )  # no project: stored paths are absolute
    assert outside.stored_pattern("docs/*.md") == "/home/me/[[]notes]/docs/*.md"
    assert outside.stored_pattern("docs") == "/home/me/[notes]/docs"
    assert outside.stored_pattern("*.md") == "*.md"
    below = PathMapper(Path("/srv/project"), Path("/srv/project/docs"))
    assert list(map(below.stored_pattern, ("api/*", ".", "..", "../*"))) == ["docs/api/*", "docs", "*", "*"]


def test_json_has_the_promised_fields() -> None:
    document = json.loads(FORMATS["json"]([result("some text")], MAPPER))
    assert document["schema"] == 1
    assert document["engine"] == {"embedder": "e", "reranker": "r", "index": "i"}
    assert document["timings_ms"] == {"total": 1.235}
    (hit,) = document["hits"]
    assert (hit["rank"], hit["score"], hit["path"], hit["line_start"], hit["line_end"]) == (1, 0.9, "docs/a.md", 3, 9)
    assert (hit["title"], hit["heading_path"], hit["text"]) == ("Title", ["Part"], "some text")
    assert hit["scores"] == {"dense": 0.8, "lexical": None, "fused": 1.5, "rerank": 0.9}


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_no_hits_are_still_a_valid_document(name: str) -> None:
    text = FORMATS[name]([result()], MAPPER)
    if name == "json":
        assert json.loads(text)["hits"] == []
    elif name == "csv":
        assert text == ",".join(CSV_FIELDS) + "\r\n"
    elif name == "md":
        assert "no confident match" in text
    elif name == "xml":
        assert "<result " in text
        assert "<hit " not in text
    else:
        assert text == ""


def test_many_queries_are_a_list_in_json_and_lines_in_jsonl() -> None:
    both = [result("a"), result("b", "c")]
    assert [len(document["hits"]) for document in json.loads(BATCH_FORMATS["json"](both, MAPPER))] == [1, 2]
    assert len(FORMATS["jsonl"](both, MAPPER).split("\n")) == 4


@given(st.text(max_size=200))
def test_jsonl_stays_one_line_a_hit_and_csv_reads_back(text: str) -> None:
    lines = FORMATS["jsonl"]([result(text)], MAPPER)
    assert len(lines.splitlines()) == 1
    assert json.loads(lines)["text"] == text
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"]([result(text)], MAPPER), newline="")))
    assert rows[0]["text"].removeprefix("'") == plain(text).removeprefix("'")


@pytest.mark.parametrize("sign", "=+-@\t\n\r\u2028＝＋－＠")
@pytest.mark.parametrize("hidden", ["", "\u200b", "\ufeff", "\x1b[1m", "\x00"])
def test_a_cell_is_never_a_formula(sign: str, hidden: str) -> None:
    """A sign behind a character that is removed comes first in the cell."""
    text = f'{hidden}{sign}HYPERLINK("http://x")'
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"]([result(text)], MAPPER), newline="")))
    assert rows[0]["text"].startswith("'")


@pytest.mark.parametrize("name", ["md", "files"])
def test_hostile_text_stays_text_in_files(name: str) -> None:
    text = FORMATS[name]([result(HOSTILE)], MAPPER)
    assert not set(text) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert "<script>" not in text


OBEYED = [
    *map(chr, (*range(0x20), *range(0x7F, 0xA0))),
    *"\u061c\u200b\u200e\u200f\u2028\u2029\u202e\u2066\u2069\ufeff\ud800\udcff\U000e0041",
    "\x1b]0;t\x07",
    "\r\n",
]


def hostile_result(char: str) -> SearchResult:
    """Return a hit with `char` in its path, titles, text, and in the query; and a near miss."""
    forged = f"a{char}docs/forged.md:1:1: text{char}"
    hostile = replace(chunk(f"{forged} redis", path=forged, title=forged), heading_path=(forged,))
    hit = Hit(hostile, 1, 0.9, StageScores(), exact=(forged,), same_in=(forged,))
    found = replace(result(), query=f"redis {char}", hits=(hit,), notes=(forged,))
    return replace(found, near_misses=(hit,), threshold=0.5)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_no_format_holds_what_a_terminal_obeys(name: str) -> None:
    """Not in its path, titles, text or query; nor does a line feed in a path make a line that looks like a hit."""
    for char in OBEYED:
        found = hostile_result(char)
        text = FORMATS[name]([found], MAPPER)
        ends = text.replace("\r\n", "\n") if name == "csv" else text
        assert plain(ends) == ends, ascii(char)
        text.encode("utf-8")
        if name in ("files", "paths", "lines", "vimgrep", "jsonl"):
            assert len(text.splitlines()) == 1, ascii(char)
        if name == "json":
            assert json.loads(text) == as_dict(found, MAPPER)


def test_no_line_of_a_table_is_forged() -> None:
    """The table of a hit with a hostile path, titles and note has the lines of one with harmless ones."""
    harmless = table(hostile_result("_"), width=200, explain=True).splitlines()
    for char in (char for char in OBEYED if char not in "\ud800\udcff"):  # no index holds those in a path
        shown = table(hostile_result(char), width=200, explain=True)
        assert plain(shown) == shown, ascii(char)
        assert len(shown.splitlines()) == len(harmless), ascii(char)


def test_paths_stay_different() -> None:
    """What a terminal would obey is shown as an escape, so no path looks like that of another file."""
    paths = ["a.md", "a\u200b.md", "a\n.md", "a\r.md", "a\x9b.md", "a\u202e.md", "a\udcff.md"]
    shown = [MAPPER.printed(path) for path in paths]
    assert shown == ["a.md", r"a\u200b.md", r"a\n.md", r"a\r.md", r"a\x9b.md", r"a\u202e.md", r"a\udcff.md"]
    assert MAPPER.printed("文档/über é.md") == "文档/über é.md"


@pytest.mark.parametrize("terminal", [True, False])
def test_hostile_text_stays_text_in_the_table(terminal: bool) -> None:
    clean = table(result("harmless"), width=100, terminal=terminal)
    shown = table(result(HOSTILE), width=100, terminal=terminal)
    assert "[bold red]x[/]" in shown  # markup is shown, not obeyed
    for forbidden in ("\x07", "\x9b", "\u202e", "\x1b]0;"):
        assert forbidden not in shown
    if not terminal:
        assert "\x1b" not in shown + clean


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_table_fits_the_terminal(width: int) -> None:
    text = "连接池配置 maxTotal 太小会导致连接超时。" * 20
    lines = table(result(text, "short", text), width=width, explain=True).split("\n")
    assert max(cell_len(line) for line in lines) <= width
    assert any("docs/a.md:3" in line for line in lines)


@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_a_path_is_never_broken(width: int) -> None:
    """A path that is longer than the line is still one line, so that it can be copied and clicked."""
    path = "docs/" + "a-long-folder-name/" * 6 + "file.md"
    hit = Hit(chunk("some text " * 30, path=path), 1, 0.9, StageScores())
    lines = table(replace(result(), hits=(hit,)), width=width).split("\n")
    assert sum(f"{path}:3" in line for line in lines) == 1
    assert max(cell_len(line) for line in lines if path not in line) <= width


def test_a_narrow_terminal_gets_blocks() -> None:
    """Below 60 cells text begins at the left edge, and rank and score have a line of their own."""
    lines = table(result("连接池配置 maxTotal 太小会导致连接超时。" * 5), width=40).split("\n")
    assert lines[:3] == ["1  0.90", "Title › Part", "docs/a.md:3"]
    assert lines[3].startswith("连接池配置")


def test_paths_lead_to_the_editor() -> None:
    """The setting cli.links chooses the address behind a path."""
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, highlight=False, emoji=False, markup=False)
    print_table(console, result("text"), MAPPER, links="vscode")
    assert "vscode://file/srv/project/docs/a.md:3" in out.getvalue()


def test_no_match_is_said_with_the_closest_passage() -> None:
    shown = table(
        result(confident=False, threshold=0.4, near_misses=(Hit(chunk("text"), 1, 0.12, StageScores()),)), width=80
    )
    assert "No confident match. Nearest:" in shown
    assert "docs/a.md:3" in shown


@given(st.text(max_size=400), st.integers(20, 200))
def test_a_snippet_is_one_safe_line_of_bounded_width(text: str, cells: int) -> None:
    line = snippet(text, "redis timeout", cells=cells)
    assert "\n" not in line
    assert cell_len(line) <= cells


def test_a_snippet_shows_the_sentence_that_the_query_is_about() -> None:
    text = "# Head\n\nIntro words. " + "Filler sentence here. " * 20 + "Set maxWaitMillis to 300. After that restart."
    assert "maxWaitMillis to 300" in snippet(text, "what is maxWaitMillis", cells=80)
    chinese = "先说背景。" * 30 + "连接超时时调大 maxTotal。" + "其他。" * 30
    assert "连接超时时调大" in snippet(chinese, "如何解决连接超时", cells=60)


@pytest.mark.parametrize("cells", [30, 60, 400])
def test_the_span_of_the_best_sentence(cells: int) -> None:
    text = "Intro words. 连接超时时调大 maxTotal。 After that restart."
    line, (start, stop) = snippet_with_best(text, "连接超时", cells=cells)
    assert line == snippet(text, "连接超时", cells=cells)
    assert line[start:stop].rstrip("…") == "连接超时时调大 maxTotal。"[: stop - start].rstrip("…")


def test_a_snippet_puts_no_space_after_a_full_width_mark() -> None:
    assert (
        snippet("先看日志。再调大\nmaxTotal。See the guide. Done.", "日志", cells=200)
        == "先看日志。再调大 maxTotal。See the guide. Done."
    )


def shown(markdown: str, query: str) -> str:
    """Return the snippet of the only chunk of a Markdown text."""
    (only,) = chunk_document(Document("a.md", "Title", markdown, {}, "", ""), count_tokens=count_tokens)
    return snippet(body_of(only), query, cells=200)


def test_a_snippet_shows_words_without_their_markup() -> None:
    text = "Use **maxIdle** as in [the guide](../pool.md), never ![x](y.png) or `__init__`."
    assert shown(text, "maxIdle") == "Use maxIdle as in the guide, never x or __init__."


def test_a_snippet_shows_nothing_hidden() -> None:
    """A comment that shares more words with the query than the text is not shown."""
    text = "<!-- TODO: the pool timeout part lies -->\n\nThe waiting limit of the socket group is three seconds.\n"
    assert shown(text, "pool timeout") == "The waiting limit of the socket group is three seconds."


def test_a_snippet_keeps_lines_of_code() -> None:
    """A comment in a shell script is not taken for a heading, nor an option for a list mark."""
    text = "```bash\n# install the agent\n- name: agent\n```\n\n- an item\n"
    assert shown(text, "install") == "# install the agent - name: agent an item"


def test_highlights_mark_words_and_not_parts_of_words() -> None:
    text = "pool and pools, Redis连接超时"
    marked = {text[start:stop] for start, stop in highlights(text, "pool 连接超时")}
    assert "pool" in marked
    assert "连接" in marked
    assert sum(text[a:b] == "pool" for a, b in highlights(text, "pool")) == 1


def test_common_words_are_not_highlighted() -> None:
    text = "the disk of the runner is full"
    assert [text[start:stop] for start, stop in highlights(text, "why is the runner full")] == ["runner", "full"]


def test_a_long_path_gets_a_block() -> None:
    """Where a path does not fit into its column it begins the line; the terminal still has its width."""
    found = result("redis")
    long_path = replace(found, hits=(replace(found.hits[0], chunk=chunk("redis", path=f"{'a' * 66}.md")),))
    assert f"\n{'a' * 66}.md:3\n" in table(long_path, width=80)
    assert f"\n{' ' * 11}{'a' * 66}.md:3\n" in table(long_path, width=90)


def test_paths_are_shown_from_where_one_stands() -> None:
    assert PathMapper(Path("/srv/p"), Path("/srv")).shown("docs/a.md") == "p/docs/a.md"
    assert PathMapper(Path("/srv/p"), Path("/home")).shown("docs/a.md") == "/srv/p/docs/a.md"
    assert PathMapper(Path("/srv/p"), Path("/srv/p")).shown("/other/a.md") == "/other/a.md"


def test_a_shown_path_leads_back_to_the_stored_one() -> None:
    for base, cwd in (("/srv/p", "/srv"), ("/srv/p", "/home"), ("/srv/p", "/srv/p"), ("/srv/p", "/srv/p/docs")):
        mapper = PathMapper(Path(base), Path(cwd))
        for stored in ("docs/a.md", "/other/a.md", "docs/../a.md"):
            assert mapper.stored(mapper.shown(stored)) == stored


def test_only_the_head_of_a_long_query_is_highlighted() -> None:
    query = "redis " + "word " * 200 + "timeout"
    assert list(highlights("a redis timeout", query)) == [(2, 7)]


def test_a_note_shows_the_path_as_hits_do() -> None:
    close = Hit(chunk("text", path="docs/a: b, c.md"), 1, -0.05, StageScores())
    elsewhere = PathMapper(Path("/srv/project"), Path("/srv"))
    refused = replace(result(), notes=("other",), threshold=0.2, near_misses=(close,))
    document = json.loads(FORMATS["json"]([refused], elsewhere))
    assert document["notes"] == ["other", "close, not confident: project/docs/a: b, c.md:3, score -0.05 < 0.20"]
    console = Console(file=io.StringIO(), width=200)
    print_table(console, refused, elsewhere, explain=True)
    assert console.file.getvalue().count("project/docs/a: b, c.md:3") == 2  # type: ignore[attr-defined]


def test_a_near_miss_is_less_than_the_threshold() -> None:
    """A note has the digits that tell both apart."""
    close = Hit(chunk("text"), 1, 0.0631, StageScores())
    refused = replace(result(), threshold=0.0639, near_misses=(close,))
    (note,) = json.loads(FORMATS["json"]([refused], MAPPER))["notes"]
    assert note.endswith("score 0.063 < 0.064")


@pytest.mark.parametrize("head", ["---\ntitle: x\n---\n", "---  \ntitle: x\n--- \n", "---\r\ntitle: x\r\n...\r\n"])
def test_front_matter_is_no_sentence(head: str) -> None:
    assert shown(f"{head}The title is this.\n", "title") == "The title is this."
    assert shown("---\n\nA rule.\n\n---\nThe rest.\n", "rule").startswith("A rule.")


@pytest.mark.parametrize(
    ("text", "sentence", "place"),
    [
        ("First.\nUse a pool. Set the *timeout* to 300.", "Set the timeout to 300.", "4:13"),
        ("First.\n连接池：把 maxTotal 调大。", "把 maxTotal 调大。", "4:13"),
        ("First.\nSecond.", "Not there.", "4:1"),
        ("First.\nSecond.", "", "4:1"),
        ("One line only.", "Second.", "4:1"),
    ],
)
def test_vimgrep_names_the_column(text: str, sentence: str, place: str) -> None:
    """It is the byte at which the best sentence begins, as ripgrep counts; 1 where that is not known."""
    found = result(text)
    hit = replace(found.hits[0], sentence=sentence, line_best=4)
    assert FORMATS["vimgrep"]([replace(found, hits=(hit,))], MAPPER).startswith(f"docs/a.md:{place}: ")


def test_xml_holds_the_hits_as_text() -> None:
    """Any parser reads it, whatever documents hold; an empty result is a document, too."""
    from xml.etree import ElementTree

    texts = ("a < b && c", f"{HOSTILE} ]]> \ud800 \ufffe \x00")
    (found,) = ElementTree.fromstring(FORMATS["xml"]([result(*texts)], MAPPER))
    assert found.attrib == {"query": "redis timeout", "confident": "true"}
    first, second = found
    assert first.text == texts[0]
    assert {name: first.attrib[name] for name in ("rank", "score", "path", "line", "heading")} == {
        "rank": "1",
        "score": "0.9000",
        "path": "docs/a.md",
        "line": "3",
        "heading": "Part",
    }
    assert second.text is not None
    assert second.text.startswith("[bold red]x[/] red")
    assert "\x1b" not in second.text
    both = ElementTree.fromstring(FORMATS["xml"]([result(), result("x")], MAPPER))
    assert [len(one) for one in both] == [0, 1]


def test_a_page_of_headings_is_shown_by_them() -> None:
    """No format shows nothing for it, and the table has no blank line below its place."""
    (page,) = chunk_document(Document("a.md", "Guides", "# Guides\n", {}, "", ""), count_tokens=count_tokens)
    found = result("x")
    found = replace(found, hits=(replace(found.hits[0], chunk=page),))
    assert FORMATS["lines"]([found], MAPPER) == "a.md:1: Guides\n"
    assert "> Guides" in FORMATS["md"]([found], MAPPER)
    lines = [line.strip() for line in table(found, width=30).rstrip().split("\n")]
    assert lines[-2:] == ["Guides", "a.md:1"]
