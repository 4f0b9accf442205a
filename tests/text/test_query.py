import pytest

from rag_search.errors import InputError
from rag_search.text.query import MAX_QUERY_CHARS, Query, parse_query, parse_where


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("如何解决Redis连接超时", Query("如何解决Redis连接超时")),
        ("[面向新手] 如何解决Redis连接超时", Query("如何解决Redis连接超时", "面向新手", is_bracketed=True)),
        ("  [2024年最新]Redis 部署 ", Query("Redis 部署", "2024年最新", is_bracketed=True)),
        ("[] redis", Query("redis")),
        ("[]", Query("[]")),
        ("[docs](https://example.org) broken", Query("[docs](https://example.org) broken")),
        (r"\[ERROR] connection refused", Query("[ERROR] connection refused")),
        ("array[0] out of range", Query("array[0] out of range")),
        ("[[wiki]] link", Query("[[wiki]] link")),
        ("a\x00b", Query("a b")),
        ("bad \ud800 surrogate", Query("bad ? surrogate")),
    ],
)
def test_brackets_are_the_instruction_and_the_rest_is_searched(raw: str, expected: Query) -> None:
    assert parse_query(raw) == expected


def test_half_an_emoji_in_an_instruction_is_a_question_mark() -> None:
    assert parse_query("[a \ud83d] text").instruction == "a ?"
    assert parse_query("text", instruction="\udcff b").instruction == "? b"


def test_an_explicit_instruction_wins() -> None:
    """An instruction of its own replaces the one in brackets, which is not searched either."""
    assert parse_query("[a] text", instruction="b") == Query("text", "b")


@pytest.mark.parametrize("raw", ["", "  \n", "[only an instruction]", "\x00"])
def test_nothing_to_search_is_an_error(raw: str) -> None:
    with pytest.raises(InputError, match="empty"):
        parse_query(raw)


def test_an_instruction_alone_is_told_apart() -> None:
    with pytest.raises(InputError, match=r"after its instruction \[for beginners\]") as raised:
        parse_query("[for beginners]")
    assert raised.value.remedy == r"Write a question after it, or \[for beginners] to search for it."


def test_a_novel_is_no_query() -> None:
    with pytest.raises(InputError, match="limit"):
        parse_query("x" * (MAX_QUERY_CHARS + 1))


def test_conditions_hold_together_or_are_refused() -> None:
    """A second value of a key would have replaced the first, and the search would have said nothing of it."""
    assert parse_where(["tags=a=b", "lang=", "tags=a=b"]) == {"tags": "a=b", "lang": ""}
    with pytest.raises(InputError, match="'tags' is given twice, as 'a' and 'b'"):
        parse_where(["tags=a", "tags=b"])
    with pytest.raises(InputError, match="is not KEY=VALUE"):
        parse_where(["=a"])
