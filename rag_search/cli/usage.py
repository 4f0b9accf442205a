"""Turn usage errors of the option parser into one clear error: the flag as typed, and what to do."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence
from typing import Any

from rag_search.errors import InputError

SEARCHES = {"query", "search", "rerank"}


def as_input_error(error: Any, arguments: Sequence[str], commands: Sequence[str]) -> InputError:
    """Return the error to print.

    Args:
        error: click's UsageError, with what the parser knows: `ctx`, `param`, `option_name`.
        arguments: the command line without the program.
        commands: names of all commands, for suggestions.
    """
    context = error.ctx
    first = arguments[0] if arguments else ""
    known = f"ragsearch {first}" if first in commands else "ragsearch"
    command = context.command_path if context else known
    name = context.command.name if context else ""
    message = _sentence(_as_typed(error, arguments))
    if context and context.parent is None and first not in commands:
        if first.startswith("-"):
            return InputError(f"no such option {first!r}.", remedy="All options and commands: ragsearch -h")
        return InputError(f"no such command {first!r}.", remedy=_other_command(arguments, commands))
    option = getattr(error, "option_name", None)
    if option and name in SEARCHES and option not in _known_options(context):
        rest = shlex.join(argument for argument in arguments[1:] if argument != "--")
        remedy = f"Run {command} -h for its options. To search for a text with a dash in front: {command} -- {rest}"
        return InputError(_first_lower(message), remedy=remedy)
    return InputError(_first_lower(message), remedy=f"Run {command} -h for its arguments and options.")


def _as_typed(error: Any, arguments: Sequence[str]) -> str:
    """Return the parser's message with the flag as the user typed it, not with all its names."""
    options = [option for option in getattr(error.param, "opts", []) if option.startswith("-")] if _param(error) else []
    for option in options:
        if any(_names(argument, option) for argument in arguments):
            error.param_hint = option
    return str(error.format_message())


def _param(error: Any) -> Any:
    """Return the parameter that the error is about; None if it is about no single one."""
    return getattr(error, "param", None)


def _names(argument: str, option: str) -> bool:
    """Return whether `argument` gives `option`, alone, with `=value`, or as `-n5`."""
    if option.startswith("--"):
        return argument == option or argument.startswith(f"{option}=")
    return argument.startswith(option) and not argument.startswith("--")


def _known_options(context: Any) -> set[str]:
    """Return all flags of the command."""
    return {option for param in context.command.params for option in (*param.opts, *param.secondary_opts)}


def _other_command(arguments: Sequence[str], commands: Sequence[str]) -> str:
    """Suggest the command that was meant, else a search for the words."""
    close = difflib.get_close_matches(arguments[0], commands, n=1)
    if close:
        return f"Did you mean: ragsearch {shlex.join([close[0], *arguments[1:]])}"
    return f"To search: ragsearch query {shlex.join(arguments)}. All commands: ragsearch -h"


def _sentence(message: str) -> str:
    """Return the parser's message in our words, with one mark at its end."""
    message = message.replace("is not a valid int range", "is not a whole number").replace("?.", "?")
    return message if message.endswith("?") else message.rstrip(".") + "."


def _first_lower(message: str) -> str:
    """Return the message as it continues after `error: `."""
    return message[:1].lower() + message[1:]
