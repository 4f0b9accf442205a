"""The tables of an index in PostgreSQL.

    schema "ragsearch_NAME"    one index; lives as long as it
      head                     format, current edition, generation: what a commit changes last; `swept` is the last
                               chunk id that a commit has covered
      lease                    who may write, and until when
      chunk_ids                sequence of chunk ids; an id is never given out twice
    schema "ragsearch_NAME.N"  one edition: what one `ingest --rebuild` started
      meta, roots, totals, buried (see `vectors`), documents, chunks, vectors, segments, postings

A rebuild fills a new edition and then points `head` to it: dropping tables would have to wait for every reader. The
former edition is dropped by a later writer, when no reader uses it any more.
"""

from __future__ import annotations

import re

from rag_search.errors import ConfigError

FORMAT = 1
PREFIX = "ragsearch_"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")  # PostgreSQL cuts identifiers after 63 bytes

INDEX_TABLES = (
    """CREATE TABLE head (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        format integer NOT NULL, edition bigint NOT NULL, generation bigint NOT NULL,
        committed timestamptz NOT NULL DEFAULT clock_timestamp(), swept bigint NOT NULL DEFAULT 0)""",
    # pid and started: the session of the holder, which the server knows to be alive or gone.
    """CREATE TABLE lease (
        one boolean PRIMARY KEY DEFAULT true CHECK (one),
        holder text NOT NULL DEFAULT '', label text NOT NULL DEFAULT '', pid integer, started timestamptz,
        until timestamptz NOT NULL DEFAULT '-infinity')""",
    "INSERT INTO lease DEFAULT VALUES",
    "CREATE SEQUENCE chunk_ids",
)

# Texts are bytea, because text cannot hold the character NUL. `record`: the fields of a document or chunk that no query
# asks for, as JSON.
EDITION_TABLES = (
    "CREATE TABLE meta (key text PRIMARY KEY, value text NOT NULL)",
    "CREATE TABLE buried (id bigint PRIMARY KEY, generation bigint NOT NULL)",
    'CREATE TABLE roots (path text COLLATE "C" PRIMARY KEY)',
    """CREATE TABLE totals (
        one boolean PRIMARY KEY DEFAULT true CHECK (one), documents bigint NOT NULL DEFAULT 0,
        chunks bigint NOT NULL DEFAULT 0, terms bigint NOT NULL DEFAULT 0, removed bigint NOT NULL DEFAULT 0)""",
    "INSERT INTO totals DEFAULT VALUES",
    # path_hash: a path can be longer than a B-tree takes. facts: see filters.facts_of. text: of a document without
    # chunks; of the others it is the text of their chunks.
    """CREATE TABLE documents (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, path_hash bytea NOT NULL UNIQUE,
        path text COLLATE "C" NOT NULL, updated text COLLATE "C" NOT NULL, facts text[] NOT NULL,
        content_hash text NOT NULL, size bigint NOT NULL, mtime_ns bigint NOT NULL, record bytea NOT NULL,
        text bytea NOT NULL)""",
    "CREATE INDEX documents_by_fact ON documents USING gin (facts)",
    # checksum: CRC-32 of text, vector and token vectors. codes: the token vectors, row after row. token_count: tokens
    # before pooling.
    """CREATE TABLE chunks (
        id bigint PRIMARY KEY, document bigint NOT NULL REFERENCES documents, ordinal integer NOT NULL,
        checksum bigint NOT NULL, passage_hash bytea NOT NULL, token_rows integer NOT NULL,
        token_count integer NOT NULL, record bytea NOT NULL, text bytea NOT NULL,
        passage bytea NOT NULL, terms bytea NOT NULL, codes bytea NOT NULL,
        UNIQUE (document, ordinal))""",
    "ALTER TABLE chunks ALTER codes SET STORAGE EXTERNAL",
    "CREATE INDEX chunks_by_passage ON chunks (passage_hash)",
    # In a table of its own: an exact search reads nothing but ids and vectors.
    "CREATE TABLE vectors (id bigint PRIMARY KEY REFERENCES chunks, embedding halfvec({dim}) NOT NULL)",
    "CREATE TABLE segments (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, postings bigint NOT NULL)",
    # sign: 1 for chunks that were added, -1 for chunks that were removed. See `postings`.
    """CREATE TABLE postings (
        term text COLLATE "C" NOT NULL, segment bigint NOT NULL, sign smallint NOT NULL, count bigint NOT NULL,
        entries bytea NOT NULL)""",
    "ALTER TABLE postings ALTER entries SET STORAGE EXTERNAL",
    "CREATE INDEX postings_by_term ON postings (term) INCLUDE (sign, count)",
    "CREATE INDEX postings_by_segment ON postings (segment)",
)


def namespace(index: str) -> str:
    """Return the schema of an index. Raises ConfigError for a name that cannot be one."""
    if not _NAME.fullmatch(index):
        raise ConfigError(
            f"{index!r} cannot name an index in a database.",
            remedy="Use 1 to 40 letters, digits, `_` or `-`; a path names an index on this machine only.",
        )
    return PREFIX + index


def edition_namespace(index: str, edition: int) -> str:
    """Return the schema of one edition of an index."""
    return f"{namespace(index)}.{edition}"
