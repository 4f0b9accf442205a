"""Results as HTML: the right values, and nothing of a document that a browser would obey."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from rag_search.records import Chunk, EngineNames, Hit, SearchResult, Sibling, StageScores
from rag_search.render.paths import PathMapper
from rag_search.rerank.rank import RankedPassage
from rag_search.server.ui import results
from tests.ui import hostile
from tests.ui.html_check import visible_text

MAPPER = PathMapper(Path("/srv/project"), Path("/srv/project"))
ENGINE = EngineNames("embedder", "reranker", "exact")
TIMES = {"embed": 1.24, "rerank": 2.0, "total": 4.5}


def hit(text: str, *, title: str = "Title", path: str = "docs/a.md", heading: str = "Part") -> Hit:
    chunk = Chunk(path, title, 0, text, (heading, "Sub"), 0, len(text), 3, 9, text, 0)
    return Hit(chunk, 1, 0.912, StageScores(0.8, None, 1.5, 0.912), (Sibling(40, 44, 0.3),))


def result(*hits: Hit, **changes: object) -> SearchResult:
    found = SearchResult("redis timeout", None, hits, ENGINE, TIMES)
    return replace(found, **changes)  # type: ignore[arg-type]


def test_a_hit_shows_heading_place_scores_and_times() -> None:
    html = results.search_html(result(hit("Raise the redis timeout.")), MAPPER)
    text = visible_text(html)
    for part in (
        "Title › Part › Sub",
        "0.912",
        "docs/a.md:3",
        "also at :40",
        "dense 0.800",
        "lexical –",
        "rerank 0.912",
    ):
        assert part in text
    assert "4.5 ms (embed 1.2, rerank 2.0)" in text
    assert "embedder · reranker · exact" in text
    assert 'data-document="docs/a.md" data-first="3" data-last="9"' in html
    assert 'data-document="docs/a.md" data-first="40" data-last="44"' in html
    assert "width:91.2%" in html


def test_the_best_sentence_and_the_words_of_the_query_are_marked() -> None:
    html = results.search_html(result(hit("Words first. Raise the redis timeout. Words after.")), MAPPER)
    best = "".join(re.findall(r"<mark>(.*?)</mark>", html))
    assert visible_text(best) == "Raise the redis timeout."
    assert re.findall(r"<b>(redis|timeout)</b>", html) == ["redis", "timeout"]


def test_no_confident_match_says_so_with_its_notes() -> None:
    html = results.search_html(result(confident=False, notes=("close, not confident: <a>.md:3",)), MAPPER)
    text = visible_text(html)
    assert "No confident match" in text
    assert "close, not confident: <a>.md:3" in text


def test_the_nearest_are_shown_when_none_is_confident() -> None:
    """As in the table of the command line, with the score that a match needs."""
    near = hit("Raise the redis timeout.")
    html = results.search_html(result(confident=False, near_misses=(near,), threshold=0.95), MAPPER)
    text = visible_text(html)
    assert text.index("No confident match") < text.index("Nearest (a match needs 0.950)") < text.index("docs/a.md:3")
    assert 'data-document="docs/a.md"' in html
    assert "Nearest" not in results.search_html(result(confident=False), MAPPER)


def test_a_hit_of_a_changed_file_says_so() -> None:
    changed = replace(hit("Raise the redis timeout."), changed="changed")
    assert "docs/a.md:3changed since ingest" in visible_text(results.search_html(result(changed), MAPPER))


def test_the_head_counts_in_words() -> None:
    facts = {"documents": 1, "chunks": 1887, "embedder": "e", "reranker": None}
    assert results.status_html(facts) == "1 document · 1,887 passages · e · no reranker"


def test_passage_rows() -> None:
    """Passages show rank, score, bar and their place in the input."""
    ranked = [RankedPassage(1, 2, 0.75, "redis timeout"), RankedPassage(2, 0, 0.0, "x")]
    html = results.passages_html(ranked, "redis", facts=["3 ms", "overlap"], notes=["a note"])
    assert re.findall(r"width:([\d.]+)%", html) == ["75.0", "0.0"]
    text = visible_text(html)
    assert re.findall(r"(\d)passage (\d)(\d\.\d+)", text) == [("1", "3", "0.750"), ("2", "1", "0.000")]
    assert text.endswith("a note3 ms · overlap")


def test_scores_beyond_the_bar() -> None:
    """Scores beyond the range keep their number and fill the bar."""
    html = results.passages_html([RankedPassage(1, 0, 3.5, "x"), RankedPassage(2, 1, -2.0, "y")], "q", facts=[])
    assert re.findall(r"width:([\d.]+)%", html) == ["100.0", "0.0"]
    assert "3.500" in html
    assert "-2.000" in html


def test_a_long_passage_is_folded_and_cut_on_the_page_only() -> None:
    html = results.passages_html([RankedPassage(1, 0, 0.5, "word " * 2000)], "q", facts=[])
    assert "<details" in html
    assert "… 6,000 more characters" in visible_text(html)


def test_hostile_text_stays_text_everywhere() -> None:
    shown = result(
        hit(hostile.BODY, title=hostile.TITLE, path=hostile.NAME, heading=hostile.TITLE),
        query=hostile.BODY[:300],
        instruction=hostile.TITLE,
        notes=(hostile.TITLE,),
    )
    text = visible_text(results.search_html(shown, MAPPER))
    assert text.count(hostile.TITLE) == 4  # title, heading path, note, instruction
    passages = results.passages_html([RankedPassage(1, 0, 0.5, hostile.BODY)], hostile.BODY, facts=[hostile.TITLE])
    assert "<script>window.ran='script'</script>" in visible_text(passages)
    assert hostile.TITLE in visible_text(results.error_html(hostile.TITLE, hostile.TITLE))
    assert hostile.TITLE in visible_text(results.hint_html(hostile.TITLE))
    assert "\x1b" not in passages


@given(st.text(max_size=200), st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_text_gives_well_formed_html(text: str, query: str) -> None:
    visible_text(results.search_html(result(hit(text, title=query, path=text), query=query), MAPPER))
    visible_text(results.passages_html([RankedPassage(1, 0, 0.5, text)], query, facts=[query], notes=[text]))


def test_places_can_be_copied_and_opened() -> None:
    """The address of the editor is that of the settings; a page's own address is never one."""
    shown = result(hit("x", path='docs/a "b".md'))
    html = results.search_html(shown, MAPPER)
    assert 'data-copy="docs/a &quot;b&quot;.md:3"' in html
    assert 'href="vscode://file/srv/project/docs/a%20%22b%22.md:3"' in html
    assert 'href="zed://file/srv/' in results.search_html(shown, MAPPER, editor="zed")
    for form in (
        "file",
        "javascript://%0aalert(1)//{path}",
        "https://evil.example/{path}",
        "data:text/html,x",
        '"><b>',
    ):
        assert "href" not in results.search_html(shown, MAPPER, editor=form)


def test_the_start_offers_examples_and_folders() -> None:
    """Titles and paths are text, also hostile ones."""
    html = results.start_html(["How?", hostile.TITLE], {"docs/api": 1200})
    assert 'data-question="How?"' in html
    assert 'data-folder="docs/api"' in html
    assert "docs/api 1,200" in visible_text(html)
    assert "<script" not in html
    assert "<h2>" not in results.start_html([], {})
