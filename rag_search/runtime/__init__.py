"""Threads, processes, files and HTTP: everything that touches the machine and knows nothing of search."""
