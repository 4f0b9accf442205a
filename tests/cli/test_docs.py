"""The page of the command line names every command, and every flag that it shows exists."""

import re
from pathlib import Path

import typer

from rag_search.cli.app import make_app
from rag_search.cli.commands import ALIASES, COMMANDS, GROUPS

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


def test_help_imports_no_command_and_says_the_same() -> None:
    """The summaries of the table are the first sentences of the commands."""
    whole, listed = (typer.main.get_command(make_app(names_only=names_only)) for names_only in (False, True))
    first = {
        name: (command.help or "").replace("\n", " ").partition(". ")[0] for name, command in whole.commands.items()
    }
    assert {name: (command.help or "").rstrip(".") for name, command in listed.commands.items()} == {
        name: text.partition("  ")[0].rstrip(".") for name, text in first.items()
    }
    assert [*listed.commands] == [*whole.commands]
    assert listed.get_help(typer.Context(listed, info_name="ragsearch")) == whole.get_help(
        typer.Context(whole, info_name="ragsearch")
    )
