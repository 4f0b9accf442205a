"""Adapt each tool in one module, run in the tool's own environment; none of them imports ragsearch."""
