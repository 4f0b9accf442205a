"""An error of one file is its own failure: the others are ingested, and the next run tries again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rag_search.documents import SourceFile
from rag_search.errors import EngineError
from rag_search.ingest.prepare import Prepared, prepare_files, prepare_texts
from rag_search.ingest.reports import Failure, IngestOptions

OPTIONS = IngestOptions(256, 2**20)


def failing(error: Exception) -> Callable[[Sequence[str]], NDArray[np.int64]]:
    """A tokenizer that fails at texts that contain "boom"."""

    def count(texts: Sequence[str]) -> NDArray[np.int64]:
        if any("boom" in text for text in texts):
            raise error
        return np.array([len(text.split()) for text in texts], np.int64)

    return count


def write(folder: Path) -> list[SourceFile]:
    """Three files; the second one makes the tokenizer fail."""
    sources = []
    for name, text in (("a.md", "# A\n\nfine"), ("b.md", "# B\n\nboom"), ("c.md", "# C\n\nfine")):
        (folder / name).write_text(text, "utf-8")
        info = (folder / name).stat()
        sources.append(SourceFile(name, str(folder / name), info.st_size, info.st_mtime_ns))
    return sources


@pytest.mark.parametrize(
    "error", [ValueError("zz"), RecursionError("deep"), KeyError("k"), MemoryError(), IndexError()]
)
def test_any_error_of_a_file_is_its_failure(tmp_path: Path, error: Exception) -> None:
    """The failure has the name of the file and the class of the error."""
    outcomes = [item.outcome for item in prepare_files(write(tmp_path), count_tokens=failing(error), options=OPTIONS)]
    assert [type(outcome) for outcome in outcomes] == [Prepared, Failure, Prepared]
    assert isinstance(outcomes[1], Failure)
    assert outcomes[1].path == "b.md"
    assert type(error).__name__ in outcomes[1].reason


def test_any_error_of_a_text_is_its_failure() -> None:
    rows = [("1", "", "fine"), ("2", "", "boom"), ("3", "", "fine")]
    items = prepare_texts(rows, {}, count_tokens=failing(ValueError("zz")), options=OPTIONS)
    assert [type(item.outcome) for item in items] == [Prepared, Failure, Prepared]


def test_an_engine_that_fails_ends_the_ingest(tmp_path: Path) -> None:
    """What all files need is not the failure of one."""
    with pytest.raises(EngineError, match="gone"):
        list(prepare_files(write(tmp_path), count_tokens=failing(EngineError("gone")), options=OPTIONS))


@pytest.mark.parametrize(
    "front_matter",
    ["x: !!bool zz", "x: !!int zz", "x: !!float zz", "x: !!timestamp zz", "x: !!binary '%'", "x: !!set [1]",
     "x: !!python/object/apply:os.system ['id']", "x: &a [*a]", "? {a: b}\n: c", "x: !!omap 1",
     "x: 2026-99-99", "\t: x"],
)  # fmt: skip
def test_front_matter_of_any_tag(tmp_path: Path, front_matter: str) -> None:
    """Explicit YAML tags that do not fit are no error of the ingest."""
    sources = write(tmp_path)
    (tmp_path / "a.md").write_text(f"---\n{front_matter}\n---\n# A\n\nfine", "utf-8")
    info = (tmp_path / "a.md").stat()
    sources[0] = SourceFile("a.md", str(tmp_path / "a.md"), info.st_size, info.st_mtime_ns)
    items = list(prepare_files(sources[::2], count_tokens=failing(ValueError()), options=OPTIONS))
    assert len(items) == 2
    assert isinstance(items[1].outcome, Prepared)
