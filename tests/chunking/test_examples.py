"""What single documents become: one small text for each thing that Markdown has."""

from __future__ import annotations

import re

import pytest

from rag_search.chunking import MIN_BUDGET, chunk_document
from rag_search.records import Chunk
from tests.chunking.counting import count_tokens
from tests.chunking.test_partition import check, document

FILLER = "Words that fill the section. " * 8


def only(text: str, *, title: str = "Title", max_tokens: int = 256) -> Chunk:
    (chunk,) = check(text, title=title, max_tokens=max_tokens)
    return chunk


def body(text: str) -> str:
    """The passage without its head, which here is the title alone."""
    return only(text).passage.removeprefix("Title").removeprefix("\n")


def test_heading_paths_leave_the_title_out() -> None:
    text = (
        f"# Redis 手册\n\n{FILLER}\n\n## 连接池\n\n{FILLER}\n\n#### Deep\n\n{FILLER}\n\n## 超时 `timeout`\n\n{FILLER}\n"
    )
    chunks = check(text, title="Redis 手册")
    assert [chunk.heading_path for chunk in chunks] == [(), ("连接池",), ("连接池", "Deep"), ("超时 timeout",)]
    assert chunks[2].passage.startswith("Redis 手册\n连接池 > Deep\nWords that fill")
    assert [(chunk.line_start, chunk.line_end) for chunk in chunks] == [(1, 3), (5, 7), (9, 11), (13, 15)]


def test_another_first_heading_than_the_title_is_kept() -> None:
    assert only(f"# Overview\n\n{FILLER}", title="Redis").heading_path == ("Overview",)


def test_setext_headings_and_marks_in_headings() -> None:
    text = f"**Bold** [link](http://a.example) {{#id}}\n===\n\n{FILLER}\n\nTwo\n---\n\n{FILLER}\n"
    assert [chunk.heading_path for chunk in check(text)] == [("Bold link",), ("Bold link", "Two")]


def test_headings_in_quotes_and_lists_make_no_sections() -> None:
    assert only("> # Quoted\n> text\n\n- # Listed\n").heading_path == ()


def test_duplicate_headings_stay_apart() -> None:
    assert [chunk.heading_path for chunk in check(f"## A\n\n{FILLER}\n\n## A\n\n{FILLER}\n")] == [("A",), ("A",)]


def test_a_heading_without_text_goes_with_what_follows() -> None:
    chunks = check(f"# Title\n\n## Parent\n\n### Child\n\n{FILLER}\n")
    assert [chunk.heading_path for chunk in chunks] == [("Parent", "Child")]
    assert chunks[0].passage == f"Title\nParent > Child\n{FILLER.strip()}"


def test_a_last_heading_without_text_goes_with_what_precedes() -> None:
    assert len(check(f"## A\n\n{FILLER}\n\n## B\n")) == 1


def test_tiny_sections_are_joined_under_what_they_have_in_common() -> None:
    chunk = only("## Codes\n\n### E1\n\nTimeout.\n\n### E2\n\nRefused.\n")
    assert chunk.heading_path == ("Codes",)
    assert chunk.passage == "Title\nCodes\nE1\n\nTimeout.\n\nE2\n\nRefused."


def test_a_long_section_is_filled_evenly() -> None:
    chunks = check("A sentence of eight words, no more here.\n\n" * 10, max_tokens=100)
    lengths = [int(count_tokens([chunk.text])[0]) for chunk in chunks]
    assert max(lengths) - min(lengths) <= 12


def test_a_split_table_repeats_its_head() -> None:
    chunks = check(
        "| code | meaning |\n|---|---|\n" + "".join(f"| E{n} | time out |\n" for n in range(40)), max_tokens=60
    )
    assert len(chunks) > 2
    assert all("code | meaning" in chunk.passage and "---" not in chunk.passage for chunk in chunks)


def test_a_split_fence_repeats_its_first_line() -> None:
    chunks = check("```python\n" + "value = call(argument)\n" * 40 + "```\n", max_tokens=60)
    assert len(chunks) > 2
    assert all("```python\n" in chunk.passage for chunk in chunks)


def test_code_is_not_touched() -> None:
    code = "```c\n  a[0] = *b; // **no** [x](y) <b>\n```"
    assert body(code) == code


def test_a_paragraph_that_ends_in_a_colon_stays_with_its_list() -> None:
    text = f"{FILLER}\n\n{FILLER}\n\n请检查：\n\n" + "- an item that is not very short\n" * 8
    chunks = check(text, max_tokens=180)
    assert next(chunk for chunk in chunks if "请检查" in chunk.text).text.count("- an item") > 0


def test_sentences_are_cut_at_chinese_punctuation() -> None:
    chunks = check("连接超时时请检查网络。" * 20, max_tokens=40)
    assert all(chunk.text.endswith("。") for chunk in chunks)


def test_what_nobody_sees_does_not_reach_the_passage() -> None:
    text = (
        'Read [the *guide*](http://target.example/path_a "tip") and ![a diagram](img.png).<!-- secret\nmore -->\n\n'
        "<!--\nsecret\n\nblock\n-->\n\n"
        "[ref][label], [label] and <http://shown.example>.\n\n[label]: http://target.example/b\n\n"
        '<div class="x">in a box<br/>next</div>\n\n<script>\nlet secret\n</script>\n'
    )
    passage = only(text).passage
    assert "Read the guide and a diagram." in passage
    assert "ref, label and http://shown.example." in passage
    assert "in a box next" in passage
    assert "target.example" not in passage and "secret" not in passage and "class" not in passage


def test_front_matter_is_in_the_text_and_not_in_the_passage() -> None:
    chunk = only("---\ntitle: Title\nsecret: x\n---\n# Title\n\nText.\n")
    assert chunk.passage == "Title\nText."
    assert (chunk.start, chunk.line_start, chunk.heading_path) == (0, 1, ())


def test_a_file_may_begin_with_a_rule() -> None:
    assert body("---\n\nText one.\n\n---\n") == "Text one."


def test_containers_imports_and_quotes_are_text() -> None:
    text = "import Tabs from '@theme/Tabs'\n\n::: tip 提示\nUse a pool.\n:::\n\n> Quoted\n> twice\n"
    assert body(text) == "import Tabs from '@theme/Tabs'\n\ntip 提示\nUse a pool.\n\nQuoted\ntwice"


def test_nested_lists_keep_their_marks() -> None:
    assert body("- a\n  - b\n    1. c\n") == "- a\n  - b\n    1. c"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end: str) -> None:
    chunks = check(f"## A\n\n{FILLER}\n\n## B\n\n{FILLER}\u2028{FILLER}\n".replace("\n", end))
    assert [(chunk.line_start, chunk.line_end, chunk.heading_path) for chunk in chunks] == [
        (1, 3, ("A",)),
        (5, 7, ("B",)),
    ]
    assert "\r" not in chunks[0].passage


def test_a_comment_alone_is_found_by_its_title() -> None:
    assert only("<!-- nothing to see -->").passage == "Title"


def test_every_passage_line_knows_its_line() -> None:
    """The line of a passage line is that of its first visible character, in a split table and fence as well."""
    text = (
        "---\ntitle: Title\n---\n\n# Part one\n\n<!-- hidden\n\nlines -->\n\nword11 and **word11b**\nword12\n\n\n"
        "> word15\n> word16\n\nSetext18\n---\n\n- word21 [link\n  word22](http://a.example)\n\n[label]: http://a.example\n\n"
        "```py\n" + "".join(f"word{number}()\n" for number in range(27, 60)) + "```\n\n"
        "| head62 | b |\n|---|---|\n" + "".join(f"| word{number} | b |\n" for number in range(64, 90))
    )
    lines = text.split("\n")
    checked = set()
    for chunk in check(text, max_tokens=60):
        assert len(chunk.passage_lines) == chunk.passage.count("\n") + 1
        for shown, number in zip(chunk.passage.split("\n"), chunk.passage_lines, strict=True):
            words = re.findall(r"(?:word|head)(\d\d)b?\b", shown)
            assert not words or (number == int(words[0]) and words[0] in lines[number - 1])
            checked.add(number)
            assert number or shown in ("Title", "Part one", "Part one > Setext18", "Setext18")
    assert {11, 12, 15, 16, 21, 22, *range(27, 60), 62, *range(64, 90)} <= checked


@pytest.mark.parametrize("text", ["", " \n\t\r\n", "\u200b\u202e\n"])
def test_blank_text_has_no_chunks(text: str) -> None:
    assert chunk_document(document(text), count_tokens=count_tokens) == []


def test_a_long_title_leaves_room_for_the_text() -> None:
    chunk = only("The answer.", title="word " * 400, max_tokens=64)
    assert chunk.passage.endswith("\nThe answer.") and chunk.passage.startswith("word word")


def test_a_heading_too_long_for_the_head_stays_in_the_text() -> None:
    chunks = check("# " + "Unusual heading text. " * 60 + "\n\nThe answer.\n", max_tokens=64)
    assert sum(chunk.passage.count("Unusual heading") for chunk in chunks) >= 60


def test_the_budget_has_a_least_value() -> None:
    with pytest.raises(ValueError, match="the least is 16"):
        chunk_document(document("text"), count_tokens=count_tokens, max_tokens=MIN_BUDGET - 1)
