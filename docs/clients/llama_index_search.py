"""LlamaIndex: our index as a retriever, and our reranker behind any retriever.

pip install ragsearch-local llama-index-core llama-index-postprocessor-tei-rerank; ragsearch serve
"""

import sys

from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.tei_rerank import TextEmbeddingInference

from rag_search.integrations.llama_index import RagSearchRetriever

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"

for node in RagSearchRetriever(url, top_k=1).retrieve("如何解决Redis连接超时"):
    print(f"{node.score:.3f} {node.metadata['path']}:{node.metadata['line_start']}")

texts = ["The weather is fine.", "Raise maxTotal when Redis connections time out."]
found = [NodeWithScore(node=TextNode(text=text)) for text in texts]  # from any retriever
reranker = TextEmbeddingInference(base_url=url, top_n=1)  # a key: auth_token="Bearer KEY"
for node in reranker.postprocess_nodes(found, query_str="redis connection timeout"):
    print(f"{node.score:.3f} {node.text}")
