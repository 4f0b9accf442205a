"""Switch off one behaviour of search at a time, and measure what it wins or costs on dev sets.

    python -m benchmarks.behaviours FOLDER[:QRELS[:QUESTIONS]] ...
    python -m benchmarks.behaviours --show

Each question is asked as a user asks it: grouped by document, five hits, brackets and all. A hit is right if it is
judged, whether it is confident or not. The index is the one that `ragsearch evaluate` keeps in the cache; for names
there is a copy whose passages are found by their own words only. A difference is with - without, with its 95 %
interval, the questions won and lost, and p of a sign-flip test. Sets that an earlier run measured stay. Results:
behaviours.md and behaviours.json.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.quality import RESULTS, measured
from rag_search.config import Config, load_config
from rag_search.embed.base import Embedder
from rag_search.engines import factory
from rag_search.evaluation.cached_index import fill_index, index_of
from rag_search.evaluation.dataset import Dataset, EvalQuery, load_dataset
from rag_search.evaluation.metrics import paired_test
from rag_search.index import open_reader
from rag_search.ingest import prepare
from rag_search.records import SearchOptions
from rag_search.rerank.base import Reranker
from rag_search.search import retrieval, searcher
from rag_search.search.retrieval import Retriever
from rag_search.search.searcher import Searcher
from rag_search.text.terms import terms
from tests.support import machine

EVERYTHING = float("-inf")  # min_score under which nothing is hidden
ALLOWED = 0.005  # of Top-1 that a behaviour may cost a set
BEHAVIOURS = {
    "all on": "",
    "typing errors": "corrections of words that the index does not have",
    "exact evidence": "passages with a rare term of the question to the letter are lifted",
    "names": "title, file, folders and front matter are searched with each passage",
    "instructions": "a leading bracket, or what is given as one, is followed",
    "spreading": "further documents, until there are as many as asked for",
}


def main() -> None:
    """Measure the sets named, keep the others, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="FOLDER[:QRELS[:QUESTIONS]]")
    parser.add_argument("--show", action="store_true", help="write the table of what was measured before")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    if not arguments.sets and not arguments.show:
        parser.error("name a set, or pass --show")
    results = measured(arguments.out / "behaviours.json", arguments.sets, measure)
    text = "\n".join(lines(results)) + "\n"
    (arguments.out / "behaviours.md").write_text(text, "utf-8")
    print(text)


def measure(wanted: str) -> tuple[str, dict[str, Any]]:
    """Return the name of a set, and of each behaviour the Top-1 without it and the paired test."""
    folder, qrels, count = [*wanted.split(":"), "", ""][:3]
    config = load_config({"profile": "builtin"})
    dataset = load_dataset(Path(folder), qrels=qrels or None, split="dev")  # sets without splits are read whole
    questions = sorted(dataset.judged, key=lambda query: query.query_id)
    random.Random(0).shuffle(questions)
    questions = questions[: int(count)] if count else questions
    embedder = factory.make_embedder(config.settings)
    reranker = factory.make_reranker(config.settings, embedder)
    place = index_of(config, dataset)
    fill_index(place, dataset, embedder, max_tokens=config.settings.ingest.max_tokens)
    right = {
        name: ask_all(nameless(place, config, dataset, embedder) if name == "names" else place,
                      Searching(dataset, embedder, reranker), questions, without=name)
        for name in BEHAVIOURS if name != "names" or dataset.docs  # a text without a file has no names
    }  # fmt: skip
    found = {}
    for name in right:
        test = paired_test(right["all on"], right[name])
        found[name] = {"top1": sum(right[name].values()) / len(questions), "difference": test.difference,
                       "ci": [test.low, test.high], "p_value": test.p_value, "won": len(test.wins),
                       "lost": sorted(test.losses)}  # fmt: skip
    name = " ".join(part for part in (dataset.name, qrels if qrels != "test" else "") if part)
    return name, {"questions": len(questions), "behaviours": found}


class Searching:
    """What asks the questions of a set."""

    def __init__(self, dataset: Dataset, embedder: Embedder, reranker: Reranker) -> None:
        self.dataset, self.embedder, self.reranker = dataset, embedder, reranker

    def first(self, search: Searcher, query: EvalQuery, *, obeyed: bool) -> str | None:
        """Return the document of the first hit."""
        options = SearchOptions(instruction=query.instruction if obeyed else None, min_score=EVERYTHING)
        result = search.search(query.text if obeyed else query.literal, options)
        return result.hits[0].chunk.path if result.hits else None


def ask_all(place: Path, asking: Searching, questions: list[EvalQuery], *, without: str) -> dict[str, float]:
    """Return 1 for each question whose first hit is right, else 0, with one behaviour switched off."""
    found: dict[str, float] = {}
    with open_reader(place) as reader, off(without):
        search = Searcher(reader, asking.embedder, asking.reranker)
        for query in questions:
            first = asking.first(search, query, obeyed=without != "instructions")
            found[query.query_id] = float(first in asking.dataset.qrels[query.query_id])
    return found


@contextmanager
def off(behaviour: str) -> Iterator[None]:
    """Switch off a behaviour of search; what is none of these is switched off elsewhere."""
    replaced: dict[str, list[tuple[Any, str, Callable[..., Any]]]] = {
        "typing errors": [(searcher, "find_corrections", lambda *_, **__: [])],
        "exact evidence": [
            (retrieval, "find_evidence", lambda *_: {}),
            (retrieval, "find_marks", lambda *_: {}),
        ],
        "spreading": [(Retriever, "_further_documents", lambda *_: [])],
    }
    with replacing(replaced.get(behaviour, [])):
        yield


@contextmanager
def replacing(parts: list[tuple[Any, str, Callable[..., Any]]]) -> Iterator[None]:
    """Put other functions into modules or classes."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in parts]
    for owner, name, function in parts:
        setattr(owner, name, function)
    try:
        yield
    finally:
        for owner, name, function in before:
            setattr(owner, name, function)


def nameless(place: Path, config: Config, dataset: Dataset, embedder: Embedder) -> Path:
    """Return a copy of an index whose passages are found by their own words; vectors are taken over."""
    copy = place.with_name(f"{place.name}-nameless")
    if not copy.exists():
        shutil.copytree(place, copy)
        with closing(sqlite3.connect(copy / "meta.db")) as database:
            database.execute("UPDATE documents SET size = -1, mtime_ns = 0, content_hash = ''")  # all are read again
            database.commit()
        with replacing([(prepare, "chunk_terms", lambda _document, passage, *_: " ".join(terms(passage)))]):
            fill_index(copy, dataset, embedder, max_tokens=config.settings.ingest.max_tokens)
    return copy


def lines(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield the table as Markdown."""
    yield from ["# What each behaviour of search is worth", "", *_legend(), ""]
    yield f"| set | questions | all on | {' | '.join(list(BEHAVIOURS)[1:])} |"
    yield "|---|---:|---:|" + "---|" * (len(BEHAVIOURS) - 1)
    for name, row in results["sets"].items():
        cells = " | ".join(_cell(row["behaviours"].get(behaviour)) for behaviour in list(BEHAVIOURS)[1:])
        yield f"| {name} | {row['questions']:,} | {row['behaviours']['all on']['top1']:.3f} | {cells} |"
    yield ""
    seen = {row["facts"]["command"]: row["facts"] for row in results["sets"].values()}
    yield from (machine.line(facts) for facts in seen.values())


def _legend() -> Iterator[str]:
    yield "Top-1 of the first hit as users see it. Of each behaviour: what it wins (with - without), and questions"
    yield f"won/lost by it; **bold** where it costs more than {ALLOWED:.1%}, with the interval and p. Texts without"
    yield "files have no names. (reduced): trees that `python -m benchmarks.reduced` keeps."
    yield ""
    yield from (f"- {name}: {meaning}." for name, meaning in BEHAVIOURS.items() if meaning)


def _cell(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    text = f"{found['difference']:+.3f}, {found['won']}/{len(found['lost'])}"
    if found["difference"] >= -ALLOWED:
        return text
    return f"**{text}** ({found['ci'][0]:+.3f} to {found['ci'][1]:+.3f}, p {found['p_value']:.2g})"


if __name__ == "__main__":
    main()
