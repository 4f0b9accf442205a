"""Answer the question of `ragsearch query`.

The options are in rag_search.cli.query. A command of words alone comes here directly: importing the parser of options
takes ten milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from rag_search.cli.common import FOUND, NOTHING, Color, Profile, load_config, places, set_color
from rag_search.cli.terminal import local_only

if TYPE_CHECKING:
    from rag_search.cli.results import Format
    from rag_search.config import Config
    from rag_search.records import SearchOptions

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """The arguments of `ragsearch query`, with its defaults; rag_search.cli.query says what each means."""

    words: Sequence[str]
    top_k: int | None = None
    candidates: int | None = None
    rerank: bool = True
    instruct: str | None = None
    min_score: float | None = None
    paths: Sequence[str] = ()
    where: Sequence[str] = ()
    since: str | None = None
    group: bool = True
    like: str | None = None
    strict: bool = False
    show_all: bool = False
    explain: bool = False
    output: Format | None = None
    as_json: bool = False
    paths_only: bool = False
    vimgrep: bool = False
    color: Color = Color.auto
    quiet: bool = False
    open_first: bool = False
    batch: Path | None = None
    trec: Path | None = None
    yes: bool = False
    server: bool = True
    index: str | None = None
    profile: Profile | None = None


def answer(asked: Asking) -> int:
    """Find, print, and return the exit code. Raises RagSearchError."""
    from rag_search.cli import answers, questions, results

    set_color(asked.color)
    form = results.choose_format(
        asked.output, as_json=asked.as_json, paths_only=asked.paths_only, vimgrep=asked.vimgrep
    )
    config = load_config(index=asked.index, profile=asked.profile)
    options = _options(asked, config)
    query_ids, texts, own_document = _questions(config, asked)
    if asked.like:
        from rag_search.cli.like import options_like

        options = options_like(options, own_document)
    if asked.trec or asked.open_first:
        local_only()
    if asked.trec:
        questions.require_distinct(query_ids)
    found = answers.ask_server(config, texts, options, explain=asked.explain) if asked.server else None
    if found is None:
        search = partial(answers.search_here, config, texts, options, meanwhile=lambda: results.import_printer(form))
        found = _with_index(search, config, yes=asked.yes)
    if asked.trec:
        results.write_trec(asked.trec, query_ids, found)
    if not asked.quiet:
        results.print_results(found, config, form, explain=asked.explain, many=asked.batch is not None)
    best = next((result.hits[0] for result in found if result.hits), None)
    if asked.open_first and best is not None:
        from rag_search.cli.open import open_at

        return open_at(config, places(config).absolute(best.chunk.path), best.line)
    return NOTHING if best is None else FOUND


def _options(asked: Asking, config: Config) -> SearchOptions:
    """Return the options of the search: those asked for above those of the settings."""
    from rag_search.text.dates import parse_since
    from rag_search.text.query import parse_where

    defaults = config.settings.search.options
    return replace(
        defaults,
        top_k=asked.top_k or defaults.top_k,
        candidates=asked.candidates or defaults.candidates,
        system="rerank" if asked.rerank else "hybrid",
        instruction=asked.instruct,
        min_score=defaults.min_score if asked.min_score is None else asked.min_score,
        paths=tuple(map(places(config).stored_pattern, asked.paths)) if asked.paths else (),
        where=parse_where(asked.where),
        since=parse_since(asked.since) if asked.since else None,
        group=asked.group,
        below_threshold=_below_threshold(strict=asked.strict, show_all=asked.show_all),
    )


def _questions(config: Config, asked: Asking) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Return the ids and the texts of the questions, and the document of `like`, which is not one of its own hits.

    Raises InputError if there is no question, or `like` beside one.
    """
    from rag_search.cli.questions import read_queries

    if not asked.like:
        query_ids, texts = zip(*read_queries(asked.words, asked.batch), strict=True)
        return query_ids, texts, ""
    from rag_search.cli.like import passage_at

    if asked.words or asked.batch:
        from rag_search.errors import InputError

        raise InputError("give a question, or --like PATH:LINE, not both.", remedy="Remove one of them.")
    text, document = passage_at(config, asked.like)
    return ("1",), (text,), document


def _with_index(search: Callable[[], _Found], config: Config, *, yes: bool) -> _Found:
    """Return what `search` finds; ingest the folder first if there is no index and it is small. yes: do not ask."""
    from rag_search.errors import IndexMissingError

    try:
        return search()
    except IndexMissingError as error:
        from rag_search.cli.first_ingest import ingest_first

        ingest_first(config, error, yes=yes)
        return search()


def _below_threshold(*, strict: bool, show_all: bool) -> Literal["none", "nearest", "all"]:
    """Return which hits below the threshold are kept. Raises InputError if both options are given."""
    if strict and show_all:
        from rag_search.errors import InputError

        raise InputError("--strict and --all exclude each other.", remedy="Use one of them.")
    return "none" if strict else "all" if show_all else "nearest"
