"""The live search, driven by keys: it answers after a pause, shows the passage and opens the editor at its line."""

import asyncio
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

import rag_search
from rag_search.records import Chunk, EngineNames, Hit, SearchResult, StageScores
from rag_search.render.paths import PathMapper
from tests.support.project import Run

pytest.importorskip("textual", reason="the live extra is not installed")

MAPPER = PathMapper(Path("/srv"), Path("/srv"))


def hit(rank: int, text: str) -> Hit:
    chunk = Chunk(f"docs/{rank}.md", f"Title {rank}", 0, text, (), 0, len(text), rank, rank, text, rank)
    return Hit(chunk, rank, 1 / rank, StageScores())


def search(question: str) -> SearchResult:
    """Answer any question by two passages that repeat it, `nothing` by none, `far` by a near miss."""
    if question == "far":
        near = (hit(1, "near it"),)
        return SearchResult(question, None, (), EngineNames("e", "r", "i"), {}, confident=False, near_misses=near)
    hits = () if question == "nothing" else (hit(1, f"first {question}"), hit(2, f"second \x1b[31m{question}"))
    return SearchResult(question, None, hits, EngineNames("e", "r", "i"), {"total": 3.0})


def run_keys(*keys: str, size: tuple[int, int] = (100, 30)) -> tuple[str, str, list[int]]:
    """Press keys, then return the state line, the preview, and the ranks that were opened."""
    from textual.widgets import Label, Static

    from rag_search.cli.live_app import PAUSE_S, LiveSearch

    opened: list[int] = []

    async def drive() -> tuple[str, str]:
        app = LiveSearch(search=search, mapper=MAPPER, open_hit=lambda hit: opened.append(hit.rank))
        app.suspend = _no_suspend  # type: ignore[method-assign]  # there is no terminal to hand over
        async with app.run_test(size=size) as pilot:
            for key in keys:
                if key == "wait":
                    await pilot.pause(PAUSE_S * 2)
                    await app.workers.wait_for_complete()
                    await pilot.pause()
                else:
                    await pilot.press(key)
            await pilot.pause()
            state, passage = app.query_one("#state", Label), app.query_one("#passage", Static)
            return str(state.render()), str(passage.render())

    return (*asyncio.run(drive()), opened)


def _no_suspend() -> object:
    import contextlib

    return contextlib.nullcontext()


def test_it_answers_while_one_types() -> None:
    """The first passage is shown without Enter; control characters of documents are gone."""
    state, passage, _ = run_keys(*"tea", "wait")
    assert (state, passage) == ("3 ms", "first tea")
    assert run_keys(*"tea", "wait", "down")[1] == "second tea"


def test_enter_opens_the_chosen_hit() -> None:
    assert run_keys(*"tea", "wait", "down", "enter", "up", "enter")[2] == [2, 1]


def test_no_match_and_an_empty_question() -> None:
    assert run_keys(*"nothing", "wait")[:2] == ("no confident match", "")
    assert run_keys("x", "wait", "backspace", "wait")[:2] == ("", "")


def test_the_nearest_are_listed_without_a_match() -> None:
    """As `query` prints them, and Enter opens one."""
    assert run_keys(*"far", "wait", "down", "enter") == ("no confident match; nearest:", "near it", [1])


def test_narrow_terminals() -> None:
    assert run_keys(*"tea", "wait", size=(40, 20))[1] == "first tea"


@pytest.mark.parametrize("key", [b"\x1b", b"\x03"])
def test_it_runs_on_a_real_terminal(indexed: Path, run: Run, key: bytes) -> None:
    """`ragsearch live` in a process of its own: it starts, answers, and Escape or Ctrl-C ends it with 0."""
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(Path(rag_search.__file__).parents[1])}
    command = [sys.executable, "-m", "rag_search", "live"]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True)
    os.close(slave)
    try:
        read_until(master, b"any words")
        os.write(master, b"kafka consumer lag")
        read_until(master, b"docs/deep/kafka.md:3")
        os.write(master, key)
        assert process.wait(60) == 0
    finally:
        process.kill()
        os.close(master)


def read_until(terminal: int, expected: bytes) -> None:
    """Read what a program shows until it has shown `expected`; a minute at most."""
    shown, deadline = b"", time.monotonic() + 60
    while expected not in shown:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"{expected!r} is not in {shown!r}"
        shown += os.read(terminal, 65536)
