import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rag_search.cli import app

DOCS = {
    "redis.md": "---\ntitle: 连接池配置指南\ncategory: api\nupdated: 2024-03-18\n---\n\n# 连接池配置指南\n\n"
    "## 连接超时\n\nRedis 连接超时多半是连接池耗尽：把 maxTotal 调大，maxWaitMillis 设为 300。\n",
    "backup.md": "---\ntitle: Backups\ncategory: ops\nupdated: 2021-01-01\n---\n\n# Backups\n\n"
    "Run pg_dump every night and copy the dump to object storage.\n",
    "deep/kafka.md": "# Kafka consumer lag\n\nAdd consumers up to the number of partitions to work off the lag.\n",
}


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The converted model, made once for all tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def project(tmp_path: Path, model_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a ragsearch.toml and some documents, as the working directory."""
    monkeypatch.setenv("RAGSEARCH_CACHE_DIR", str(model_cache))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no-config"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    folder = tmp_path / "project"
    for name, text in DOCS.items():
        (folder / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "docs" / name).write_text(text, "utf-8")
    (folder / "ragsearch.toml").write_text("", "utf-8")
    monkeypatch.chdir(folder)
    umask = os.umask(0o022)
    yield folder
    os.umask(umask)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process, as its entry point does."""

    def call(*args: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["ragsearch", *args])
        capsys.readouterr()
        try:
            app.run()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return call


@pytest.fixture
def indexed(project: Path, run: Run) -> Path:
    assert run("ingest", "docs").code == 0
    return project
