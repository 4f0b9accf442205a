import os
import shlex
import threading
from pathlib import Path

import pytest

from rag_search.documents import Selection
from rag_search.errors import EngineError, InputError
from rag_search.index import open_reader, open_writer
from rag_search.ingest import IngestOptions, plan_sync, sync_folders, sync_texts
from tests.ingest.syncing import EMBEDDER, MANIFEST, Counting, Dying, counts, on_disk, stored, sync
from tests.support.fakes import WordEmbedder


def test_the_index_becomes_equal_to_the_folder(docs: Path) -> None:
    assert counts(sync(docs)) == (3, 0, 0, 0, 0)
    assert stored(docs) == on_disk(docs)
    (docs / "a.md").write_text("# Alpha\n\nsomething else\n", "utf-8")
    (docs / "b.md").unlink()
    (docs / "new.md").write_text("new\n", "utf-8")
    assert counts(sync(docs)) == (1, 1, 1, 1, 0)
    assert stored(docs) == on_disk(docs)
    assert counts(sync(docs)) == (0, 0, 3, 0, 0)


def test_a_touched_file_is_not_embedded_again(docs: Path) -> None:
    sync(docs)
    os.utime(docs / "a.md", ns=(1, 1))
    embedder = Counting()
    assert counts(sync(docs, embedder)) == (0, 0, 3, 0, 0)
    assert embedder.seen == []  # type: ignore[attr-defined]
    assert sync(docs, embedder).unchanged == 3


def test_only_passages_not_seen_before_are_embedded(docs: Path) -> None:
    sync(docs)
    text = (docs / "b.md").read_text("utf-8")
    (docs / "b.md").write_text(text.replace("consumer groups", "static members"), "utf-8")
    embedder = Counting()
    report = sync(docs, embedder)
    assert counts(report) == (0, 1, 2, 0, 0)
    assert report.embedded == len(embedder.seen)  # type: ignore[attr-defined]
    assert all("static members" in passage for passage in embedder.seen)  # type: ignore[attr-defined]


def test_a_renamed_folder_is_not_embedded_again(docs: Path) -> None:
    sync(docs)
    (docs / "deep").rename(docs / "deeper")
    (docs / "a.md").rename(docs / "z.md")
    embedder = Counting()
    assert counts(sync(docs, embedder)) == (2, 0, 1, 2, 0)
    assert embedder.seen == []  # type: ignore[attr-defined]
    assert stored(docs) == on_disk(docs)


def test_files_that_swap_their_names_are_not_embedded_again(docs: Path) -> None:
    sync(docs)
    (docs / "a.md").rename(docs / "aside")
    (docs / "b.md").rename(docs / "a.md")
    (docs / "aside").rename(docs / "b.md")
    embedder = Counting()
    assert counts(sync(docs, embedder)) == (0, 2, 1, 0, 0)
    assert embedder.seen == []  # type: ignore[attr-defined]
    assert stored(docs) == on_disk(docs)


def test_what_is_gone_stays_until_what_is_new_is_there(docs: Path) -> None:
    sync(docs)
    (docs / "a.md").write_text("# Note 399\n", "utf-8")
    (docs / "b.md").unlink()
    before = stored(docs)
    with pytest.raises(EngineError):
        sync(docs, Dying(tokens=True))
    assert stored(docs) == before
    assert counts(sync(docs)) == (0, 1, 1, 1, 0)
    assert stored(docs) == on_disk(docs)


def test_a_failed_file_is_named_and_keeps_its_last_good_version(docs: Path) -> None:
    sync(docs)
    good = (docs / "a.md").read_text("utf-8")
    (docs / "a.md").write_bytes(b"# broken \xff\xfe\xfa utf-8 and more")
    report = sync(docs)
    assert [failure.path for failure in report.failed] == ["docs/a.md"]
    assert report.failed[0].reason == "is not UTF-8: byte 9 in line 1 is 0xff. Save it as UTF-8."
    assert stored(docs)["docs/a.md"] == good


def test_a_failure_says_what_to_do(docs: Path) -> None:
    (docs / "it's.md").write_bytes("连接超时".encode("gb18030"))
    (failure,) = sync(docs).failed
    assert failure.path == "docs/it's.md"
    command = failure.reason.partition("convert it: ")[2]
    assert shlex.split(command) == ["iconv", "-f", "GB18030", "-t", "UTF-8", str(docs / "it's.md")]


@pytest.mark.parametrize("content", [b"NUL \x00 byte", b"x" * (2**20 + 1)])
def test_binary_and_oversized_files_fail_alone(docs: Path, content: bytes) -> None:
    (docs / "odd.md").write_bytes(content)
    with open_writer(docs.parent / "index", MANIFEST) as writer:
        report = sync_folders(writer, EMBEDDER, [docs], base=docs.parent, options=IngestOptions(max_bytes=2**20))
    assert counts(report) == (3, 0, 0, 0, 1)


def test_an_emptied_folder_does_not_empty_the_index(docs: Path) -> None:
    sync(docs)
    before = stored(docs)
    for path in docs.rglob("*.md"):
        path.unlink()
    with pytest.raises(InputError, match="keeps its 3 documents") as raised:
        sync(docs)
    assert "--allow-empty" in raised.value.remedy
    assert stored(docs) == before
    assert counts(sync(docs, allow_empty=True)) == (0, 0, 0, 3, 0)
    assert stored(docs) == {}


def test_one_emptied_folder_of_several_keeps_its_documents(docs: Path) -> None:
    wiki = docs.parent / "wiki"
    wiki.mkdir()
    (wiki / "x.md").write_text("x\n", "utf-8")
    sync(docs, EMBEDDER, wiki)
    before = stored(docs)
    (wiki / "x.md").unlink()  # as when a disk is not mounted
    (docs / "b.md").unlink()
    report = sync(docs, EMBEDDER, wiki)
    assert counts(report) == (0, 0, 2, 1, 1)
    assert report.failed[0].path == "wiki"
    assert "keeps its 1 document; --allow-empty" in report.failed[0].reason
    assert stored(docs) == {path: text for path, text in before.items() if path != "docs/b.md"}
    assert counts(sync(docs, EMBEDDER, wiki, allow_empty=True)) == (0, 0, 2, 1, 0)
    assert stored(docs) == on_disk(docs)


def test_a_folder_named_by_a_link_to_another_one_is_not_empty(docs: Path) -> None:
    alias = docs.parent / "alias"
    alias.symlink_to(docs)
    with open_writer(docs.parent / "index", MANIFEST) as writer:
        sync_folders(writer, EMBEDDER, [alias], base=docs.parent)
    assert counts(sync(docs, EMBEDDER, alias)) == (3, 0, 0, 3, 0)


def test_a_missing_folder_is_an_error_and_nothing_is_lost(docs: Path) -> None:
    sync(docs)
    before = stored(docs)
    with pytest.raises(InputError):
        sync(docs.with_name("dosc"))
    assert stored(docs) == before


def test_other_folders_stay_unless_pruned(docs: Path) -> None:
    other = docs.parent / "other"
    other.mkdir()
    (other / "x.md").write_text("other text\n", "utf-8")
    sync(docs)
    with open_writer(docs.parent / "index", MANIFEST) as writer:
        assert sync_folders(writer, EMBEDDER, [other], base=docs.parent).removed == 0
        assert writer.roots() == ["docs", "other"]
    assert len(stored(docs)) == 4
    with open_writer(docs.parent / "index", MANIFEST) as writer:
        report = sync_folders(writer, EMBEDDER, [other], base=docs.parent, options=IngestOptions(prune=True))
    assert (report.removed, list(stored(docs))) == (3, ["other/x.md"])


def test_what_only_another_root_leads_to_stays_until_it_is_gone(docs: Path) -> None:
    (docs / ".gitignore").write_text("build/\n", "utf-8")
    (docs / "build").mkdir()
    (docs / "build" / "made.md").write_text("made\n", "utf-8")
    (docs / "notes.txt").write_text("notes\n", "utf-8")
    sync(docs, EMBEDDER, docs / "build", docs / "notes.txt")
    assert counts(sync(docs)) == (0, 0, 3, 0, 0)
    assert {"docs/build/made.md", "docs/notes.txt"} <= set(stored(docs))
    (docs / "notes.txt").unlink()
    assert sync(docs).removed == 1
    assert sync(docs, prune=True).removed == 1
    assert stored(docs) == {path: text for path, text in on_disk(docs).items() if "build" not in path}


def test_a_file_gone_from_nested_roots_leaves(docs: Path) -> None:
    """A file gone from a root inside a root leaves with an ingest of either."""
    sync(docs, EMBEDDER, docs / "deep")
    (docs / "deep" / "c.md").unlink()
    assert sync(docs).removed == 1


def test_a_blank_document_is_reported_and_harmless(docs: Path) -> None:
    (docs / "blank.md").write_text("  \n\n", "utf-8")
    report = sync(docs)
    assert report.empty == ("docs/blank.md",)
    assert counts(sync(docs)) == (0, 0, 4, 0, 0)


def test_the_plan_reads_and_changes_nothing(docs: Path) -> None:
    sync(docs)
    (docs / "a.md").write_text("changed\n", "utf-8")
    (docs / "b.md").unlink()
    (docs / "new.md").write_text("new\n", "utf-8")
    before = stored(docs)
    with open_reader(docs.parent / "index") as reader:
        plan = plan_sync(reader.files(), [docs], base=docs.parent)
    assert [source.path for source in plan.new] == ["docs/new.md"]
    assert [source.path for source in plan.changed] == ["docs/a.md"]
    assert plan.removed == ("docs/b.md",)
    assert stored(docs) == before


def test_texts_without_files_are_synced_by_id(tmp_path: Path) -> None:
    place = tmp_path / "index"
    with open_writer(place, MANIFEST) as writer:
        first = sync_texts(writer, EMBEDDER, [("d1", "One", "alpha"), ("d2", "", "beta")])
        second = sync_texts(writer, EMBEDDER, [("d1", "One", "alpha"), ("d3", "", "gamma")])
    assert counts(first) == (2, 0, 0, 0, 0)
    assert counts(second) == (1, 0, 1, 1, 0)
    with open_reader(place) as reader:
        assert reader.documents() == ["d1", "d3"]
        assert reader.document("d1").title == "One"


def test_an_id_that_stands_twice_is_an_error_and_changes_nothing(tmp_path: Path) -> None:
    with open_writer(tmp_path / "index", MANIFEST) as writer:
        sync_texts(writer, EMBEDDER, [("d1", "One", "alpha")])
        with pytest.raises(InputError, match="2 texts have the id 'd2'"):
            sync_texts(writer, EMBEDDER, [("d1", "", "other"), ("d2", "", "beta"), ("d2", "", "gamma")])
    with open_reader(tmp_path / "index") as reader:
        assert [reader.document(path).text for path in reader.documents()] == ["alpha"]


class Watching(WordEmbedder):
    """A WordEmbedder that takes its time over the first group: until a document of the next one is chunked."""

    def __init__(self, mark: str) -> None:
        super().__init__(tokens=True)
        object.__setattr__(self, "mark", mark)
        object.__setattr__(self, "chunked", threading.Event())

    def count_tokens(self, texts):  # type: ignore[no-untyped-def]
        if any(self.mark in text for text in texts):  # type: ignore[attr-defined]
            self.chunked.set()  # type: ignore[attr-defined]
        return super().count_tokens(texts)

    def encode_documents(self, passages):  # type: ignore[no-untyped-def]
        assert self.chunked.wait(10)  # type: ignore[attr-defined]
        return super().encode_documents(passages)


def many_documents(docs: Path, number: int) -> None:
    for i in range(number):
        (docs / f"n{i:03}.md").write_text(f"# Note {i}\n\nNumber {i} of many notes.\n", "utf-8")


def test_the_next_group_is_chunked_while_one_is_embedded(docs: Path) -> None:
    many_documents(docs, 400)
    assert sync(docs, Watching("Note 399")).new == 403
    assert stored(docs) == on_disk(docs)


def test_what_was_committed_before_an_error_stays(docs: Path) -> None:
    many_documents(docs, 400)
    with pytest.raises(EngineError, match="gone"):
        sync(docs, Dying(tokens=True))
    kept = stored(docs)
    assert len(kept) >= 256
    assert kept.items() <= on_disk(docs).items()
    report = sync(docs)
    assert (report.unchanged, report.new) == (len(kept), 403 - len(kept))
    assert stored(docs) == on_disk(docs)


def test_files_of_other_kinds_are_counted(docs: Path) -> None:
    """The report has the number of files that were not read, by suffix."""
    for name in ("a.png", "b.png", "notes.txt", "deep/x.log"):
        (docs / name).write_text("x", "utf-8")
    assert sync(docs).unread == {".png": 2, ".txt": 1, ".log": 1}
    report = sync(docs, selection=Selection(("*.txt",), ("b.md",)))  # type: ignore[arg-type]
    assert (report.new, report.removed, report.unread) == (1, 1, {".png": 2, ".log": 1})


def test_broken_front_matter_is_told_by_name(docs: Path) -> None:
    """It costs only itself: the rest of the front matter and the text are in the index."""
    (docs / "a.md").write_text("---\ntitle: Redis: timeouts\ntags: [a]\n---\ntext\n", "utf-8")
    report = sync(docs)
    assert [(warning.path, warning.reason) for warning in report.warnings] == [
        ("docs/a.md", "front matter, line 2: mapping values are not allowed here")
    ]
    with open_reader(docs.parent / "index") as reader:
        document = reader.document("docs/a.md")
    assert (document.title, document.metadata["tags"]) == ("Redis: timeouts", ["a"])
