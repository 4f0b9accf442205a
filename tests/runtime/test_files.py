"""Small files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rag_search.runtime.files import open_regular, write_atomically


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """The folder is made, the content replaced, the mode set, and no temporary file stays."""
    file = tmp_path / "new" / "state.json"
    write_atomically(file, b"one", mode=0o600)
    write_atomically(file, b"two", mode=0o600)
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"two", 0o600)
    assert [path.name for path in file.parent.iterdir()] == ["state.json"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.parametrize("target", ["pipe", "/dev/zero", "folder"])
def test_what_is_not_a_file_is_not_opened(tmp_path: Path, target: str) -> None:
    """A pipe would wait for a writer, a device has no end; and nothing stays open."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.md").symlink_to(target)
    before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(OSError, match="is not a regular file"):
        open_regular(tmp_path / "a.md")
    assert len(list(Path("/dev/fd").iterdir())) == before
