"""`status`, `doctor` and `verify`: print what exists and whether it works."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rag_search.cli.common import FAILED, load_config, print_json, stderr_console, stdout_console
from rag_search.cli.options import IndexOption, JsonOption, ProfileOption
from rag_search.text.amounts import count, human_bytes
from rag_search.text.sanitize import one_line, plain

if TYPE_CHECKING:
    from rag_search.config import Config
    from rag_search.index import ReadStore


# What people read in place of the names in JSON, which stay.
_LABELS = {"chunks": "passages", "dead": "deleted", "bytes": "size", "unencoded": "not embedded"}


def status(as_json: JsonOption = False, index: IndexOption = None) -> None:
    """Print what is in the index."""
    from rag_search.engines.base_folder import base_folder
    from rag_search.engines.open import reading
    from rag_search.ingest import known_roots

    config = load_config(index=index)
    with reading(config) as reader:
        counts = reader.counts
        facts = {
            "index": config.index_place,
            "generation": str(reader.generation),
            "embedder": reader.manifest.embedder_name,
            "dim": reader.manifest.dim,
            "reranker": _reranker(config),
            "search": reader.kind,
            "roots": [str(root) for root in known_roots(reader, base=base_folder(config))],
            "documents": counts.documents,
            "chunks": counts.chunks,
            "dead": counts.deleted,
            "bytes": counts.bytes,
            "unencoded": counts.pending,
            "pending": _pending(config, reader),
            **_servers(config.settings.cache_dir),
        }
    _print_facts(facts, as_json=as_json)


def _reranker(config: Config) -> str:
    """Return the reranker of the settings, and whether its scores are calibrated."""
    from rag_search.engines.factory import choose_backends

    backends = choose_backends(config.settings)
    if backends.reranking is None:
        return "none"
    model = config.settings.reranker.model
    state = "calibrated" if backends.reranking.trusted else "scores not calibrated"
    return f"{backends.reranker} ({f'{model}, ' if model else ''}{state})"


def _pending(config: Config, reader: ReadStore) -> dict[str, int] | str:
    """Return what the next ingest would do with the files of the roots, or why that cannot be told."""
    from rag_search.documents import Selection
    from rag_search.engines.base_folder import base_folder
    from rag_search.errors import InputError
    from rag_search.ingest import IngestOptions, known_roots, outdated, plan_sync

    limits, base = config.settings.ingest, base_folder(config)
    selection = Selection(tuple(limits.include), tuple(limits.exclude), follow_links=limits.follow_links)
    options = IngestOptions(limits.max_tokens, int(limits.max_file_mb * 2**20), selection=selection, allow_empty=True)
    roots = known_roots(reader, base=base)
    if not roots:
        return {"new": 0, "changed": 0, "removed": 0}
    try:
        plan = plan_sync(outdated(reader.files(), reader.chunking(), options), roots, base=base, options=options)
    except InputError as error:
        return error.message
    return {"new": len(plan.new), "changed": len(plan.changed), "removed": len(plan.removed)}


def _servers(cache_dir: Path) -> dict[str, str]:
    """Return the state of the model servers that `up` started."""
    from rag_search.engines.vllm_server.processes import read_servers, servers_folder, state_of

    servers = read_servers(servers_folder(cache_dir))
    return {f"server.{s.name}": f"{state_of(s)}: {s.model} at {s.url}" for s in servers}


def doctor(as_json: JsonOption = False, index: IndexOption = None, profile: ProfileOption = None) -> None:
    """Check everything a query needs. Exits with 2 if a check fails."""
    from rich.text import Text

    from rag_search.engines.doctor import examine

    findings = []
    console = stdout_console()
    for finding in examine(load_config(index=index, profile=profile)):
        findings.append(finding)
        if not as_json:
            colour = {"ok": "green", "warn": "yellow", "fail": "red"}[finding.state]
            line = Text(f"{finding.state:<5}", style=colour).append(f"{finding.check:<10}", style="bold")
            console.print(line.append(one_line(finding.detail)), soft_wrap=True)
            if finding.remedy:
                console.print(Text(f"     {one_line(finding.remedy)}"), soft_wrap=True)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(FAILED)


def verify(as_json: JsonOption = False, index: IndexOption = None) -> None:
    """Re-check hashes, counts, vector norms and the full-text index. Exits with 2 if a check fails."""
    from rag_search.engines.open import verify_index

    config = load_config(index=index)
    problems = verify_index(config)
    if as_json:
        print_json([asdict(problem) for problem in problems])
    else:
        for problem in problems:
            stdout_console().print(one_line(str(problem)), soft_wrap=True)
    if problems:
        stderr_console().print(count(len(problems), "problem"))
        raise typer.Exit(FAILED)
    if not as_json:
        stdout_console().print("the index is sound")


def _print_facts(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        if name == "pending":
            value = _pending_text(value, facts["unencoded"])
        text = (", ".join(value) or "none") if isinstance(value, list) else value
        if isinstance(value, int):
            text = human_bytes(value) if name == "bytes" else f"{value:,}"
        stdout_console().print(plain(f"{_LABELS.get(name, name):<14} {text}"), soft_wrap=True)


def _pending_text(pending: dict[str, int] | str, unencoded: int) -> str:
    """Return what is missing in the index, and how to add it. unencoded: passages that are found by words only."""
    if isinstance(pending, str):
        return pending
    missing = [f"{number:,} {name}" for name, number in pending.items()] if any(pending.values()) else []
    if unencoded:
        missing.append(f"{count(unencoded, 'passage')} to embed")
    return f"{', '.join(missing)}; run: ragsearch ingest" if missing else "nothing: the index is up to date"
