"""BM25 against the formula, terms that must not be cut, terms that go, terms that are too common."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag_search.index import bm25, open_reader, open_writer, verify
from rag_search.index.bm25 import LexicalSearch
from rag_search.index.postings import FtsPostings
from rag_search.index.store import state
from rag_search.index.store.compaction import FREE_SHARE, MERGED_ROWS, SCATTERED, needs_merge
from rag_search.index.store.database import connect
from tests.index.world import MANIFEST, item, put

TEXTS = [
    "redis timeout redis",
    "timeout pool",
    "pool size of the pool",
    "连 接 连接 超时",
    "nothing here to see",
    "redis-cli",
]


@pytest.fixture
def filled(folder: Path) -> Path:
    return fill(folder, TEXTS)


def fill(folder: Path, texts: list[str]) -> Path:
    each = item("a.md", [f"{text}\n" for text in texts])
    with open_writer(folder, MANIFEST) as writer:
        writer.put(each.document, each.chunks, each.encoded, texts, state=each.state)
        writer.commit()
    return folder


def reference(texts: list[str], terms: set[str], *, k1: float = 1.2, b: float = 0.75) -> dict[int, float]:
    """BM25 as FTS5 documents it: log((N - n + 0.5) / (n + 0.5)), at least 1e-6, times the saturated frequency."""
    split = [text.split() for text in texts]
    mean = np.mean([len(words) for words in split])
    scores: dict[int, float] = {}
    for row, words in enumerate(split):
        for term in terms & set(words):
            n = sum(term in other for other in split)
            idf = max(np.log((len(split) - n + 0.5) / (n + 0.5)), 1e-6)
            tf = words.count(term)
            scores[row] = scores.get(row, 0) + idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * len(words) / mean))
    return scores


@pytest.mark.parametrize(
    "terms", [["redis"], ["redis", "pool", "absent"], ["连接", "超时", "redis-cli"], ["timeout"] * 3]
)
def test_bm25_agrees_with_the_formula(filled: Path, terms: list[str]) -> None:
    expected = reference(TEXTS, set(terms))
    with open_reader(filled) as reader:
        ids, scores = reader.search_lexical(terms, 10)
    assert dict(zip(ids.tolist(), scores.tolist(), strict=True)) == pytest.approx(expected, rel=1e-5)
    assert (np.diff(scores) <= 0).all()


@pytest.mark.parametrize(
    "term", ["redis-cli", "err_conn.timeout", "c++", "c#", "a\"b'c", "连接", "naïve", "สวัส", "x" * 64]
)
def test_a_term_is_one_token(folder: Path, term: str) -> None:
    with open_reader(fill(folder, [f"before {term} after", "before after", term[:-1] or "y"])) as reader:
        assert reader.search_lexical([term], 5)[0].tolist() == [0]


def test_no_terms_and_unknown_terms(filled: Path) -> None:
    with open_reader(filled) as reader:
        for terms in ([], ["absent"], ["("], ['"']):
            assert reader.search_lexical(terms, 5)[0].tolist() == []


def test_allowed_ids_only(folder: Path) -> None:
    texts = [f"word w{i} " + "word " * (i % 7) for i in range(3000)]
    with open_reader(fill(folder, texts)) as reader:
        everything, scores = reader.search_lexical(["word"], 3000)
        allowed = np.array([5, 700, 1400, 2999], np.int64)
        ids, some = reader.search_lexical(["word"], 3, allowed=allowed)
        places = [row for row, found in enumerate(everything.tolist()) if found in allowed.tolist()][:3]
        assert ids.tolist() == everything[places].tolist()
        np.testing.assert_array_equal(some, scores[places])
        assert reader.search_lexical(["word"], 3, allowed=np.empty(0, np.int64))[0].tolist() == []


def test_common_terms_are_left_out_when_rarer_ones_are_there(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bm25, "POSTINGS", 2)
    database = connect(filled)
    lengths = np.array([len(text.split()) for text in TEXTS], np.int32)
    search = LexicalSearch(FtsPostings(database), lengths, np.empty(0, np.int64), frequent={})
    assert search.search(["redis", "pool"], 9)[0].tolist() == [0]
    assert search.search(["timeout"], 9)[0].tolist() == [1, 0]
    monkeypatch.setattr(bm25, "POSTINGS", 1)
    assert sorted(search.search(["timeout", "pool"], 9)[0].tolist()) == [1, 2]  # the rarest is always looked for
    database.close()


def test_scores_are_those_of_fts5_also_after_removals(folder: Path) -> None:
    chance = np.random.default_rng(0)
    words = [f"w{i}" for i in range(300)]

    def texts() -> list[str]:
        picks = [chance.zipf(1.3, int(chance.integers(1, 60))) % len(words) for _ in range(8)]
        return [" ".join(words[i] for i in each) + "\n" for each in picks]

    with open_writer(folder, MANIFEST) as writer:
        put(writer, [item(f"{i}.md", texts()) for i in range(200)])
        writer.commit()
        writer.remove([f"{i}.md" for i in range(0, 200, 7)])
        put(writer, [item(f"{i}.md", texts()) for i in range(0, 200, 21)])
        writer.commit()
    database = connect(folder)
    with open_reader(folder) as reader:
        assert reader.counts.deleted
        for _ in range(50):
            terms = [words[i] for i in chance.zipf(1.3, 6) % len(words)]
            ids, scores = reader.search_lexical(terms, 2000)
            match = " OR ".join(f'"{term}"' for term in dict.fromkeys(terms))
            query = "SELECT rowid, -bm25(lexical) FROM lexical WHERE lexical MATCH ?"
            expected = dict(database.execute(query, (match,)))
            assert dict(zip(ids.tolist(), scores.tolist(), strict=True)) == pytest.approx(expected, rel=1e-5)
    database.close()


def test_frequent_terms_live_until_compaction(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frequent terms are recorded with the cache and removed by compaction."""
    monkeypatch.setattr(bm25, "POSTINGS", 30)
    texts = [f"the word w{i % 7} w{i % 40}" for i in range(60)]
    queries = [["the", "w3", "w30"], ["the"], ["the", "word"], ["w30", "absent"]]
    fill(folder, texts)
    with open_reader(folder) as reader:
        expected = [reader.search_lexical(query, 20) for query in queries]
    with open_writer(folder, MANIFEST) as writer:
        writer.build_derived()
    database = connect(folder)
    assert state.read_frequent_terms(database) == {"the": 60, "word": 60}
    with open_reader(folder) as reader:
        for query, (ids, scores) in zip(queries, expected, strict=True):
            found, values = reader.search_lexical(query, 20)
            np.testing.assert_array_equal(found, ids)
            np.testing.assert_array_equal(values, scores)
    with open_writer(folder, MANIFEST) as writer:
        writer.compact()
    assert state.read_frequent_terms(database) == {}
    database.close()


def test_maintain_merges_the_terms_of_many_commits(folder: Path) -> None:
    """Every ranking stays, an open reader stays, and no free pages are left."""
    queries = [["redis"], ["w3", "w30"], ["w30", "absent"], ["连接", "w7"]]
    with open_writer(folder, MANIFEST) as writer:
        for number in range(40):
            texts = [f"redis 连接 w{number % 7} w{number % 30} x{number}\n"] * 9
            put(writer, [item(f"{number}.md", texts)])
            writer.commit()
        assert parts_of(folder) > SCATTERED
        with open_reader(folder) as before:
            writer.maintain()
            assert parts_of(folder) == 1
            generation = before.generation
            expected = [before.search_lexical(query, 20) for query in queries]
            assert not before.is_stale()
    with open_reader(folder) as reader:
        assert reader.generation == generation
        for query, (ids, scores) in zip(queries, expected, strict=True):
            found, values = reader.search_lexical(query, 20)
            np.testing.assert_array_equal(found, ids)
            np.testing.assert_array_equal(values, scores)
    database = connect(folder)
    free, pages = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_count"))
    database.close()
    assert free <= FREE_SHARE * pages
    assert verify(folder) == []


@pytest.mark.parametrize(("rows", "due"), [(MERGED_ROWS, True), (MERGED_ROWS + 1, False)])
def test_a_large_index_keeps_its_parts(folder: Path, rows: int, due: bool) -> None:
    """Its terms are read from the file of postings."""
    with open_writer(folder, MANIFEST) as writer:
        for number in range(SCATTERED + 1):
            put(writer, [item(f"{number}.md", ["redis\n"])])
            writer.commit()
    database = connect(folder)
    assert needs_merge(database, rows) == due
    database.close()


def parts_of(folder: Path) -> int:
    database = connect(folder)
    (parts,) = database.execute("SELECT count(DISTINCT segid) FROM lexical_idx").fetchone()
    database.close()
    return int(parts)


def test_a_frequent_term_may_have_gone_since_it_was_noted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bm25, "POSTINGS", 20)
    texts = [f"w{i} " + ("boilerplate" if i < 25 else "other") for i in range(200)]
    with open_writer(folder, MANIFEST) as writer:
        put(writer, [item(f"{i}.md", [f"{text}\n"]) for i, text in enumerate(texts)])
        writer.build_derived()
        writer.remove([f"{i}.md" for i in range(25)])
        writer.commit()
    with open_reader(folder) as reader:
        assert reader.search_lexical(["boilerplate"], 10)[0].tolist() == []
        assert len(reader.search_lexical(["boilerplate", "other"], 200)[0]) == 175  # it does not hide those that stand


def test_thousands_of_terms(filled: Path) -> None:
    with open_reader(filled) as reader:
        ids, _ = reader.search_lexical([f"t{i}" for i in range(5000)] + ["redis"], 5)
        assert ids.tolist() == [0]


@pytest.mark.parametrize("kept", [0, 40, 10_000])
def test_kept_postings_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    chance = np.random.default_rng(3)
    fill(folder, [" ".join(f"w{i}" for i in chance.zipf(1.3, 12) % 40) for _ in range(200)])
    monkeypatch.setattr(bm25, "POSTINGS_CACHE_SIZE", kept)
    monkeypatch.setattr(bm25, "MAX_COUNTS", 20)
    with open_reader(folder) as lasting:
        for _ in range(60):
            terms = [f"w{i}" for i in chance.integers(0, 45, 5)]
            ids, scores = lasting.search_lexical(terms, 30)
            with open_reader(folder) as fresh:
                fresh_ids, fresh_scores = fresh.search_lexical(terms, 30)
            np.testing.assert_array_equal(ids, fresh_ids)
            np.testing.assert_array_equal(scores, fresh_scores)
