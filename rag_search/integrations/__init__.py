"""Retrievers over our index for LangChain, LlamaIndex and Haystack.

Only what none of their own clients can be pointed at: rerankers and embeddings need no adapter (docs/server.md).
"""
