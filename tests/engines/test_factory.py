"""The table of engines: complete, and read for every fact that other packages ask for."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest

from rag_search.config import EmbedderSettings, RerankerSettings, Settings, checked
from rag_search.engines.factory import choose_backends, make_standalone_reranker
from rag_search.engines.table import EMBEDDERS, PROFILES, RERANKERS, Profile
from rag_search.errors import ConfigError


def names(section: type, field: str) -> set[str]:
    """Return the values that a setting takes, without None."""
    return {name for kind in get_args(get_type_hints(section)[field]) for name in get_args(kind)}


def test_tables_have_the_names_of_the_settings() -> None:
    """A name that the settings take and the table lacks would be a KeyError of the user."""
    assert set(EMBEDDERS) == names(EmbedderSettings, "backend")
    assert set(RERANKERS) == names(RerankerSettings, "backend")
    assert set(PROFILES) == set(get_args(Profile)) == names(Settings, "profile")
    assert all(embedder in EMBEDDERS and reranker in RERANKERS for embedder, reranker in PROFILES.values())


@pytest.mark.parametrize(
    ("profile", "sections", "single_threaded", "batch_size"),
    [
        ("builtin", {}, False, 1),
        ("quality", {}, False, 1),
        ("gpu", {}, True, 32),
        ("served", {}, False, 32),
        ("served", {"reranker": {"backend": "cross-encoder"}}, True, 32),
        ("builtin", {"reranker": {"backend": "none"}}, False, 1),
    ],
)
def test_facts_of_backends(profile: str, sections: dict[str, object], single_threaded: bool, batch_size: int) -> None:
    """What a server asks: may several threads call the models, and how many requests go into one call."""
    backends = choose_backends(checked({"profile": profile, **sections}))
    assert (backends.single_threaded, backends.embedding.batch_size) == (single_threaded, batch_size)


def test_token_vectors_needed_and_not_made() -> None:
    """The error lists the rerankers that go with any embedder."""
    settings = checked({"embedder": {"backend": "openai"}, "reranker": {"backend": "late-interaction"}})
    with pytest.raises(ConfigError, match="token vectors") as caught:
        choose_backends(settings)
    *others, last = [name for name, row in RERANKERS.items() if row is None or not row.token_vectors]
    assert caught.value.remedy == f"Set reranker.backend to {', '.join(others)} or {last}."
    assert "vllm" in others and last == "none"


def test_no_standalone_reranker_where_it_is_off() -> None:
    with pytest.raises(ConfigError, match="switched off"):
        make_standalone_reranker(checked({"reranker": {"backend": "none"}}))
