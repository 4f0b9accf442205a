"""The index in PostgreSQL with pgvector. Start with `schema` (the tables), then `writer` and `reader`."""
