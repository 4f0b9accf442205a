"""Any sequence of operations against a dict."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from rag_search.index import IndexReader, IndexWriter, open_reader, open_writer, verify
from tests.index.world import MANIFEST, Item, assert_holds, item, put

PATHS = st.sampled_from([f"{name}.md" for name in "abcdef"])
TEXTS = st.lists(st.sampled_from(["redis\n", "连接 超时\n", "\0 \r\n", "pool pool\n", "c++ err_x\n"]), max_size=4)


class StoreMachine(RuleBasedStateMachine):
    """A writer, its dict, and readers that must go on seeing what they saw when they were opened."""

    readers = Bundle("readers")

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.writer: IndexWriter = open_writer(self.folder, MANIFEST)
        self.pending: dict[str, Item] = {}
        self.committed: dict[str, Item] = {}
        self.opened: list[IndexReader] = []

    @rule(path=PATHS, texts=TEXTS)
    def put(self, path: str, texts: list[str]) -> None:
        each = item(path, texts, rest="" if texts else " \n")
        put(self.writer, [each])
        self.pending[path] = each

    @rule(paths=st.lists(PATHS, max_size=3))
    def remove(self, paths: list[str]) -> None:
        self.writer.remove(paths)
        self.pending = {path: each for path, each in self.pending.items() if path not in paths}

    @rule()
    def commit(self) -> None:
        self.writer.commit()
        self.committed = dict(self.pending)

    @rule()
    def compact(self) -> None:
        self.writer.compact()
        self.committed = dict(self.pending)

    @rule()
    def maintain(self) -> None:
        self.writer.maintain()
        self.committed = dict(self.pending)

    @rule()
    def reopen_writer(self) -> None:
        self.writer.close()
        self.writer = open_writer(self.folder, MANIFEST)
        self.pending = dict(self.committed)

    @rule()
    def rebuild(self) -> None:
        self.writer.close()
        self.writer = open_writer(self.folder, MANIFEST, rebuild=True)
        self.pending, self.committed = {}, {}

    @rule(target=readers)
    def open_reader(self) -> tuple[IndexReader, dict[str, Item]]:
        reader = open_reader(self.folder)
        self.opened.append(reader)
        return reader, dict(self.committed)

    @rule(reader=readers)
    def a_reader_sees_its_generation(self, reader: tuple[IndexReader, dict[str, Item]]) -> None:
        assert_holds(*reader)

    @invariant()
    def a_new_reader_sees_what_is_committed(self) -> None:
        if hasattr(self, "folder"):
            with open_reader(self.folder) as reader:
                assert_holds(reader, self.committed)
            assert {path: each.state for path, each in self.pending.items()} == dict(self.writer.files())

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.writer.close()
            for reader in self.opened:
                reader.close()
            assert verify(self.folder) == []
            shutil.rmtree(self.folder)


StoreMachine.TestCase.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)
TestStore = StoreMachine.TestCase


class LongStoreMachine(StoreMachine):
    """The same, for longer."""


LongStoreMachine.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
TestStoreForLong = pytest.mark.slow(LongStoreMachine.TestCase)
