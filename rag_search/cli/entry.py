"""Start the command line.

A query goes to a running server if there is one. A question of words alone is answered without the parser of options,
and everything else goes to rag_search.cli.app.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command in `sys.argv` and exit with its code."""
    arguments = sys.argv[2:]
    if sys.argv[1:2] in (["query"], ["search"]):
        from rag_search import __version__
        from rag_search.server import thin_client

        code = thin_client.print_answer(arguments, version=__version__)
        if code is not None:
            os._exit(code)  # everything is written, and taking the interpreter apart takes time
        if arguments and not any(word.startswith("-") for word in arguments) and sys.platform != "win32":
            from rag_search.cli.asking import Asking, answer
            from rag_search.cli.running import run_and_exit

            run_and_exit(lambda: answer(Asking(words=arguments)))
    from rag_search.cli.app import main as run_command

    run_command()
