"""Lines of mixed Chinese and English: nothing lost, never too wide, broken where a reader expects it."""

from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from rag_search.render.cjk_wrap import NEVER_FIRST, breaks


def lines(text: str, width: int) -> list[str]:
    ends = [*breaks(text, width), len(text)]
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@settings(max_examples=300)
@example("`接。，", 5)
@given(st.text(alphabet="ab 连接，。`(", max_size=60), st.integers(4, 20))
def test_lines_add_up_and_fit(text: str, width: int) -> None:
    assert "".join(lines(text, width)) == text
    assert all(cell_len(line.rstrip(" ")) <= width for line in lines(text, width))


def test_chinese_goes_on_beside_english_and_words_stay_whole() -> None:
    assert lines("Redis 连接超时 maxTotal 太小", 12) == ["Redis 连接超", "时 maxTotal ", "太小"]


def test_a_line_begins_with_no_closing_mark() -> None:
    shown = lines("先查连接泄漏，再算峰值，最后改。" * 4, 12)
    assert not [line for line in shown if line[0] in NEVER_FIRST]


def test_a_run_without_a_break_is_cut_where_the_line_is_full() -> None:
    assert lines("x" * 10, 4) == ["xxxx", "xxxx", "xx"]
