"""The screen of the live search: a question, its hits, and the passage of the hit that is chosen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.events import Resize
from textual.timer import Timer
from textual.widgets import Footer, Input, Label, ListItem, ListView, Static
from textual.worker import get_current_worker

from rag_search.errors import RagSearchError
from rag_search.records import Hit, SearchResult
from rag_search.render.paths import PathMapper
from rag_search.render.snippet import highlights
from rag_search.text.passages import body_of
from rag_search.text.sanitize import one_line, plain

PAUSE_S = 0.15  # without a key before a search starts
NARROW = 80  # cells; below, the preview is under the hits


class LiveSearch(App[None]):
    """Searches after each pause in typing. Keys: up, down, Enter to open, Escape or Ctrl-C to leave."""

    CSS = """
    #hits { width: 2fr; height: 1fr; }
    #preview { width: 3fr; height: 1fr; padding: 0 1; }
    #state { height: 1; padding: 0 1; color: $text-muted; }
    .narrow #results { layout: vertical; }
    .narrow #hits, .narrow #preview { width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Next", priority=True),
        Binding("up", "move(-1)", "Previous", priority=True),
        Binding("enter", "open", "Open", priority=True),
        Binding("escape", "quit", "Leave", priority=True),
        Binding("ctrl+c", "quit", show=False, priority=True),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(
        self, *, search: Callable[[str], SearchResult], mapper: PathMapper, open_hit: Callable[[Hit], object]
    ) -> None:
        super().__init__()
        self._search = search
        self._mapper = mapper
        self._open_hit = open_hit
        self._one_search = threading.Lock()  # a searcher answers one question at a time
        self._pause: Timer | None = None  # a timer can only be made while the application runs
        self.result: SearchResult | None = None

    def compose(self) -> ComposeResult:
        """Yield the widgets from top to bottom."""
        yield Input(placeholder="a question, in any words", id="question")
        yield Label("", id="state")
        with Horizontal(id="results"):
            yield ListView(id="hits")
            with VerticalScroll(id="preview"):
                yield Static(id="passage")
        yield Footer()

    def on_resize(self, event: Resize) -> None:
        """Put the preview under the hits on a narrow terminal."""
        self.screen.set_class(event.size.width < NARROW, "narrow")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Search when no key has come for a while."""
        if self._pause:
            self._pause.stop()
        question = event.value.strip()
        self._pause = self.set_timer(PAUSE_S, lambda: self.answer(question))

    @work(thread=True, exclusive=True)
    def answer(self, question: str) -> None:
        """Search in a thread; show the result unless another question has come meanwhile."""
        worker = get_current_worker()
        with self._one_search:
            if worker.is_cancelled:
                return
            try:
                result = self._search(question) if question else None
                message = "" if result is None or result.hits else _without_match(result)
            except RagSearchError as error:
                result, message = None, error.message
        if not worker.is_cancelled:
            self.call_from_thread(self.call_later, self._show, result, message)

    async def _show(self, result: SearchResult | None, message: str) -> None:
        """Fill the list of hits and choose the first."""
        self.result = result
        hits = self.query_one("#hits", ListView)
        await hits.clear()
        if result:
            await hits.extend(ListItem(Label(self._row(hit))) for hit in self.hits)
            message = message or f"{result.timings_ms.get('total', 0.0):.0f} ms"
            hits.index = 0 if self.hits else None
        self.query_one("#state", Label).update(Text(plain(message)))
        self._preview()

    def _row(self, hit: Hit) -> Text:
        place = f"{self._mapper.printed(hit.chunk.path)}:{hit.line}"
        return Text.assemble((f"{hit.score:.2f} ", "green"), (one_line(hit.chunk.title), "bold"), "\n", (place, "dim"))

    def on_list_view_highlighted(self, _: ListView.Highlighted) -> None:
        """Show the passage of the hit that is chosen."""
        self._preview()

    def _preview(self) -> None:
        hit = self.chosen
        passage = Text(plain(body_of(hit.chunk)) if hit else "")
        if hit and self.result:
            for start, stop in highlights(passage.plain, self.result.query):
                passage.stylize("bold yellow", start, stop)
        self.query_one("#passage", Static).update(passage)

    @property
    def hits(self) -> Sequence[Hit]:
        """The hits in the list; without a confident match the nearest ones."""
        return (self.result.hits or self.result.near_misses) if self.result else ()

    @property
    def chosen(self) -> Hit | None:
        """The hit that is chosen; None without hits."""
        index = self.query_one("#hits", ListView).index
        return self.hits[index] if index is not None and index < len(self.hits) else None

    def action_move(self, by: int) -> None:
        """Choose the next or the previous hit."""
        hits = self.query_one("#hits", ListView)
        if self.hits:
            hits.index = max(0, min(len(self.hits) - 1, (hits.index or 0) + by))

    def action_open(self) -> None:
        """Open the chosen hit in the editor, which may take the terminal meanwhile."""
        if hit := self.chosen:
            try:
                with self.suspend():
                    self._open_hit(hit)
            except RagSearchError as error:
                self.query_one("#state", Label).update(Text(plain(str(error))))


def _without_match(result: SearchResult) -> str:
    """Return what is said above the list of a result without a confident match."""
    return "no confident match; nearest:" if result.near_misses else "no confident match"
