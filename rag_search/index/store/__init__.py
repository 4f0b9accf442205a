"""The files of an index: SQLite for everything but vectors, files of rows for those."""
