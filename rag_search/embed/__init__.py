"""Text to vectors: the embedder protocol and its engines."""
