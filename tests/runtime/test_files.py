"""Small files that are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from rag_search.runtime.files import write_atomically


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """The folder is made, the content replaced, the mode set, and no temporary file stays."""
    file = tmp_path / "new" / "state.json"
    write_atomically(file, b"one", mode=0o600)
    write_atomically(file, b"two", mode=0o600)
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"two", 0o600)
    assert [path.name for path in file.parent.iterdir()] == ["state.json"]
