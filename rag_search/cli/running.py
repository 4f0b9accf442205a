"""Run a command: errors become one clear line and an exit code, and the process ends without being taken apart."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from rag_search.cli.common import FAILED, INTERRUPTED
from rag_search.errors import RagSearchError
from rag_search.text.sanitize import one_line, plain

_TEARDOWN = {"vllm", "torch", "faiss"}  # libraries that must end their own processes, threads and device contexts


def run_and_exit(command: Callable[[], int]) -> NoReturn:
    """Run a command, then exit without tearing down a loaded engine (saves 60 ms)."""
    try:
        run(command)
    except SystemExit as stop:
        code: int | str | None = stop.code
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = FAILED
    except OSError as error:
        _complain(str(error))
        code = FAILED
    if not isinstance(code, int) or _TEARDOWN & sys.modules.keys():
        sys.exit(code)
    os._exit(code)


def run(command: Callable[[], int]) -> NoReturn:
    """Run a command that returns its exit code, and exit; print an expected error and exit with 2."""
    # the matrix products of one query are too small to gain from OpenBLAS threads
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true")  # their search reads every installed distribution
    gc.set_threshold(50_000, 20, 20)  # imported objects stay; collecting among them takes 40 ms
    try:
        code = command()
        if code == INTERRUPTED:  # typer has caught Ctrl-C
            _say("interrupted")
        sys.exit(code)
    except RagSearchError as error:
        _complain(error.message, error.remedy)
        sys.exit(FAILED)
    except BrokenPipeError:
        # the reader of the pipe ended (`| head`); stdout must still be flushable at shutdown
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except OSError as error:  # most often stdout on a full disk
        _complain(str(error))
        sys.exit(FAILED)
    except KeyboardInterrupt:
        _say("interrupted")
        sys.exit(INTERRUPTED)
    except Exception:  # noqa: BLE001 - a bug must not exit with 1, which means "nothing found"
        _say(plain(traceback.format_exc()).rstrip("\n"))
        sys.exit(FAILED)


def _complain(message: str, remedy: str = "") -> None:
    """Print an error on stderr, sanitised: it may quote a server's reply or the content of a file."""
    quoted = plain(message).replace("\n", "\n| ")  # a path or a log cannot look like a remedy
    _say(f"error: {quoted}")
    if remedy:
        _say(f"  {one_line(remedy)}")


def _say(line: str) -> None:
    """Print a line on stderr, which may be closed."""
    if sys.stderr is not None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
