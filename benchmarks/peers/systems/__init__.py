"""One module a tool, run in the tool's own environment; none of them imports ragsearch."""
