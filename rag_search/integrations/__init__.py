"""Retrievers over our index for LangChain, LlamaIndex and Haystack.

Rerankers and embeddings need no adapter: the frameworks' own clients work with our server (docs/server.md).
"""
