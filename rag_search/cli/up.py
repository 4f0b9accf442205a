"""`up` and `down`: start and stop both model servers on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from rag_search.cli.common import load_config, print_json, stderr_console, stdout_console
from rag_search.cli.options import JsonOption
from rag_search.text.sanitize import plain

if TYPE_CHECKING:
    from rag_search.engines.vllm_server.commands import ServerCommand as Command


class ModelSize(StrEnum):
    """Sizes of Qwen3-Embedding and Qwen3-Reranker."""

    small = "0.6B"
    medium = "4B"
    large = "8B"


def up(
    extra: Annotated[
        list[str] | None, typer.Argument(help="Further vLLM arguments for both servers, after `--`.")
    ] = None,
    size: Annotated[ModelSize, typer.Option(help="Model size, unless the settings name models.")] = ModelSize.medium,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the commands without starting them.")] = False,
    as_json: JsonOption = False,
    cpu: Annotated[bool, typer.Option("--cpu", help="For a CPU build of vLLM and small models.")] = False,
) -> None:
    """Start the embedding and the rerank server (vLLM).

    Starts one after the other; then use --profile served. Example: ragsearch up --size 0.6B
    """
    from rag_search.engines.vllm_server.commands import plan_servers
    from rag_search.engines.vllm_server.gpus import find_cards
    from rag_search.engines.vllm_server.processes import servers_folder, start_all
    from rag_search.errors import EngineError

    config = load_config()
    cards = [] if cpu else find_cards()
    if not cards and not cpu and not dry_run:
        raise EngineError(
            "this machine has no NVIDIA GPU.", remedy="Use the built-in engine, or --cpu with small models."
        )
    commands = plan_servers(config.settings, cards, size=size.value, extra=extra or [])
    if dry_run:
        _print_commands(commands, as_json=as_json)
        if not cards and not cpu:
            stderr_console().print("no NVIDIA GPU here: on a machine with one, shares of its memory are added")
        return
    folder = servers_folder(config.settings.cache_dir)
    console = stderr_console()
    with console.status("starting") as status:
        servers = start_all(
            commands,
            folder,
            on_wait=lambda name, waited: status.update(f"{name}: {waited:.0f} s, log {folder / name}.log"),
        )
    if as_json:
        print_json([asdict(server) for server in servers])
    else:
        for server in servers:
            line = f"{server.name:<9} {server.model} at {server.url}, log {server.log}"
            stdout_console().print(plain(line), soft_wrap=True)
    console.print("now: ragsearch doctor --profile served")


def _print_commands(commands: Sequence[Command], *, as_json: bool) -> None:
    if as_json:
        print_json([list(command.args) for command in commands])
        return
    for command in commands:
        typer.echo(str(command))


def down(as_json: JsonOption = False) -> None:
    """Stop the servers that `up` started."""
    from rag_search.engines.vllm_server.processes import servers_folder, stop_all

    stopped = stop_all(servers_folder(load_config().settings.cache_dir))
    if as_json:
        print_json([asdict(server) for server in stopped])
        return
    for server in stopped:
        stdout_console().print(plain(f"stopped {server.name} ({server.model})"), soft_wrap=True)
    if not stopped:
        stderr_console().print("no server started by `ragsearch up` is running")
