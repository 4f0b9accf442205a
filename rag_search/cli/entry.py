"""Start the command line: a query goes to a running server if there is one, everything else to `rag_search.cli.app`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command in `sys.argv` and exit with its code."""
    if sys.argv[1:2] in (["query"], ["search"]):
        from rag_search import __version__
        from rag_search.server import thin_client

        code = thin_client.print_answer(sys.argv[2:], version=__version__)
        if code is not None:
            os._exit(code)  # everything is written, and taking the interpreter apart takes time
    from rag_search.cli.app import main as run_command

    run_command()
