#!/usr/bin/env bash
# One would guess: in `select ... where embedding match ? and k = 5 and CONDITION`, the condition chooses rows and the
#   five nearest of these come back, or it is always applied afterwards; in any case one of the two for one table.
# What happens: it depends on how the condition is spelt. `lang = 'zh'` and `id in (...)` choose rows first and give five.
#   `id > 30`, `id not in (...)`, `lower(lang) = 'zh'`, and the same `lang = 'zh'` of a joined table are applied by SQLite
#   to the five nearest of all rows: with an answer among the other rows, fewer or no rows come back, without an error.
#   So a filter that works in a test with a few rows finds nothing in a table that is large beside k. `id in (select id
#   from documents where ...)` is the form of a join that keeps its rows.
# Versions: sqlite-vec 0.1.9, apsw 3.54.1.0 (SQLite 3.54), Python 3.11.
# Source: sqlite-vec.c, vec0BestIndex: only these constraints are pushed into the search, all others stay with SQLite.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check sqlite-vec==0.1.9 apsw==3.54.1.0
"$work/venv/bin/python" - <<'PY'
import struct

import apsw
import sqlite_vec

db = apsw.Connection(":memory:")
db.enable_load_extension(True)
db.load_extension(sqlite_vec.loadable_path())
print("sqlite-vec", *db.execute("select vec_version()").fetchone(), "SQLite", apsw.sqlite_lib_version())
db.execute("create virtual table vectors using vec0(id integer primary key, place float[2], lang text)")
db.execute("create table documents(id integer primary key, lang text)")
for row in range(1, 41):  # the query is at 0: rows 1 to 30 are nearer than the ten that are asked for
    lang = "en" if row <= 30 else "zh"
    db.execute("insert into vectors values(?, ?, ?)", (row, struct.pack("2f", row, 0), lang))
    db.execute("insert into documents values(?, ?)", (row, lang))


def ids(condition, join=""):
    query = f"select v.id from vectors v {join} where v.place match ? and k = 5 and {condition} order by distance"
    return [row for (row,) in db.execute(query, (struct.pack("2f", 0, 0),))]


JOIN = "join documents d on d.id = v.id"
nearest = [31, 32, 33, 34, 35]
cases = {
    "v.lang = 'zh'": (ids("v.lang = 'zh'"), nearest),
    "v.id in (select id from documents ...)": (ids("v.id in (select id from documents where lang = 'zh')"), nearest),
    f"{JOIN} ... d.lang = 'zh'": (ids("d.lang = 'zh'", JOIN), []),
    "lower(v.lang) = 'zh'": (ids("lower(v.lang) = 'zh'"), []),
    "v.id > 30": (ids("v.id > 30"), []),
    "v.id not in (1, 2, 3)": (ids("v.id not in (1, 2, 3)"), [4, 5]),
}
for condition, (found, expected) in cases.items():
    print(f"{condition:54} {found}")
    assert found == expected, condition
PY
