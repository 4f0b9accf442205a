"""Weaviate: the request that its reranker-transformers module sends. ragsearch serve

A Weaviate on this machine uses us with ENABLE_MODULES=reranker-transformers and
RERANKER_INFERENCE_API=http://127.0.0.1:7860; it sends no key.
"""

import sys

import httpx

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"
texts = ["The weather is fine.", "Raise maxTotal when Redis connections time out."]

assert httpx.get(f"{url}/.well-known/ready").status_code == 204
body = {"query": "redis connection timeout", "documents": texts, "property": ""}
for row in httpx.post(f"{url}/rerank", json=body).raise_for_status().json()["scores"]:  # in the order of the request
    print(f"{row['score']:.3f} {row['document']}")
