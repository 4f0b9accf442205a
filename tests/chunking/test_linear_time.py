"""Time grows with the length of a text and no faster, whatever the text is: large ones end within a generous bound."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.chunking.hostile import HOSTILE

SIZE = 1_000_000
LIMIT_S = 300  # measured: at most 30 s on two busy cores; quadratic time would take hours

PROGRAM = """
import sys
from tests.chunking.hostile import HOSTILE
from tests.chunking.test_partition import check
check(HOSTILE[sys.argv[1]](int(sys.argv[2])))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_million_characters(name: str) -> None:
    subprocess.run([sys.executable, "-c", PROGRAM, name, str(SIZE)], check=True, timeout=LIMIT_S)


@pytest.mark.slow
def test_fifty_megabytes_of_ordinary_markdown() -> None:
    program = """
from tests.chunking.test_partition import check
section = "## 连接池 {}\\n\\n连接超时时，请先检查 `maxIdleTime`。Then.\\n\\n- [one](http://a.example/b)\\n- b\\n\\n"
text = "# Title\\n\\n" + "".join(section.format(number) * 4 for number in range(50_000_000 // 500))
check(text)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=1200)
