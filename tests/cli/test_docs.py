"""The page of the command line names every command, and every flag that it shows exists."""

import re
from pathlib import Path

import typer

from rag_search.cli.app import ALIASES, COMMANDS, GROUPS, make_app

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text("utf-8")


def test_every_command_is_on_the_page() -> None:
    missing = [name for name in (*COMMANDS, *GROUPS) if not re.search(rf"`{name}\b", PAGE)]
    assert missing == []


def test_every_flag_of_the_page_exists() -> None:
    """A flag in the text is one of some command, or of the root."""
    group = typer.main.get_command(make_app())
    parameters = [*group.params]
    for name in (*COMMANDS, *GROUPS):
        command = group.commands[name]
        parameters += command.params
        for inner in getattr(command, "commands", {}).values():
            parameters += inner.params
    known = {option for parameter in parameters for option in (*parameter.opts, *parameter.secondary_opts)}
    shown = set(re.findall(r"(?<![\w\[-])(--?[a-zA-Z][\w-]*)", PAGE))
    assert shown - known - {"-h", "--help", "--verbose", "--install-completion", "--show-completion"} == set()


def test_hidden_commands_are_aliases() -> None:
    group = typer.main.get_command(make_app())
    assert {name for name, command in group.commands.items() if command.hidden} == set(ALIASES)
