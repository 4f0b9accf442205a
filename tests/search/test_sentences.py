"""The best sentence of a hit, and its line in the file."""

import numpy as np
import pytest

from rag_search.embed.token_quantizer import quantize, rotate
from rag_search.records import Chunk, EncodedQuery, Hit, StageScores, TokenVectors
from rag_search.search.searcher import Searcher
from rag_search.search.sentences import best_sentences, rarity
from tests.support.fakes import MemoryIndex, WordEmbedder

PASSAGE = "Glossary\nHandle of the rudder.\n\n## Winch\nDrum that pulls a rope."
LINES = (0, 61, 0, 63, 65)


def hit(passage: str = PASSAGE, lines: tuple[int, ...] = LINES) -> Hit:
    return Hit(
        Chunk("g.md", "Glossary", 0, passage, (), 0, len(passage), 59, 65, passage, 0, lines), 1, 0.0, StageScores()
    )


@pytest.mark.parametrize(
    ("question", "sentence", "line"),
    [("what is a drum", "Drum that pulls a rope.", 65), ("the handle", "Handle of the rudder.", 61)],
)
def test_rare_words_choose_the_sentence(question: str, sentence: str, line: int) -> None:
    counts = {"drum": 1, "handle": 1, "the": 90, "a": 95, "is": 99, "what": 40}
    weights = rarity({term: counts[term] for term in question.split()}, 100)
    (best,) = best_sentences([hit()], None, None, weights)
    assert best is not None
    assert (best.text, best.line) == (sentence, line)


def test_token_vectors_choose_the_sentence() -> None:
    """Without a shared word the place of the nearest token vectors decides."""
    axes = rotate(np.eye(8, dtype=np.float32))
    rows = axes[[0, 0, 0, 1, 1, 1, 1, 2, 3, 3, 3, 3]]
    tokens = TokenVectors(quantize(rows), np.array([len(rows)]))
    (best,) = best_sentences([hit()], EncodedQuery("q", axes[3], axes[[3]]), tokens, {})
    assert best is not None
    assert best.line == 65


def test_a_result_has_the_line_of_its_sentence() -> None:
    index = MemoryIndex({"a.md": ["nothing here. Redis needs a pool."]}, WordEmbedder())
    (found,) = Searcher(index, WordEmbedder()).search("redis pool").hits
    assert (found.sentence, found.line) == ("Redis needs a pool.", 1)
