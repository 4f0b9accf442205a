"""Ask the questions of a set once as they are and once with a made typing error each, and compare Top-1.

    python -m benchmarks.typing_errors FOLDER [--qrels NAME] [--questions 200]

A Chinese question gets one character replaced by a homophone (tones aside), others one letter of a word of five letters
or more left out, doubled, changed or swapped with the next. The error of a question follows from its id.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Callable
from pathlib import Path

from rag_search.config import load_config
from rag_search.engines import factory
from rag_search.evaluation.cached_index import fill_index, index_of
from rag_search.evaluation.dataset import EvalQuery, load_dataset
from rag_search.index import open_reader
from rag_search.records import SearchOptions
from rag_search.search.searcher import Searcher
from rag_search.text.pinyin import homophones

COMMON = re.compile("[\u4e00-\u9fff]{2,}")
WORD = re.compile(r"(?<![\w.@/#:=-])[a-z]{5,}(?![\w@/#:=.-])")


def main() -> None:
    """Ask and print the shares."""
    arguments = _parse_arguments()
    config = load_config({"profile": "builtin"})
    dataset = load_dataset(arguments.folder, qrels=arguments.qrels)
    embedder = factory.make_embedder(config.settings)
    place = index_of(config, dataset)
    fill_index(place, dataset, embedder, max_tokens=config.settings.ingest.max_tokens)
    reranker = factory.make_reranker(config.settings, embedder)
    with open_reader(place) as reader:
        searcher = Searcher(reader, embedder, reranker)
        chars = {char for path in reader.documents()[:2000] for c in reader.document_chunks(path) for char in c.text}
        pairs = [(q, wrong) for q in dataset.judged if (wrong := misspelt(q, chars)) != q.literal]
        pairs = pairs[: arguments.questions]

        def share(text_of: Callable[[tuple[EvalQuery, str]], str]) -> float:
            right = 0
            for pair in pairs:
                hits = searcher.search(text_of(pair), SearchOptions(top_k=1, min_score=float("-inf"))).hits
                right += bool(hits) and hits[0].chunk.path in dataset.qrels[pair[0].query_id]
            return round(right / max(1, len(pairs)), 4)

        found = {"questions": len(pairs), "clean": share(lambda p: p[0].literal), "misspelt": share(lambda p: p[1])}
    print(json.dumps(found, indent=2))


def misspelt(query: EvalQuery, chars: set[str]) -> str:
    """Return the question with one error; unchanged if there is no place for one. chars: those of the documents."""
    rng = random.Random(query.query_id)
    text = query.literal
    places = [n for run in COMMON.finditer(text) for n in range(*run.span())]
    rng.shuffle(places)
    for place in places:
        alike = sorted(homophones(text[place]) & chars)
        if alike:
            return text[:place] + rng.choice(alike) + text[place + 1 :]
    words = list(WORD.finditer(text))
    if not words:
        return text
    word = rng.choice(words)
    return text[: word.start()] + _slip(word[0], rng) + text[word.end() :]


def _slip(word: str, rng: random.Random) -> str:
    place = rng.randrange(1, len(word) - 1)
    head, letter, after, tail = word[:place], word[place], word[place + 1], word[place + 2 :]
    return rng.choice(
        [head + after + tail, head + 2 * letter + after + tail, head + after + letter + tail, head + "e" + after + tail]
    )


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--qrels")
    parser.add_argument("--questions", type=int, default=200)
    return parser.parse_args()


if __name__ == "__main__":
    main()
