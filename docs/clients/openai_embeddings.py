"""The OpenAI SDK, for vectors. pip install openai; ragsearch serve"""

import sys

import openai

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7860"
texts = ["The weather is fine.", "Raise maxTotal when Redis connections time out."]

client = openai.OpenAI(api_key="none", base_url=f"{url}/v1")  # or the server's key
passages = client.embeddings.create(model="any", input=texts).data
(question,) = client.embeddings.create(
    model="any", input="redis connection timeout", extra_body={"input_type": "query"}
).data
for text, passage in zip(texts, passages, strict=True):
    cosine = sum(a * b for a, b in zip(question.embedding, passage.embedding, strict=True))
    print(f"{cosine:.3f} {text}")
