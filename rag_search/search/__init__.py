"""Answer one query: retrieve, fuse, rerank, group."""
