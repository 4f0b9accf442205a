"""Commands and addresses that open a file at a line, in the forms that editors take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

_GOTO = {"code", "code-insiders", "codium", "cursor", "windsurf", "positron"}  # -g FILE:LINE
_COLON = {"zed", "zeditor", "subl", "hx", "helix", "atom", "lapce"}  # FILE:LINE
_PLUS = {
    "vi",
    "vim",
    "nvim",
    "gvim",
    "mvim",
    "view",
    "nano",
    "emacs",
    "emacsclient",
    "kak",
    "micro",
    "joe",
    "ne",
    "jed",
    "sensible-editor",
}
_LINE = {"idea", "pycharm", "webstorm", "goland", "clion", "rubymine", "phpstorm", "rustrover", "kate", "gedit"}
LINKS = {
    "file": "file://{path}#L{line}",
    "vscode": "vscode://file{path}:{line}",
    "cursor": "cursor://file{path}:{line}",
    "windsurf": "windsurf://file{path}:{line}",
    "zed": "zed://file{path}:{line}",
    "idea": "idea://open?file={path}&line={line}",
    "textmate": "txmt://open?url=file://{path}&line={line}",
}


def editor_command(editor: Sequence[str], path: Path, line: int) -> list[str]:
    """Return the command that opens `path` at `line`.

    An unknown editor gets the file alone.

    Args:
        editor: program and its own arguments, such as ["emacsclient", "-n"].
        path: absolute path of the file.
        line: counted from 1.
    """
    name = Path(editor[0]).name.removesuffix(".exe").removesuffix(".cmd")
    if name in _GOTO:
        return [*editor, "-g", f"{path}:{line}"]
    if name in _COLON:
        return [*editor, f"{path}:{line}"]
    if name in _PLUS:
        return [*editor, f"+{line}", str(path)]
    if name in _LINE:
        return [*editor, "--line", str(line), str(path)]
    return [*editor, str(path)]


def link(form: str, path: Path, line: int) -> str:
    """Return the address behind a path on a terminal.

    Args:
        form: a key of LINKS, or a template with {path} and {line}.
        path: absolute path of the file.
        line: counted from 1.
    """
    template = LINKS.get(form, form)
    return template.replace("{path}", quote(path.as_posix())).replace("{line}", str(line))
