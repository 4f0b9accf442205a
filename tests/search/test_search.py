import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from rag_search.errors import EngineError
from rag_search.records import EncodedQueries, FloatMatrix, FloatVector, SearchOptions
from rag_search.rerank.base import PairRequest
from rag_search.search.base import DEPTH
from rag_search.search.retrieval import SMALL_INDEX
from rag_search.search.searcher import PER_CALL, Searcher
from tests.support.fakes import MemoryIndex, OverlapReranker, WordEmbedder, word_vector

TEXTS = {
    "pool.md": ["redis connection pool timeout maxTotal", "redis pool sizes"],
    "codes.md": ["error codes redis timeout", "error codes mysql"],
    "install.md": ["install docker and see redis"],
    "kafka.md": ["kafka consumer lag"],
}


def searcher(reranker: OverlapReranker | None = None) -> Searcher:
    embedder = WordEmbedder()
    return Searcher(MemoryIndex(TEXTS, embedder), embedder, reranker)


def paths(result: object) -> list[str]:
    return [hit.chunk.path for hit in result.hits]  # type: ignore[attr-defined]


def test_the_rerankers_score_decides_the_order() -> None:
    result = searcher(OverlapReranker()).search("redis timeout pool")
    assert paths(result)[:2] == ["pool.md", "codes.md"]
    assert [hit.rank for hit in result.hits] == [1, 2, 3, 4]
    assert result.hits[0].score == result.hits[0].scores.rerank == pytest.approx(1.0)
    assert result.engine.reranker == "overlap"


def test_ties_keep_the_order_of_retrieval() -> None:
    plain = searcher().search("redis", SearchOptions(system="hybrid", group=False))
    tied = searcher(OverlapReranker()).search("redis", SearchOptions(group=False))
    with_redis = [hit.chunk.chunk_id for hit in plain.hits if "redis" in hit.chunk.text]
    assert [hit.chunk.chunk_id for hit in tied.hits if "redis" in hit.chunk.text] == with_redis


def test_siblings_are_grouped_under_the_best_chunk_of_a_document() -> None:
    result = searcher(OverlapReranker()).search("redis pool sizes")
    best = result.hits[0]
    assert (best.chunk.path, best.chunk.ordinal) == ("pool.md", 1)
    assert [sibling.line_start for sibling in best.siblings] == [1]
    flat = searcher(OverlapReranker()).search("redis pool sizes", SearchOptions(group=False, top_k=50))
    assert paths(flat).count("pool.md") == 2


def test_every_candidate_carries_its_true_dense_score() -> None:
    result = searcher(OverlapReranker()).search("kafka lag", SearchOptions(group=False))
    for hit in result.hits:
        assert hit.scores.dense == pytest.approx(
            float(word_vector(hit.chunk.text) @ word_vector("kafka lag")), abs=1e-6
        )


def test_a_candidate_below_the_fused_ranks_has_its_score() -> None:
    """A candidate below the ranks that are fused keeps its BM25 score."""
    texts = {f"{n:03d}.md": ["redis redis and more" if n < 2 * DEPTH else "redis"] for n in range(2 * DEPTH + 9)}
    index = MemoryIndex(texts, WordEmbedder())
    options = SearchOptions(system="hybrid", candidates=DEPTH, top_k=DEPTH, group=False)
    hits = Searcher(index, WordEmbedder()).search("redis", options).hits
    found = [hit.scores.lexical for hit in hits if hit.chunk.text == "redis"]
    ids, scores = index.search_lexical(["redis"], len(texts))
    assert found == [pytest.approx(float(scores[ids == 2 * DEPTH][0]))] * 9
    assert ids.tolist().index(2 * DEPTH) > DEPTH


def test_candidates_bound_what_the_reranker_sees() -> None:
    result = searcher(OverlapReranker()).search("redis", SearchOptions(candidates=2, group=False, top_k=10))
    assert len(result.hits) == 2


def test_nothing_above_the_threshold_is_no_confident_match() -> None:
    result = searcher(OverlapReranker(cutoff=0.9)).search("weather on mars")
    assert (result.hits, result.confident) == ((), False)
    assert result.threshold == 0.9
    assert [hit.rank for hit in result.near_misses] == [1, 2, 3]
    assert all(hit.score < 0.9 for hit in result.near_misses)
    shown = searcher(OverlapReranker(cutoff=0.9)).search("weather on mars", SearchOptions(min_score=0.0))
    assert shown.hits


def test_min_score_hides_weak_hits() -> None:
    result = searcher(OverlapReranker()).search("redis timeout pool", SearchOptions(min_score=0.5))
    assert paths(result) == ["pool.md", "codes.md"]


def test_paths_filter_every_stage() -> None:
    result = searcher(OverlapReranker()).search("redis", SearchOptions(paths=("kafka.md", "install.md")))
    assert set(paths(result)) <= {"kafka.md", "install.md"}


def test_an_instruction_that_an_engine_cannot_follow_is_said() -> None:
    result = searcher(OverlapReranker()).search("[for beginners] redis")
    assert result.instruction == "for beginners"
    assert result.notes == ("words cannot follow the instruction 'for beginners'",)


def test_the_instruction_is_never_searched_as_text() -> None:
    with_it = searcher().search("[kafka] redis pool", SearchOptions(system="hybrid"))
    without = searcher().search("redis pool", SearchOptions(system="hybrid"))
    assert [hit.score for hit in with_it.hits] == [hit.score for hit in without.hits]


@pytest.mark.parametrize("answer", [np.array([1.0], np.float32), np.array([np.nan] * 6, np.float32)])
def test_broken_scores_are_an_error_not_a_ranking(answer: FloatVector) -> None:
    """Missing and broken scores of a reranker are an error, never a ranking."""

    class Broken(OverlapReranker):
        def score(self, query: str, passages: Sequence[str], *, instruction: str | None = None) -> FloatVector:
            return answer

    with pytest.raises(EngineError, match="overlap answered"):
        searcher(Broken()).search("redis")


@pytest.mark.parametrize("system", ["bm25", "dense", "hybrid"])
def test_single_systems_order_by_their_own_score(system: str) -> None:
    result = searcher().search("redis timeout", SearchOptions(system=system, group=False))  # type: ignore[arg-type]
    scores = [hit.score for hit in result.hits]
    assert scores == sorted(scores, reverse=True)
    assert result.engine.reranker is None
    assert set(result.timings_ms) >= {"fuse", "total"}


ASKED = [
    ("redis timeout", SearchOptions()),
    ("[hint] kafka lag", SearchOptions(group=False)),
    ("install docker", SearchOptions(system="bm25")),
    ("redis", SearchOptions(paths=("kafka.md", "install.md"))),
    ("redis pool", SearchOptions(system="dense")),
    ("redis", SearchOptions(candidates=2)),
    ("mysql codes", SearchOptions(candidates=200)),
]


def test_many_queries_answer_as_one_by_one() -> None:
    engine = searcher(OverlapReranker())
    together = engine.search_many(ASKED)
    alone = [engine.search(raw, options) for raw, options in ASKED]
    assert [result.hits for result in together] == [result.hits for result in alone]
    assert [set(result.timings_ms) for result in together] == [set(result.timings_ms) for result in alone]
    assert engine.search_many([]) == []


@dataclass(frozen=True)
class AllAtOnce(OverlapReranker):
    """Scores several queries in one call, and remembers how many."""

    calls: list[int] = field(default_factory=list)

    def score_many(self, requests: Sequence[PairRequest]) -> list[FloatVector]:
        self.calls.append(len(requests))
        return [self.score(r.query, r.passages, instruction=r.instruction) for r in requests]


def test_many_queries_reach_a_reranker_in_one_call() -> None:
    """A reranker that reads passages gets many queries in one call."""
    reranker = AllAtOnce()
    together = searcher(reranker).search_many(ASKED + [("redis", SearchOptions())] * PER_CALL)
    assert reranker.calls == [PER_CALL - 2, len(ASKED)]  # two are not to be reranked
    plain = searcher(OverlapReranker())
    assert [result.hits for result in together[: len(ASKED)]] == [plain.search(*asked).hits for asked in ASKED]


class Large(MemoryIndex):
    """An index that counts as large, so the search by terms runs in a thread."""

    @property
    def chunk_count(self) -> int:
        return SMALL_INDEX + 1


def test_a_large_index_answers_as_a_small_one() -> None:
    """The search by terms in a thread finds what it finds without one."""
    large = Searcher(Large(TEXTS, WordEmbedder()), WordEmbedder(), OverlapReranker())
    small = searcher(OverlapReranker())
    assert [large.search(*asked).hits for asked in ASKED] == [small.search(*asked).hits for asked in ASKED]


def test_an_embedder_that_fails_leaves_no_thread_at_work() -> None:
    """After an error of the embedder no thread works in the index."""
    searching, ended = threading.Event(), threading.Event()

    class Slow(Large):
        def search_lexical(
            self, terms_wanted: Sequence[str], top_k: int, *, allowed: NDArray[np.int64] | None = None
        ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
            searching.set()
            ended.wait(0.05)  # nobody sets it: the search is still on when the embedder fails
            ended.set()
            return super().search_lexical(terms_wanted, top_k, allowed=allowed)

    class Down(WordEmbedder):
        def encode_queries(self, queries: Sequence[str], *, instruction: str | None = None) -> EncodedQueries:
            assert searching.wait(10)
            raise EngineError("the server is down.")

    with pytest.raises(EngineError, match="is down"):
        Searcher(Slow(TEXTS, WordEmbedder()), Down()).search("redis")
    assert ended.is_set()


def test_a_result_does_not_wait_for_those_after_it() -> None:
    class Counting(MemoryIndex):
        fetched = 0

        def vectors(self, chunk_ids: Sequence[int]) -> FloatMatrix:
            self.fetched += 1
            return super().vectors(chunk_ids)

    index = Counting(TEXTS, WordEmbedder())
    answers = Searcher(index, WordEmbedder()).answers([("redis", SearchOptions(system="hybrid"))] * 3)
    assert next(answers).hits
    assert index.fetched == 1
    assert len(list(answers)) == 2


def test_filters_that_select_nothing_are_named() -> None:
    result = searcher(OverlapReranker()).search("redis", SearchOptions(paths=("nope",)))
    assert (result.hits, result.near_misses) == ((), ())
    assert result.notes == ("no document matches --path nope; 4 are indexed",)


def test_hits_below_the_threshold_are_kept_on_request() -> None:
    reranker = OverlapReranker(cutoff=0.6)
    query = "redis timeout pool"
    shown = {
        kept: [hit.score for hit in searcher(reranker).search(query, SearchOptions(below_threshold=kept)).hits]  # type: ignore[arg-type]
        for kept in ("none", "nearest", "all")
    }
    assert min(shown["nearest"]) >= 0.6 > min(shown["all"])
    assert shown["none"] == shown["nearest"]
    assert searcher(reranker).search("mars", SearchOptions(below_threshold="none")).near_misses == ()
