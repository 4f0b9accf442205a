"""What is made of the exceptions of libraries."""

from rag_search.errors import first_line


def test_the_first_line_of_an_exception() -> None:
    assert first_line(OSError("\n no such model.\nmore about it")) == "no such model"
    assert first_line(ValueError()) == "ValueError"
    assert first_line(RuntimeError(" \n ")) == "RuntimeError"
