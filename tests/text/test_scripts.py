from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_search.text.scripts import LATIN, is_passage_in, is_written_in, main_script

CASES = {
    "how to fix a redis timeout": LATIN,
    "Tiếng Việt rất đẹp, cómo está": LATIN,
    "": LATIN,
    "1234 --- !!": LATIN,
    "The word 你好 appears in this English passage about greetings and that is all.": LATIN,
    "如何解决Redis连接超时": "cjk",
    "在 Kubernetes 中配置 ingress-nginx controller annotations": "cjk",
    "プールの接続": "cjk",
    "연결 시간 초과": "cjk",
    "Как настроить redis": "cyrillic",
    "Ρύθμιση του redis": "greek",
    "إعدادات المهلة": "arabic",
    "הגדרות": "hebrew",
    "समय सीमा": "indic",
    "หมดเวลาการเชื่อมต่อ": "unspaced",
}


@pytest.mark.parametrize(("text", "script"), CASES.items())
def test_main_script(text: str, script: str) -> None:
    assert main_script(text) == script


@given(st.text("aeinrst 0.中文超时连接", max_size=200))
def test_a_text_is_written_in_its_main_script(text: str) -> None:
    assert is_written_in(text, main_script(text))


def test_a_passage_of_two_scripts_is_written_in_both() -> None:
    text = "Как настроить 连接超时"
    assert is_written_in(text, "cjk")
    assert is_written_in(text, "cyrillic")
    assert not is_written_in(text, LATIN)


@pytest.mark.parametrize(
    ("passage", "scripts"),
    [
        ("连接池\n连接池 > 超时\n" + "redis.max_total = 200\n" * 20, {"cjk"}),  # nothing but code under its headings
        ("Redis\nRedis > pool\n把 maxTotal 调大，再看连接池是否耗尽。", {"cjk"}),
        ("Pools\nPools > Timeouts\nRaise maxTotal.", {LATIN}),
        ("", {LATIN}),
    ],
)
def test_headings_tell_the_script_of_code(passage: str, scripts: set[str]) -> None:
    assert {script for script in ("cjk", LATIN) if is_passage_in(passage, script)} == scripts
