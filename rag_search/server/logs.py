"""Log JSON lines that contain nothing of a request but what docs/server.md lists."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from logging.handlers import WatchedFileHandler
from pathlib import Path
from types import FrameType

from rag_search.errors import ConfigError

FRAMES = 6  # of a traceback in the log
OWN_LOGGERS = ("ragsearch", "rag_search")
LOGGER = logging.getLogger(__name__)
_VALUE = re.compile(r"[\n<({\['\"`:=]")  # where a value begins in a text that a library put together


def log_to(log_file: Path | None) -> None:
    """Log JSON lines: one for each request (see rag_search.server.middleware), and the warnings of libraries.

    A log file that was moved away (logrotate) is opened again. Raises ConfigError if it cannot be written.
    """
    try:
        handler = WatchedFileHandler(log_file, encoding="utf-8") if log_file else logging.StreamHandler(sys.stderr)
    except OSError as error:
        raise ConfigError(
            f"the log {log_file} cannot be written: {error.strerror}.", remedy="Choose another --log-file."
        ) from error
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("ragsearch.access").setLevel(logging.INFO)


class JsonLines(logging.Formatter):
    """Formats each record as one line with one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record. A traceback is reduced to its places: its message may quote a document."""
        head = {"time": self.formatTime(record), "level": record.levelname, "logger": record.name}
        if record.name == "ragsearch.access":  # its message is already a JSON object
            return f"{json.dumps(head)[:-1]}, {record.getMessage()[1:]}"
        own = record.name.split(".")[0] in OWN_LOGGERS
        message = record.getMessage() if own else _constant(record)
        line: dict[str, object] = {**head, "message": message.strip()}
        if record.exc_info and record.exc_info[0]:
            frames = traceback.extract_tb(record.exc_info[2])[-FRAMES:]
            at = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
            line |= {"error": record.exc_info[0].__name__, "at": at}
        return json.dumps(line)


def _constant(record: logging.LogRecord) -> str:
    """Return the part of a library's message that does not quote a request.

    Its arguments may, and so may a text that was put together before, as those of asyncio are: that ends at the first
    value.
    """
    text = str(record.msg)
    return text if record.args else _VALUE.split(text, maxsplit=1)[0]


@contextlib.contextmanager
def muted_prints() -> Iterator[None]:
    """Keep libraries from printing while the block runs, and log from where they tried to, once for each place."""
    muted = _Muted()
    with contextlib.redirect_stdout(muted), contextlib.redirect_stderr(muted):
        yield


class _Muted(io.TextIOBase):
    """A stream that drops what is written to it."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def write(self, text: str) -> int:
        """Drop the text; log the place of its first write."""
        place = _place(sys._getframe(1))
        if place not in self._seen:
            self._seen.add(place)
            LOGGER.warning("%s printed a message, which is not shown: it may quote a request", place)
        return len(text)


def _place(frame: FrameType | None) -> str:
    """Return file and line of the nearest caller that is not the standard library's printing."""
    while frame and Path(frame.f_code.co_filename).name in ("traceback.py", "warnings.py", "logging/__init__.py"):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}" if frame else "a library"
