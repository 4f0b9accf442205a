"""Write documents as a folder of files, for tools that read nothing else."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers.protocol import Job


def written(job: Job) -> tuple[Path, dict[str, str]]:
    """Write the folder; return it, and file path below it -> document id. Markdown keeps its paths."""
    tree = job.folder / "tree"
    names = {key if job.markdown else f"{row:06d}.md": key for row, key in enumerate(job.documents)}
    for name, key in names.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(job.documents[key], "utf-8")
    return tree, names
