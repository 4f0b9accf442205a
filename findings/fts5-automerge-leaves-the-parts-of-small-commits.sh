#!/usr/bin/env bash
# One would guess: FTS5 merges by itself ("automerge" is 4 by default: four parts of a level are merged), so an index
#   that was filled in twenty commits of some dozen documents has a handful of parts, and a query reads that many.
# What happens: the merging is paid for by leaf pages that are written, 64 of them for a unit of work. Commits that write
#   fewer each leave a part each, until sixteen are there (crisismerge). A query looks every term up in every part: it
#   asks for several times the pages of an index after 'optimize', which takes milliseconds here and which nothing but
#   the application calls. So a small corpus that is synced often is the slow case, and a large one is not.
# Versions: SQLite 3.54.1 in apsw 3.54.1.0, Python 3.11.
# Source: ext/fts5/fts5_index.c, fts5IndexAutomerge (nWorkUnit) and fts5IndexCrisismerge.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check apsw==3.54.1.0
"$work/venv/bin/python" - <<'PY'
import random

import apsw

COMMITS, DOCUMENTS, QUERIES = 15, 50, 200
random.seed(1)
db = apsw.Connection(":memory:")
db.execute("create virtual table pages using fts5(body)")
for _ in range(COMMITS):
    with db:
        for _ in range(DOCUMENTS):
            db.execute("insert into pages values (?)", (" ".join(f"w{random.randrange(3000)}" for _ in range(40)),))


def parts():
    return db.execute("select count(distinct segid) from pages_idx").fetchone()[0]


def pages_a_query():
    """Return the pages of the database that a query of one word asks for, and what all queries find."""
    reads, found = 0, []
    for number in range(QUERIES):
        db.status(apsw.SQLITE_DBSTATUS_CACHE_HIT, True)
        found.append(db.execute("select count(*) from pages where pages match ?", (f"w{number}",)).fetchone()[0])
        reads += db.status(apsw.SQLITE_DBSTATUS_CACHE_HIT)[0]
    return reads / QUERIES, found


print("SQLite", apsw.sqlite_lib_version(), "apsw", apsw.apsw_version())
many, (before, found) = parts(), pages_a_query()
db.execute("insert into pages(pages) values ('optimize')")
one, (after, same) = parts(), pages_a_query()
print(f"{COMMITS} commits: {many} parts, {before:.1f} pages a query; optimized: {one} part, {after:.1f} pages a query")
assert found == same and sum(found) > 0
assert (many, one) == (COMMITS, 1), (many, one)
assert before > 3 * after, (before, after)
PY
