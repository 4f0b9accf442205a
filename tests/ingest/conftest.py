from pathlib import Path

import pytest


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.md").write_text("# Alpha\n\nredis timeout and pools\n", "utf-8")
    (folder / "b.md").write_text("# Beta\n\nkafka lag\n\n## More\n\nconsumer groups\n", "utf-8")
    (folder / "deep" / "c.md").write_text("# 伽马\n\n连接池配置\n", "utf-8")
    return folder
