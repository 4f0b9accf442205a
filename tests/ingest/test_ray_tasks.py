"""How files are shared out among the workers of a Ray cluster."""

from __future__ import annotations

from rag_search.documents import SourceFile
from rag_search.ingest.ray_workers import FILES_PER_TASK, _tasks


def sources(sizes: list[int]) -> list[SourceFile]:
    return [SourceFile(f"{number}.md", f"/{number}.md", size, 0) for number, size in enumerate(sizes)]


def test_tasks_hold_each_file_once_and_are_of_about_one_size() -> None:
    """Ten large files in a row end up in ten tasks, and no task holds more files than it may."""
    files = sources([1000] * 10 + [1] * 30)
    tasks = _tasks(files)
    assert sorted(file.path for task in tasks for file in task) == sorted(file.path for file in files)
    assert [sum(file.size for file in task) for task in tasks] == [1003] * 10
    assert {len(task) for task in tasks} == {FILES_PER_TASK}
    assert _tasks([]) == []
    assert [len(task) for task in _tasks(sources([3, 1, 2, 5, 4]))] == [3, 2]
