"""Show how far an ingest is: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rag_search.cli.common import INTERRUPTED, print_sentence, stderr_console
from rag_search.text.amounts import count, human_seconds

if TYPE_CHECKING:
    from rich.console import Console

    from rag_search.ingest import Step

LINE_S = 10.0  # between two lines without a terminal
WINDOW_S = 20.0  # of the rate: long enough to be steady, short enough to follow the machine
TOKENS_PER_BYTE = 0.3  # of Markdown, in English or Chinese; until the first commit has counted them
NARROW = 76  # cells; a narrower terminal gets share and rest only
TEXT_CELLS = 68  # of a long line of progress; what a terminal has beyond is the bar's


class IngestProgress:
    """What an ingest has done so far, and how long the rest will take.

    The rest is measured in tokens: those per byte so far, times the bytes to come. A folder of short and long files, or
    of two languages, takes as long as its tokens, not as its files.
    """

    def __init__(self, show: Callable[[IngestProgress], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._show = show
        self._clock = clock
        self._samples: list[tuple[float, int]] = []  # time and tokens, of the last WINDOW_S
        self.files = 0
        self.tokens = 0
        self.step: Step | None = None

    def on_found(self, files: int) -> None:
        """Note how many files the walk has found."""
        self.files = files
        self._samples = []  # reading does not count for the rate
        self._show(self)

    def on_tokens(self, tokens: int) -> None:
        """Note that a batch of so many tokens has been embedded.

        The rate begins at the end of the first batch, in whose time the model may have been loaded.
        """
        now = self._clock()
        self.tokens += tokens
        self._samples.append((now, self.tokens))
        while len(self._samples) > 2 and self._samples[0][0] < now - WINDOW_S:
            self._samples.pop(0)
        self._show(self)

    def on_step(self, step: Step) -> None:
        """Note a commit."""
        self.step = step
        self.tokens = max(self.tokens, step.tokens)
        self._show(self)

    @property
    def rate(self) -> float:
        """Tokens per second of the last WINDOW_S; 0 before two batches."""
        if len(self._samples) < 2:
            return 0.0
        (start, before), (end, after) = self._samples[0], self._samples[-1]
        return (after - before) / (end - start) if end > start else 0.0

    @property
    def share(self) -> float:
        """Share that is done, in [0, 1]: of the bytes, and within the batch at work of its tokens."""
        if self.step is None or not self.step.bytes_total:
            return 0.0
        ahead = (self.tokens - self.step.tokens) / self._tokens_per_byte
        is_done = self.step.documents == self.step.documents_total
        return min(1.0 if is_done else 0.99, (self.step.bytes + ahead) / self.step.bytes_total)

    @property
    def seconds_left(self) -> float | None:
        """Time that the rest will take; None while it cannot be told."""
        if self.step is None or not self.rate:
            return None
        return (1 - self.share) * self.step.bytes_total * self._tokens_per_byte / self.rate

    @property
    def _tokens_per_byte(self) -> float:
        has_counted = self.step is not None and self.step.bytes and self.step.tokens
        return self.step.tokens / self.step.bytes if self.step and has_counted else TOKENS_PER_BYTE

    def describe(self) -> str:
        """Return the state in one line."""
        if self.step is None:
            embedded = f", {self.tokens:,} tokens embedded" if self.tokens else ""
            return f"reading: {count(self.files, 'file')}{embedded}"
        unit = "passage" if self.step.stage == "meaning" else "document"
        stage = f"{self.step.stage}: " if self.step.stage else ""
        done = f"{stage}{self.step.documents:,} of {count(self.step.documents_total, unit)}"
        parts = [done, f"{self.share:.0%}"]
        if self.rate:
            parts.append(f"{self.rate:,.0f} tokens/s")
        if self.seconds_left is not None and self.share < 1:
            parts.append(f"{human_seconds(self.seconds_left)} left")
        return ", ".join(parts)

    def describe_briefly(self) -> str:
        """Return share and rest, for a narrow terminal."""
        if self.step is None:
            return f"reading: {count(self.files, 'file')}"
        left = "" if self.seconds_left is None else f", {human_seconds(self.seconds_left)} left"
        return f"{self.share:.0%}{left}"


@contextmanager
def ingest_progress(*, quiet: bool = False) -> Iterator[IngestProgress]:
    """Show progress on stderr while the block runs; say after Ctrl-C what is saved.

    Raises SystemExit with 130 after Ctrl-C.
    """
    state = None
    try:
        with _shown(quiet=quiet) as state:
            yield state
    except KeyboardInterrupt:
        print_interrupted(state.step if state else None)
        raise SystemExit(INTERRUPTED) from None


@contextmanager
def _shown(*, quiet: bool) -> Iterator[IngestProgress]:
    """Show progress in the form that suits stderr."""
    console = stderr_console()
    if quiet:
        yield IngestProgress(lambda _: None)
    elif console.is_terminal:
        with _bar(console) as show:
            yield IngestProgress(show)
    else:
        yield IngestProgress(_lines(console))


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[IngestProgress], None]]:
    from rich.progress import BarColumn, Progress, TextColumn

    is_narrow = console.width < NARROW
    bar = BarColumn(bar_width=10 if is_narrow else max(8, min(30, console.width - TEXT_CELLS)))
    with Progress(bar, TextColumn("{task.description}"), console=console, transient=True) as progress:
        task = progress.add_task("reading", total=None)

        def show(state: IngestProgress) -> None:
            text = state.describe_briefly() if is_narrow else state.describe()
            progress.update(task, description=text, total=1.0 if state.step else None, completed=state.share)

        yield show


def _lines(console: Console) -> Callable[[IngestProgress], None]:
    """Return a callback that prints at most a line every LINE_S; a short ingest prints nothing."""
    last = time.monotonic()

    def show(state: IngestProgress) -> None:
        nonlocal last
        if time.monotonic() - last >= LINE_S:
            last = time.monotonic()
            console.print(state.describe(), soft_wrap=True)

    return show


def print_interrupted(step: Step | None) -> None:
    """Say what an interrupted ingest has saved, and how to go on."""
    if step is not None and step.stage == "meaning":
        done = f"the words of all documents and the meaning of {step.documents:,} of {step.documents_total:,} passages"
    elif step is not None and step.documents:
        words = "the words of " if step.stage == "words" else ""
        done = f"{words}{step.documents:,} of {count(step.documents_total, 'document')}"
    else:
        done = "nothing new"
    print_sentence(
        stderr_console(), f"interrupted: {done} saved, the index is whole. To go on, run the same command again."
    )
