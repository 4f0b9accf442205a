"""Gather the commands; they live in the modules beside this one."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from typing import Annotated

import typer

from rag_search import __version__
from rag_search.cli import evaluate, health, ingest, query, rerank, serve, trust, up
from rag_search.cli.common import FAILED
from rag_search.errors import RagSearchError
from rag_search.text.sanitize import plain

_TEARDOWN = {"vllm", "torch", "faiss"}  # libraries that must end their own processes, threads and device contexts

app = typer.Typer(
    name="ragsearch",
    help="Puts the passage that answers a question first, over any folder of Markdown.",
    epilog='Start with: ragsearch ingest ./docs, then: ragsearch query "how do I ..."',
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its help pages import half of rich, 60 ms
)
app.command()(ingest.ingest)
app.command()(query.query)
app.command()(rerank.rerank)
app.command()(evaluate.evaluate)
app.command()(serve.serve)
app.command()(serve.ui)
app.command()(serve.mcp)
app.command()(up.up)
app.command()(up.down)
app.command()(health.status)
app.command()(health.doctor)
app.command()(health.verify)
app.command()(trust.trust)
app.add_typer(health.config_app, name="config")


def _print_version(is_given: bool) -> None:
    if is_given:
        typer.echo(f"ragsearch {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[  # noqa: ARG001 (typer calls its callback)
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    trust_project: Annotated[
        bool, typer.Option("--trust", help="Believe the ragsearch.toml of this folder, this time.")
    ] = False,
) -> None:
    """Puts the passage that answers a question first, over any folder of Markdown."""
    if trust_project:
        os.environ["RAGSEARCH_TRUST"] = "1"


def main() -> None:
    """Run the command line, then exit without tearing down a loaded engine (saves 60 ms)."""
    try:
        run()
        code: int | str | None = 0
    except SystemExit as stop:
        code = stop.code
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


def run() -> None:
    """Run one command; print an expected error as one clear line and exit with 2."""
    # the matrix products of one query are too small to gain from OpenBLAS threads
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "true")  # their search reads every installed distribution
    gc.set_threshold(50_000, 20, 20)  # imported objects stay; collecting among them takes 40 ms
    try:
        app()
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
        typer.echo("interrupted", err=True)
        sys.exit(130)
    except Exception:  # noqa: BLE001 - a bug must not exit with 1, which means "nothing found"
        typer.echo(plain(traceback.format_exc()), err=True, nl=False)
        sys.exit(FAILED)


def _complain(message: str, remedy: str = "") -> None:
    """Print an error on stderr, sanitised: it may quote a server's reply or the content of a file."""
    typer.echo(f"error: {plain(message)}", err=True)
    if remedy:
        typer.echo(f"  {plain(remedy)}", err=True)


if __name__ == "__main__":
    main()
