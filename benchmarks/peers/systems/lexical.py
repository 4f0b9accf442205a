"""BM25: bm25s as it comes, tantivy as it comes, and bm25s (Lucene's formula) with settings to choose among."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from itertools import product

import bm25s
import jieba
import numpy as np
import Stemmer
import tantivy

from benchmarks.peers.protocol import DEPTH, Job, Variants

WORDS = re.compile(r"[^\W_]+")
HAN = re.compile(r"[\u4e00-\u9fff]+")
HEADING = re.compile(r"^(?=#{1,6} )", re.MULTILINE)
STEM = Stemmer.Stemmer("english").stemWord
FREQUENCIES = ((1.5, 0.75), (1.2, 0.75), (0.9, 0.4), (1.2, 0.3), (2.0, 0.9))  # k1, b
TUNED = "BM25 tuned"  # the variants under which one is chosen; the rest of the name is the setting


class Bm25s:
    """bm25s with its own tokenizer, English stop words and parameters, over whole documents."""

    def prepare(self, job: Job) -> None:
        pass

    def build(self, job: Job) -> None:
        self._ids = list(job.documents)
        self._index = bm25s.BM25()
        self._index.index(bm25s.tokenize(list(job.documents.values()), show_progress=False), show_progress=False)

    def open(self, job: Job) -> None:
        pass

    def search(self, question: str) -> list[str]:
        tokens = bm25s.tokenize([question], show_progress=False)
        depth = min(DEPTH, len(self._ids))
        found, scores = self._index.retrieve(tokens, corpus=self._ids, k=depth, show_progress=False)
        return [str(key) for key, score in zip(found[0], scores[0], strict=True) if score > 0]


class Tantivy:
    """tantivy with its default tokenizer and BM25, any word of the question, over whole documents."""

    def prepare(self, job: Job) -> None:
        pass

    def build(self, job: Job) -> None:
        fields = tantivy.SchemaBuilder()
        fields.add_text_field("key", stored=True, tokenizer_name="raw")
        fields.add_text_field("body", stored=False)
        self._index = tantivy.Index(fields.build())
        writer = self._index.writer()
        for key, text in job.documents.items():
            writer.add_document(tantivy.Document(key=key, body=text))
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()

    def open(self, job: Job) -> None:
        pass

    def search(self, question: str) -> list[str]:
        text = " ".join(f'"{word}"' for word in WORDS.findall(question))  # quoted, or NOT and OR are operators
        if not text:
            return []
        searcher = self._index.searcher()
        try:
            query = self._index.parse_query(text, ["body"])
        except ValueError:  # its tokenizer drops words of more than 40 bytes, and a Chinese sentence is one word to it
            return []
        hits = searcher.search(query, DEPTH).hits
        return [searcher.doc(address)["key"][0] for _score, address in hits]


class Tuned:
    """bm25s with Lucene's formula and one setting of tokenizer, unit, k1 and b."""

    def __init__(self, tokens: Callable[[str], list[str]], unit: str, k1: float, b: float) -> None:
        self._tokens, self._unit, self._k1, self._b = tokens, unit, k1, b

    def prepare(self, job: Job) -> None:
        pass

    def build(self, job: Job) -> None:
        cut = HEADING.split if self._unit == "sections" and job.markdown else lambda text: [text]
        pieces = [(key, piece) for key, text in job.documents.items() for piece in cut(text) if piece.strip()]
        self._ids = [key for key, _ in pieces]
        self._index = bm25s.BM25(method="lucene", k1=self._k1, b=self._b)
        self._index.index([_cached(self._tokens, piece) for _, piece in pieces], show_progress=False)

    def open(self, job: Job) -> None:
        pass

    def search(self, question: str) -> list[str]:
        known = [token for token in self._tokens(question) if token in self._index.vocab_dict]
        if not known:
            return []
        scores = self._index.get_scores(known)
        order = np.argsort(-scores, kind="stable")[:DEPTH]
        return [self._ids[row] for row in order if scores[row] > 0]


@cache
def _cached(tokens: Callable[[str], list[str]], text: str) -> list[str]:
    return tokens(text) or ["-"]


def _bigrams(text: str) -> list[str]:
    """Return stemmed words; Chinese as characters and pairs."""
    found = []
    for word in WORDS.findall(text.lower()):
        parts = [part for part in re.split(r"([\u4e00-\u9fff]+)", word) if part]
        for part in parts:
            if HAN.fullmatch(part):
                found.extend([*part, *(part[i : i + 2] for i in range(len(part) - 1))])
            else:
                found.append(STEM(part))
    return found


def _jieba(text: str) -> list[str]:
    """Return words as jieba cuts them for search engines; Latin ones stemmed."""
    return [STEM(word) for word in jieba.cut_for_search(text.lower()) if WORDS.fullmatch(word)]


def _words(text: str) -> list[str]:
    """Return words, not stemmed."""
    return WORDS.findall(text.lower())


def _tuned(tokens: Callable[[str], list[str]], unit: str, k1: float, b: float) -> Callable[[], Tuned]:
    return lambda: Tuned(tokens, unit, k1, b)


VARIANTS: Variants = {
    "bm25s": Bm25s,
    "tantivy": Tantivy,
    **{
        f"{TUNED}: {name}, {unit}, k1={k1}, b={b}": _tuned(tokens, unit, k1, b)
        for (name, tokens), unit, (k1, b) in product(
            {"jieba": _jieba, "bigrams": _bigrams, "words": _words}.items(), ("documents", "sections"), FREQUENCIES
        )
    },
}
