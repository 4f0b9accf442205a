"""A file opens at its line in the editors that people use."""

from pathlib import Path

import pytest

from rag_search.render.editors import editor_command, link

FILE = Path("/srv/my docs/a.md")


@pytest.mark.parametrize(
    ("editor", "command"),
    [
        (["code"], ["code", "-g", "/srv/my docs/a.md:3"]),
        (["/usr/bin/cursor", "--reuse-window"], ["/usr/bin/cursor", "--reuse-window", "-g", "/srv/my docs/a.md:3"]),
        (["vim"], ["vim", "+3", "/srv/my docs/a.md"]),
        (["emacsclient", "-n"], ["emacsclient", "-n", "+3", "/srv/my docs/a.md"]),
        (["zed"], ["zed", "/srv/my docs/a.md:3"]),
        (["idea"], ["idea", "--line", "3", "/srv/my docs/a.md"]),
        (["ed"], ["ed", "/srv/my docs/a.md"]),
    ],
)
def test_commands(editor: list[str], command: list[str]) -> None:
    assert editor_command(editor, FILE, 3) == command


@pytest.mark.parametrize(
    ("form", "address"),
    [
        ("file", "file:///srv/my%20docs/a.md#L3"),
        ("vscode", "vscode://file/srv/my%20docs/a.md:3"),
        ("subl://open?url={path}&line={line}", "subl://open?url=/srv/my%20docs/a.md&line=3"),
    ],
)
def test_links(form: str, address: str) -> None:
    assert link(form, FILE, 3) == address
