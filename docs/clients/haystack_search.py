"""Haystack: our index as a retriever, and our reranker as a ranker; both go into a Pipeline.

pip install ragsearch-local haystack-ai vllm-haystack; ragsearch serve
"""

import sys

from haystack import Document
from haystack_integrations.components.rankers.vllm import VLLMRanker

from rag_search.integrations.haystack import RagSearchRetriever

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"

for document in RagSearchRetriever(url, top_k=1).run("如何解决Redis连接超时")["documents"]:
    print(f"{document.score:.3f} {document.meta['path']}:{document.meta['line_start']}")

texts = ["The weather is fine.", "Raise maxTotal when Redis connections time out."]
found = [Document(content=text) for text in texts]  # from any retriever
ranker = VLLMRanker(model="any", api_base_url=f"{url}/v1", top_k=1)  # a key: api_key=Secret.from_token("KEY")
for document in ranker.run(query="redis connection timeout", documents=found)["documents"]:
    print(f"{document.score:.3f} {document.content}")
