"""Damage of every kind is found."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from rag_search.errors import IndexCorruptError, IndexLockedError, IndexMissingError, IndexStoreError, InputError
from rag_search.index import open_reader, open_writer, verify
from rag_search.index.dense.faiss_file import FaissFile
from rag_search.index.store.packing import pack, unpack
from tests.index.world import MANIFEST, assert_holds, item, put, random_unit

ITEMS = {each.path: each for each in (item(f"{i}.md", [f"word{i} one\n", f"word{i} two\n"]) for i in range(40))}


@pytest.fixture
def filled(folder: Path) -> Path:
    with open_writer(folder, MANIFEST) as writer:
        put(writer, ITEMS.values())
        writer.commit()
        writer.remove(["3.md"])
        writer.set_base(folder.parent)
        writer.set_roots(["docs", "notes"])
        writer.build_derived()
    return folder


def _sql(statement: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        database = sqlite3.connect(folder / "meta.db", isolation_level=None)
        database.execute(statement)
        database.close()

    return damage


def _flip(pattern: str, offset: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (file,) = folder.glob(pattern)
        data = bytearray(file.read_bytes())
        data[offset] ^= 0x40
        file.write_bytes(data)

    return damage


def _cut(pattern: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (file,) = folder.glob(pattern)
        file.write_bytes(file.read_bytes()[:-5])

    return damage


def _repack(chunk_id: int, **changes: str) -> Callable[[Path], None]:
    """Change texts of a chunk."""

    def damage(folder: Path) -> None:
        database = sqlite3.connect(folder / "meta.db", isolation_level=None)
        (packed,) = database.execute("SELECT packed FROM chunks WHERE id = ?", (chunk_id,)).fetchone()
        changed = pack(unpack(packed)._replace(**changes))  # type: ignore[arg-type]
        database.execute("UPDATE chunks SET packed = ? WHERE id = ?", (changed, chunk_id))
        database.close()

    return damage


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (_flip("vectors-*", 10 * 32 + 1), r"chunk 10: its text or vectors are not the ones"),
        (_flip("tokens-*", 60), r"its text or vectors are not the ones"),
        (_flip("lengths-*", 4 * 9), r"chunk 9: has 2 terms, lengths-000001\.i32 records 66"),
        (_cut("lengths-*"), r"shorter than its 80 committed rows"),
        (_cut("vectors-*"), r"shorter than its 80 committed rows"),
        (_cut("tokens-*"), r"shorter than its \d+ committed rows"),
        (_flip("ann-*", 500), r"ann-000003\.faiss: is not the file"),
        (lambda folder: next(folder.glob("ann-*")).unlink(), r"ann-000003\.faiss: is missing"),
        (lambda folder: next(folder.glob("vectors-*")).unlink(), r"vectors-000001\.f16: is missing"),
        (lambda folder: (folder / "tokens-000009.u3").touch(), r"tokens-000009\.u3: belongs to no generation"),
        (_repack(4, passage="changed"), r"chunk 4: its passage is not the one"),
        (_repack(4, text="changed"), r"2\.md chunk 0: does not follow|2\.md chunk 1"),
        (_sql("DELETE FROM tombstones WHERE row = 6"), r"has 80 rows, meta\.db records 79"),
        (_sql("INSERT INTO tombstones VALUES (9)"), r"1 chunks are both live and deleted"),
        (_repack(4, terms="other"), r"lexical: does not agree"),
        (_sql("DELETE FROM documents WHERE path = '5.md'"), r"refers to a missing row"),
        (_sql("DELETE FROM segments WHERE kind = 'tokens'"), r"does not name the segments"),
        (
            _sql("UPDATE chunks SET start = 'x' WHERE id = 4"),
            r"chunks\.start: has 1 values that are not of type int",
        ),
        (
            _sql("UPDATE chunks SET packed = 'x' WHERE id = 4"),
            r"chunks\.packed: has 1 values that are not of type b",
        ),
        (_sql("UPDATE chunks SET packed = x'ff' WHERE id = 4"), r"the texts of a chunk cannot be read"),
        (_sql("UPDATE chunks SET token_rows = 'x' WHERE id = 4"), r"chunks\.token_rows: has 1 values"),
        (_sql("UPDATE documents SET title = 'other' WHERE path = '5.md'"), r"5\.md: its title, dates or line"),
        (_sql("UPDATE documents SET updated = '2099-01-01' WHERE path = '5.md'"), r"5\.md: its title, dates or line"),
        (_sql("UPDATE documents SET metadata = '{\"a\": 1}' WHERE path = '5.md'"), r"5\.md: its title, dates or line"),
        (_sql("UPDATE chunks SET line_start = 7 WHERE id = 5"), r"2\.md: its title, dates or line"),
        (_sql("UPDATE roots SET path = 'dogs' WHERE path = 'docs'"), r"meta\.db: its settings or its list"),
        (
            _sql("UPDATE documents SET metadata = replace(hex(zeroblob(50000)), '00', '[') WHERE path = '5.md'"),
            r"5\.md: its title, dates or line|metadata",
        ),
        (_sql("UPDATE meta SET value = '../..' WHERE key = 'base'"), r"meta\.db: its settings or its list"),
        (
            _sql("UPDATE documents SET title = CAST(x'ff' AS TEXT), path = CAST(x'ff' AS TEXT) WHERE path = '5.md'"),
            r"meta\.db is damaged: Could not decode",
        ),
    ],
)
def test_damage_is_found(filled: Path, damage: Callable[[Path], None], finding: str) -> None:
    import re

    assert verify(filled) == []
    damage(filled)
    problems = [str(problem) for problem in verify(filled)]
    assert any(re.search(finding, problem) for problem in problems), problems


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE chunks SET document = 999 WHERE id = 4",
        "UPDATE chunks SET token_start = 'x' WHERE id = 4",
        "UPDATE chunks SET token_start = 100000 WHERE id = 4",
        "UPDATE chunks SET packed = x'ff' WHERE id = 4",
        "UPDATE documents SET title = CAST(x'ff' AS TEXT) WHERE path = '2.md'",
        "UPDATE tombstones SET row = 999 WHERE row = 6",
        "UPDATE documents SET metadata = '{' WHERE path = '2.md'",
        "UPDATE meta SET value = 'x' WHERE key = 'generation'",
        "UPDATE segments SET rows = 'x' WHERE kind = 'tokens'",
        "UPDATE meta SET value = replace(hex(zeroblob(50000)), '00', '[') WHERE key = 'manifest'",
    ],
)
def test_a_query_over_damage_says_so_and_how_to_go_on(filled: Path, statement: str) -> None:
    _sql(statement)(filled)
    with pytest.raises(IndexCorruptError) as raised, open_reader(filled) as reader:
        found, _ = reader.search_lexical(["word2"], 5)
        reader.chunks(found.tolist())
        reader.token_vectors(found.tolist())
        reader.select(where={"a": "b"})
    assert "--rebuild" in raised.value.remedy


def test_a_damaged_database_is_a_finding_and_no_crash(filled: Path) -> None:
    size, found = (filled / "meta.db").stat().st_size, 0
    for offset in range(100, size, 4096):
        original = (filled / "meta.db").read_bytes()
        data = bytearray(original)
        data[offset : offset + 400] = bytes(range(200)) * 2
        (filled / "meta.db").write_bytes(data)
        if not verify(filled):  # it hit a part of the page that nothing uses
            with open_reader(filled) as reader:
                assert_holds(reader, {path: each for path, each in ITEMS.items() if path != "3.md"})
        else:
            found += 1
        (filled / "meta.db").write_bytes(original)
    assert found >= 5
    assert verify(filled) == []


def test_searches_go_on_without_the_cache(filled: Path) -> None:
    kept = {path: each for path, each in ITEMS.items() if path != "3.md"}
    for damage in (_flip("ann-*", 500), lambda folder: next(folder.glob("ann-*")).unlink()):
        damage(filled)
        with open_reader(filled) as reader:
            assert_holds(reader, kept)
    with open_writer(filled, MANIFEST, vectors=FaissFile(exact_rows=1)) as writer:
        writer.maintain()
    assert verify(filled) == []


def test_verify_waits_for_no_writer(filled: Path) -> None:
    with open_writer(filled, MANIFEST), pytest.raises(IndexLockedError):
        verify(filled)


def test_a_folder_without_an_index_stays_as_it_is(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(IndexMissingError, match="there is no index"):
            verify(folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("pattern", "offset"), [("vectors-*.f16", 9), ("tokens-*.u3", 3)])
def test_a_query_compares_the_rows_that_it_reads(filled: Path, pattern: str, offset: int) -> None:
    """A hit whose vectors are not the ones that were written is an error, and not a wrong answer."""
    with open_reader(filled) as reader:
        (first,) = reader.document_chunks("0.md")[:1]
        assert reader.chunks([first.chunk_id]) == [first]
    _flip(pattern, offset)(filled)
    with open_reader(filled) as reader, pytest.raises(IndexCorruptError, match="is not what was written") as caught:
        reader.chunks([first.chunk_id])
    assert "ragsearch ingest --rebuild" in caught.value.remedy
    assert verify(filled)


def test_a_query_compares_the_text_that_it_shows(filled: Path) -> None:
    _repack(0, text="word0 two\n")(filled)
    with open_reader(filled) as reader, pytest.raises(IndexCorruptError, match="chunk 0 is not what was written"):
        reader.chunks([1, 0])


def test_a_query_compares_the_document_of_a_hit(filled: Path) -> None:
    """A title that is not the one that was written is an error of the query that would show it."""
    _sql("UPDATE documents SET title = 'other' WHERE path = '2.md'")(filled)
    with open_reader(filled) as reader:
        found, _ = reader.search_lexical(["word7"], 5)
        assert reader.chunks(found.tolist())[0].title == "Title of 7.md"
        found, _ = reader.search_lexical(["word2"], 5)
        with pytest.raises(IndexCorruptError, match=r"document '2\.md' is not what was written"):
            reader.chunks(found.tolist())


def test_an_index_of_an_older_program_has_no_sums(filled: Path) -> None:
    """What has no checksum is not compared, and what an older program adds is not damage."""
    for statement in (
        "DROP TABLE document_sums",
        "DELETE FROM meta WHERE key = 'sum'",
        "UPDATE documents SET title = 'other' WHERE path = '2.md'",
    ):
        _sql(statement)(filled)
    assert verify(filled) == []
    with open_writer(filled, MANIFEST) as writer:
        put(writer, [item("2.md", ["word2 again\n"])])
        writer.commit()
    assert verify(filled) == []
    _sql("UPDATE documents SET title = 'other' WHERE path IN ('2.md', '7.md')")(filled)
    assert [problem.place for problem in verify(filled)] == ["2.md"]


def test_an_older_writer_leaves_the_sum_of_its_generation(filled: Path) -> None:
    """It changes the tables and the generation, and knows nothing of the checksum."""
    _sql("UPDATE meta SET value = value + 1 WHERE key = 'generation'")(filled)
    _sql("INSERT INTO roots VALUES ('more')")(filled)
    assert verify(filled) == []


def _answers(folder: Path) -> object:
    """Return what a reader says: every document, and the chunks of a search by words and by vectors."""
    with open_reader(folder) as reader:
        ids, scores = reader.search_lexical(["word7", "one"], 20)
        near, dots = reader.search_dense(random_unit(2, seed=3), 5)
        found = [reader.chunks(row) for row in (ids.tolist(), *near.tolist())]
        documents = [reader.document(path) for path in reader.documents()]
        whole = (reader.manifest, reader.base(), reader.chunking(), reader.roots(), reader.counts.chunks)
        return [documents, found, whole, ids.tolist(), scores.tolist(), near.tolist(), dots.tolist()]


@pytest.mark.slow
def test_a_thousand_flips(filled: Path) -> None:
    """After each, over every file, a reader answers as before or refuses, or `verify` finds it."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    sound = {file: file.read_bytes() for file in sorted(filled.iterdir()) if file.stat().st_size}
    expected = _answers(filled)
    for _ in range(1000):
        file = draw.choice(list(sound))
        bit = draw.randrange(8 * len(sound[file]))
        data = bytearray(sound[file])
        data[bit // 8] ^= 1 << bit % 8
        file.write_bytes(data)
        try:
            as_before = _answers(filled) == expected
        except IndexStoreError:
            as_before = True
        except InputError:  # a document without its path is not found; that alone is no refusal of the index
            as_before = False
        if not as_before:
            assert verify(filled), f"seed {seed}: bit {bit} of {file.name}"
        for name, content in sound.items():
            if name == file or name.suffix not in (".f16", ".u3", ".i32"):
                name.write_bytes(content)
