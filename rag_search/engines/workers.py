"""Workers that encode documents on many machines."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from rag_search.config import Config
from rag_search.engines import factory
from rag_search.errors import ConfigError
from rag_search.ingest.encode import FileEncoder


def make_workers(config: Config, address: str) -> FileEncoder:
    """Return the workers at `address`: `ray` or `ray://host:10001`. Raises ConfigError for any other.

    The profile `gpu` gives each worker a GPU; the others run on one core each.
    """
    if address != "ray" and not address.startswith("ray://"):
        raise ConfigError(f"unknown workers {address!r}.", remedy="Write ray, or ray://host:10001")
    from rag_search.ingest.ray_workers import RayWorkers

    settings = config.settings
    if factory.choose_backends(settings).profile == "gpu":
        return RayWorkers(address, partial(factory.make_embedder, settings), gpus=1)
    settings = replace(settings, embedder=replace(settings.embedder, threads=settings.embedder.threads or 1))
    cpus = settings.embedder.threads or 1
    return RayWorkers(address, partial(factory.make_embedder, settings), cpus=cpus)
