"""LangChain: our index as a retriever, and our reranker as a document compressor.

pip install ragsearch-local langchain-core langchain-cohere; ragsearch serve
"""

import sys

from langchain_cohere import CohereRerank
from langchain_core.documents import Document

from rag_search.integrations.langchain import RagSearchRetriever

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"

for document in RagSearchRetriever(url=url, top_k=1).invoke("如何解决Redis连接超时"):
    print(f"{document.metadata['relevance_score']:.3f} {document.metadata['path']}:{document.metadata['line_start']}")

texts = ["The weather is fine.", "Raise maxTotal when Redis connections time out."]
found = [Document(page_content=text) for text in texts]  # from any retriever
compressor = CohereRerank(base_url=url, cohere_api_key="none", model="any", top_n=1)
for document in compressor.compress_documents(found, "redis connection timeout"):
    print(f"{document.metadata['relevance_score']:.3f} {document.page_content}")
