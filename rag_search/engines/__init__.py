"""Settings to objects: the table of engines, known answers, and the index opened together with its engines."""
