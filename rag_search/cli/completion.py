"""`ragsearch completion`: print the script that lets a shell complete commands and flags."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Shell(StrEnum):
    """Shells that can complete."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="bash, zsh or fish.")]) -> None:
    """Print the script that completes commands and flags.

    For bash and zsh put into ~/.bashrc or ~/.zshrc: eval "$(ragsearch completion bash)"

    Example: ragsearch completion fish > ~/.config/fish/completions/ragsearch.fish
    """
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # it has no public name

    typer.echo(get_completion_script(prog_name="ragsearch", complete_var="_RAGSEARCH_COMPLETE", shell=shell.value))
