"""benchmarks.start_up without an index."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import start_up


def test_a_folder_without_an_index_gets_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command names the missing index and what makes one, before it times anything."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"there is no index at .*\. Run: make demo"):
        start_up.main()
