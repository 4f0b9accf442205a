"""`ragsearch open`: open a hit of the last query in the editor."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag_search.cli.common import load_config, print_json
from rag_search.text.amounts import count
from rag_search.text.sanitize import visible

if TYPE_CHECKING:
    from rag_search.config import Config
    from rag_search.records import SearchResult
    from rag_search.render.paths import PathMapper

LAST_HITS = "last_hits.json"
EDITORS = ("sensible-editor", "nano", "vim", "vi")  # without any setting, as Git and crontab do


def open_hit(
    number: Annotated[int, typer.Argument(min=1, help="Rank of the hit in the last result.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the command without running it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print path, line and command as JSON; run nothing.")] = False,
) -> None:
    """Open a hit of the last query in the editor, at its line.

    The editor is the setting cli.editor, else $VISUAL, else $EDITOR, else nano or vi.

    Example: ragsearch open 2
    """
    config = load_config()
    path, line = _hit(_last_hits(config), number)
    command = command_at(config, Path(path), line)
    if as_json:
        print_json({"path": path, "line": line, "command": command})
        return
    if dry_run:
        typer.echo(visible(shlex.join(command)))
        return
    raise typer.Exit(_run(command))


def _hit(hits: Sequence[tuple[str, int]] | None, number: int) -> tuple[str, int]:
    """Return path and line of a hit. Raises InputError if it does not exist. hits: None if no query is known."""
    from rag_search.errors import InputError

    ask = "Run: ragsearch query WORDS"
    if hits is None:
        raise InputError("there is no hit to open: no query was made yet.", remedy=ask)
    if not hits:
        raise InputError("there is no hit to open: the last query found none.", remedy=ask)
    if number > len(hits):
        found = count(len(hits), "hit")
        choose = f"Run: ragsearch open N, N from 1 to {len(hits)}" if len(hits) > 1 else "Run: ragsearch open"
        raise InputError(f"hit {number} does not exist: the last query found {found}.", remedy=choose)
    return hits[number - 1]


def open_at(config: Config, path: Path, line: int) -> int:
    """Open a file at a line and return the exit code of the editor. Raises InputError."""
    return _run(command_at(config, path, line))


def command_at(config: Config, path: Path, line: int) -> list[str]:
    """Return the command that opens a file at a line. Raises InputError for a missing file, and without an editor."""
    from rag_search.errors import InputError
    from rag_search.render.editors import editor_command

    if not path.is_file():
        raise InputError(f"{path} no longer exists.", remedy="Run: ragsearch ingest")
    chosen = config.settings.cli.editor or os.environ.get("VISUAL") or os.environ.get("EDITOR")
    editor = chosen or next(filter(shutil.which, EDITORS), "")
    try:
        words = shlex.split(editor)
    except ValueError as error:
        raise InputError(f"the editor {editor!r} is not a command: {error}.", remedy="Correct EDITOR.") from error
    if not words:
        raise InputError("no editor is set.", remedy="Set EDITOR, or run: ragsearch config set cli.editor code")
    return editor_command(words, path, line)


def _run(command: Sequence[str]) -> int:
    from rag_search.errors import InputError

    try:
        return subprocess.run(command, check=False).returncode
    except OSError as error:
        raise InputError(f"the editor {command[0]!r} cannot be run: {error}.", remedy="Set EDITOR.") from error


def remember_hits(config: Config, result: SearchResult, shown: PathMapper) -> None:
    """Write place and line of each hit, or of the nearest ones that were printed instead, for `ragsearch open`.

    A cache that cannot be written is not an error here.
    """
    from rag_search.runtime.files import write_atomically

    rows = [[str(shown.absolute(hit.chunk.path)), hit.line] for hit in result.hits or result.near_misses]
    target = config.settings.cache_dir / LAST_HITS
    try:
        write_atomically(target, json.dumps(rows).encode(), mode=0o600)
    except OSError:
        return


def _last_hits(config: Config) -> list[tuple[str, int]] | None:
    """Return path and line of each hit of the last query; None if it is unknown, or another user wrote it."""
    from rag_search.errors import ForeignFileError
    from rag_search.runtime.files import read_own
    from rag_search.runtime.foreign_json import is_whole, parse_json

    try:
        rows = parse_json(read_own(config.settings.cache_dir / LAST_HITS))
        return [(str(path), line) for path, line in rows if is_whole(line)]
    except (OSError, ForeignFileError, ValueError, TypeError):
        return None
