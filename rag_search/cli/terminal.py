"""Where a command runs for its user: in this process, or on a server for the terminal of a client.

A server that answers `ragsearch query` runs the command itself, so that its output is the same to the byte. While it
does, the working folder and the streams are the client's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

    from rag_search.config import Config
    from rag_search.records import SearchOptions, SearchResult


class LocalOnlyError(Exception):
    """The command cannot run on a server: the client must do the work in its own process."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """A client's terminal.

    folder: its working folder. console: makes a rich console for one of the two streams. search: returns the results of
    the server's own models and its URL, or raises LocalOnlyError.
    """

    folder: Path
    stdout: TextIO
    stderr: TextIO
    console: Callable[[TextIO], Console]
    search: Callable[[Config, Sequence[str], SearchOptions], tuple[list[SearchResult], str]]


SERVED: ContextVar[Terminal | None] = ContextVar("SERVED", default=None)


def local_only() -> None:
    """Raise LocalOnlyError on a server. Call it before reading stdin and before reading or writing a user's file."""
    if SERVED.get() is not None:
        raise LocalOnlyError
