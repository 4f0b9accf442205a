"""How far an ingest is: counts while reading, a share and a rest by tokens, and what Ctrl-C leaves."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import rag_search
from rag_search.cli.progress import IngestProgress, print_interrupted
from rag_search.ingest import Step
from tests.index.test_staged import staged
from tests.support.project import Run


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def state_of(steps: list[tuple[float, int, Step | None]]) -> IngestProgress:
    """Return the progress after batches (seconds since the last one, tokens, commit)."""
    clock = Clock()
    progress = IngestProgress(lambda _: None, clock)
    for seconds, tokens, step in steps:
        clock.now += seconds
        progress.on_tokens(tokens)
        if step:
            progress.on_step(step)
    return progress


def test_rest_is_weighted_by_tokens() -> None:
    """Half of the bytes are done with 1,000 tokens at 100 a second: the other half takes 10 s."""
    progress = state_of([(5, 500, None), (5, 500, Step(3, 10, 4000, 8000, 1000))])
    assert (progress.share, progress.rate, progress.seconds_left) == (0.5, 100.0, 10.0)
    assert progress.describe() == "3 of 10 documents, 50%, 100 tokens/s, 10 s left"


def test_bar_moves_within_a_commit() -> None:
    """A batch of 500 tokens is worth 2,000 bytes before its group is committed."""
    progress = state_of([(5, 500, None), (5, 500, Step(3, 10, 4000, 8000, 1000)), (5, 500, None)])
    assert progress.share == 0.75
    assert progress.seconds_left == pytest.approx(5.0)


def test_rate_follows_the_machine() -> None:
    """What was long ago does not count: the rate is that of the last batches."""
    fast = [(1.0, 1000, None)] * 30
    slow = [(10.0, 1000, None)] * 5
    assert state_of(fast).rate == pytest.approx(1000, rel=0.1)
    assert state_of(fast + slow).rate == pytest.approx(100, rel=0.1)


def test_rate_begins_after_the_first_batch() -> None:
    """Its time may hold that of loading the model, which the rest does not take again."""
    progress = state_of([(60, 500, None)])
    assert (progress.rate, progress.seconds_left) == (0.0, None)
    assert state_of([(60, 500, None), (5, 500, None)]).rate == 100.0


def test_bar_moves_before_the_first_commit() -> None:
    """A folder of one commit has a share and a rest, by the usual tokens a byte."""
    progress = state_of([(0, 0, Step(0, 10, 0, 10_000, 0)), (2, 600, None), (2, 600, None)])
    assert (progress.share, progress.rate, progress.seconds_left) == (0.4, 300.0, pytest.approx(6.0))
    assert progress.describe() == "0 of 10 documents, 40%, 300 tokens/s, 6.0 s left"
    assert progress.describe_briefly() == "40%, 6.0 s left"


def test_share_ends_with_the_last_commit() -> None:
    """An estimate that was too low does not end the bar before the work ends."""
    progress = state_of([(0, 0, Step(0, 10, 0, 1000, 0)), (2, 6000, None)])
    assert progress.share == 0.99
    progress.on_step(Step(10, 10, 1000, 1000, 6000))
    assert (progress.share, progress.seconds_left) == (1.0, 0.0)


def test_reading_is_counted() -> None:
    progress = IngestProgress(lambda _: None)
    progress.on_found(1)
    assert progress.rate == 0
    assert progress.describe() == "reading: 1 file"
    assert (progress.share, progress.seconds_left) == (0.0, None)


def test_summary_names_totals_and_the_next_step(project: Path, run: Run) -> None:
    done = run("ingest", "docs")
    first, second = done.out.splitlines()
    assert first.startswith("3 new, 0 changed, 0 unchanged, 0 removed, 0 failed; 3 passages, 3 embedded (")
    assert second.startswith("index: 3 documents, 3 passages, ")
    assert second.endswith(f" in {project / 'indexes' / 'default'}")
    assert done.err == 'next: ragsearch query "your question"\n'
    assert re.fullmatch(
        r"0 new, 0 changed, 3 unchanged, 0 removed, 0 failed in \S+ \S+", run("ingest").out.splitlines()[0]
    )
    done = run("ingest", "-q")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_interrupt_says_what_is_saved(project: Path, run: Run) -> None:
    """Ctrl-C exits with 130, names what is saved, and the same command goes on."""
    run("ingest", "docs")  # the model is converted by now
    for number in range(300):  # a commit has 256 passages
        (project / "docs" / f"{number}.md").write_text(f"# Note {number}\n\nLag {number}\n", "utf-8")
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED_INGEST, "ingest", "docs"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(rag_search.__file__).parent.parent)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, ""), err
    saved = json.loads(run("status", "--json").out)["documents"]
    assert f"interrupted: {saved - 3:,} of 300 documents saved, the index is whole." in err
    assert "run the same command again" in err
    assert 3 < saved < 303


@pytest.mark.parametrize(
    ("step", "saved"),
    [
        (None, "nothing new"),
        (Step(0, 9, 0, 90, 0), "nothing new"),
        (Step(4, 9, 40, 90, 0), "4 of 9 documents"),
        (Step(4, 9, 40, 90, 0, "words"), "the words of 4 of 9 documents"),
        (Step(4, 9, 40, 90, 0, "meaning"), "the words of all documents and the meaning of 4 of 9 passages"),
    ],
)
def test_an_interrupted_ingest_says_what_is_saved(
    step: Step | None, saved: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In every stage, and how to go on."""
    print_interrupted(step)
    said = " ".join(capsys.readouterr().err.split())
    assert said == f"interrupted: {saved} saved, the index is whole. To go on, run the same command again."


def test_status_counts_passages_without_vectors(project: Path, run: Run) -> None:
    """Such an index is not up to date, even if no file changed."""
    staged(project / "indexes" / "default")
    lines = dict(line.split(maxsplit=1) for line in run("status").out.replace("not embedded", "left").splitlines())
    assert (lines["passages"], lines["left"]) == ("14", "6")
    assert lines["pending"] == "6 passages to embed; run: ragsearch ingest"


# sends itself Ctrl-C after the first commit
INTERRUPTED_INGEST = """
import os, signal, sys
from rag_search.cli import app, progress

class Interrupted(progress.IngestProgress):
    def on_step(self, step):
        super().on_step(step)
        if step.documents:
            os.kill(os.getpid(), signal.SIGINT)

progress.IngestProgress = Interrupted
app.main()
"""
