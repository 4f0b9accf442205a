"""`ragsearch` alone, or `ragsearch live`: a search that answers while one types."""

from __future__ import annotations

import importlib.util

import typer

from rag_search.cli.common import load_config, places
from rag_search.cli.options import IndexOption, ProfileOption


def live(index: IndexOption = None, profile: ProfileOption = None) -> None:
    """Search while typing; Enter opens the hit.

    The passage is shown beside the hits. `ragsearch` alone starts it on a terminal.

    Example: ragsearch live
    """
    from rag_search.errors import MissingExtraError

    if importlib.util.find_spec("textual") is None:
        raise MissingExtraError("textual", "live")
    from rag_search.cli.live_app import LiveSearch
    from rag_search.cli.open import open_at
    from rag_search.engines.open import searching

    config = load_config(index=index, profile=profile)
    mapper = places(config)
    with searching(config) as searcher:
        app = LiveSearch(
            search=searcher.search,
            mapper=mapper,
            open_hit=lambda hit: open_at(config, mapper.absolute(hit.chunk.path), hit.line),
        )
        app.run()
    raise typer.Exit(app.return_code or 0)
