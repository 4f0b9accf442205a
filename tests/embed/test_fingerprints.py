"""A folder that holds another model has another id; a hub name is its own."""

from __future__ import annotations

from pathlib import Path

from rag_search.embed.fingerprints import files_id


def test_ids(tmp_path: Path) -> None:
    assert files_id("Qwen/Qwen3-Embedding-4B") == "Qwen/Qwen3-Embedding-4B"
    (tmp_path / "model.safetensors").write_bytes(b"one" * 10)
    first = files_id(str(tmp_path))
    (tmp_path / "README.md").write_text("nothing that a model reads", "utf-8")
    assert files_id(str(tmp_path)) == first
    (tmp_path / "model.safetensors").write_bytes(b"two" * 10)
    second = files_id(str(tmp_path))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text("{}", "utf-8")
    assert len({first, second, files_id(str(tmp_path))}) == 3
