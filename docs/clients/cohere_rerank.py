"""The Cohere SDK. pip install cohere; ragsearch serve"""

import sys

import cohere

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"
texts = ["The weather is fine.", "Raise maxTotal when Redis connections time out."]

client = cohere.ClientV2(api_key="none", base_url=url)  # or the server's key
reply = client.rerank(model="any", query="[for beginners] redis connection timeout", documents=texts, top_n=2)
for result in reply.results:
    print(f"{result.relevance_score:.3f} {texts[result.index]}")
