from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the index of a test goes; not made yet."""
    return tmp_path / "index"
