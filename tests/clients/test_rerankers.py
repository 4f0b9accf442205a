"""Rerank clients that others wrote, pointed at a running server by its address."""

from __future__ import annotations

import math
from collections.abc import Sequence

import httpx
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # their warnings are not ours to mend
TEXTS = [
    "The weather is fine.",
    "Raise maxTotal when Redis connections time out.",
    "Redis is a key-value store.",
]
QUERY = "[for beginners] redis connection timeout"
BEST_FIRST = [1, 2, 0]


def truth(url: str) -> list[tuple[int, float]]:
    """Places and scores, best first, asked without any client."""
    reply = httpx.post(f"{url}/v1/rerank", json={"query": QUERY, "documents": TEXTS}, timeout=60)
    rows = reply.json()["results"]
    return [(row["index"], row["relevance_score"]) for row in rows]


def ranking(texts: Sequence[str], scores: Sequence[float | None]) -> list[tuple[int, float]]:
    return [(TEXTS.index(text), score or 0.0) for text, score in zip(texts, scores, strict=True)]


def same(ours: Sequence[tuple[int, float]], url: str) -> bool:
    wanted = truth(url)[: len(ours)]
    places = [place for place, _ in ours]
    return places == BEST_FIRST[: len(ours)] and [score for _, score in ours] == pytest.approx([s for _, s in wanted])


def test_cohere(url: str, guarded: str) -> None:
    cohere = pytest.importorskip("cohere", reason="the Cohere SDK is not installed")
    client = cohere.ClientV2(api_key="none", base_url=url)
    found = client.rerank(model="any", query=QUERY, documents=TEXTS, top_n=2)
    assert same([(row.index, row.relevance_score) for row in found.results], url)
    with pytest.raises(cohere.BadRequestError, match="the query is empty"):
        client.rerank(model="any", query=" ", documents=TEXTS)
    with pytest.raises(cohere.UnauthorizedError):
        cohere.ClientV2(api_key="wrong", base_url=guarded).rerank(model="any", query=QUERY, documents=TEXTS)
    client = cohere.ClientV2(api_key="secret", base_url=guarded)
    assert client.rerank(model="any", query=QUERY, documents=TEXTS).results[0].index == BEST_FIRST[0]


def test_cohere_of_the_first_version(url: str) -> None:
    cohere = pytest.importorskip("cohere", reason="the Cohere SDK is not installed")
    if not hasattr(cohere, "Client"):
        pytest.skip("this Cohere SDK has the second version only")
    documents = [{"text": text} for text in TEXTS]
    client = cohere.Client(api_key="none", base_url=url)
    found = client.rerank(model="any", query=QUERY, documents=documents, return_documents=True)
    assert same([(row.index, row.relevance_score) for row in found.results], url)
    assert [row.document.text for row in found.results] == [TEXTS[place] for place in BEST_FIRST]


def test_llama_index(url: str, guarded: str) -> None:
    pytest.importorskip("llama_index.core", reason="LlamaIndex is not installed")
    tei = pytest.importorskip("llama_index.postprocessor.tei_rerank", reason="its TEI reranker is not installed")
    from llama_index.core.schema import NodeWithScore, TextNode

    for address, key in ((url, None), (guarded, "Bearer secret")):
        nodes = [NodeWithScore(node=TextNode(text=text), score=0.0) for text in TEXTS]
        postprocessor = tei.TextEmbeddingInference(base_url=address, top_n=2, auth_token=key)
        found = postprocessor.postprocess_nodes(nodes, query_str=QUERY)
        assert same(ranking([node.text for node in found], [node.score for node in found]), url)


def test_langchain(url: str) -> None:
    rerank = pytest.importorskip("langchain_cohere", reason="langchain-cohere is not installed")
    from langchain_core.documents import Document

    compressor = rerank.CohereRerank(base_url=url, cohere_api_key="none", model="any", top_n=2)
    found = compressor.compress_documents([Document(page_content=text) for text in TEXTS], QUERY)
    assert same(ranking([d.page_content for d in found], [d.metadata["relevance_score"] for d in found]), url)


def test_haystack_with_vllm(url: str, guarded: str) -> None:
    pytest.importorskip("haystack", reason="Haystack is not installed")
    vllm = pytest.importorskip("haystack_integrations.components.rankers.vllm", reason="no vllm-haystack")
    from haystack import Document
    from haystack.utils import Secret

    documents = [Document(content=text) for text in TEXTS]
    for address, key in ((url, None), (guarded, Secret.from_token("secret"))):
        ranker = vllm.VLLMRanker(model="any", api_base_url=f"{address}/v1", api_key=key, top_k=2)
        found = ranker.run(query=QUERY, documents=documents)["documents"]
        assert same(ranking([d.content for d in found], [d.score for d in found]), url)
    with pytest.raises(RuntimeError, match="the query is empty"):
        ranker.run(query=" ", documents=documents)


def test_haystack_with_tei(url: str, guarded: str) -> None:
    pytest.importorskip("haystack", reason="Haystack is not installed")
    tei = pytest.importorskip("haystack_integrations.components.rankers.huggingface_api", reason="no TEI ranker")
    from haystack import Document
    from haystack.utils import Secret

    documents = [Document(content=text) for text in TEXTS]
    for address, key in ((url, None), (guarded, Secret.from_token("secret"))):
        ranker = tei.HuggingFaceTEIRanker(url=address, token=key, top_k=2)
        found = ranker.run(query=QUERY, documents=documents)["documents"]
        assert same(ranking([d.content for d in found], [d.score for d in found]), url)
    with pytest.raises(RuntimeError, match="the query is empty"):
        ranker.run(query=" ", documents=documents)


def test_weaviate(url: str) -> None:
    """Weaviate is a server of its own; these are the requests that its reranker-transformers module sends."""
    for probe in ("live", "ready"):
        assert httpx.get(f"{url}/.well-known/{probe}").status_code == 204
    assert httpx.get(f"{url}/meta").json()["model"]
    body = httpx.Request("POST", url, json={"query": QUERY, "documents": TEXTS, "property": ""}).content
    reply = httpx.post(f"{url}/rerank", content=body).json()  # without a content type, as from Go
    assert [row["document"] for row in reply["scores"]] == TEXTS
    ours = sorted(enumerate(row["score"] for row in reply["scores"]), key=lambda pair: -pair[1])
    assert same(ours, url)
    body = httpx.Request("POST", url, json={"query": " ", "documents": TEXTS, "property": ""}).content
    refused = httpx.post(f"{url}/rerank", content=body)
    assert (refused.status_code, refused.json()["error"]) == (400, "the query is empty. Write a question.")


def test_voyage(url: str, guarded: str) -> None:
    """`data` is best first, and `top_k` limits."""
    voyageai = pytest.importorskip("voyageai", reason="the Voyage SDK is not installed")
    for address, key in ((url, "none"), (guarded, "secret")):
        client = voyageai.Client(api_key=key, base_url=f"{address}/v1")
        found = client.rerank(QUERY, TEXTS, model="any", top_k=2)
        assert same([(row.index, row.relevance_score) for row in found.results], url)
    with pytest.raises(voyageai.error.VoyageError):
        voyageai.Client(api_key="wrong", base_url=f"{guarded}/v1").rerank(QUERY, TEXTS, model="any")


def test_xinference(url: str) -> None:
    """Its client asks for the model first, and reads `detail` of an error."""
    xinference = pytest.importorskip("xinference_client", reason="the client of Xinference is not installed")
    model = xinference.RESTfulClient(url).get_model("late interaction (builtin)")
    found = model.rerank(TEXTS, QUERY, top_n=2, return_documents=True)["results"]
    assert same([(row["index"], row["relevance_score"]) for row in found], url)
    assert found[0]["document"]["text"] == TEXTS[BEST_FIRST[0]]
    with pytest.raises(RuntimeError, match="the query is empty"):
        model.rerank(TEXTS, " ")


def test_haystack_with_nvidia(url: str) -> None:
    """NIM's shape, whose logits are those of our scores."""
    pytest.importorskip("haystack", reason="Haystack is not installed")
    nvidia = pytest.importorskip("haystack_integrations.components.rankers.nvidia", reason="no nvidia-haystack")
    from haystack import Document
    from haystack.utils import Secret

    ranker = nvidia.NvidiaRanker(model="any", api_url=f"{url}/v1", api_key=Secret.from_token("none"), top_k=2)
    ranker.warm_up()
    found = ranker.run(query=QUERY, documents=[Document(content=text) for text in TEXTS])["documents"]
    scores = [1 / (1 + math.exp(-document.score)) for document in found]
    assert same(ranking([document.content for document in found], scores), url)


def test_haystack_with_jina(url: str) -> None:
    """Its base URL is the whole address, and its error reads `detail`."""
    pytest.importorskip("haystack", reason="Haystack is not installed")
    jina = pytest.importorskip("haystack_integrations.components.rankers.jina", reason="no jina-haystack")
    from haystack import Document
    from haystack.utils import Secret

    ranker = jina.JinaRanker(model="any", api_key=Secret.from_token("none"), base_url=f"{url}/v1/rerank", top_k=2)
    documents = [Document(content=text) for text in TEXTS]
    found = ranker.run(query=QUERY, documents=documents)["documents"]
    assert same(ranking([document.content for document in found], [document.score for document in found]), url)
    with pytest.raises(RuntimeError, match="the query is empty"):
        ranker.run(query="  ", documents=documents)


def test_langchain_with_nvidia(url: str) -> None:
    """It asks for the models first."""
    nvidia = pytest.importorskip("langchain_nvidia_ai_endpoints", reason="it is not installed")
    from langchain_core.documents import Document

    reranker = nvidia.NVIDIARerank(model="any", base_url=f"{url}/v1", api_key="none", top_n=2)
    found = reranker.compress_documents([Document(page_content=text) for text in TEXTS], QUERY)
    scores = [1 / (1 + math.exp(-document.metadata["relevance_score"])) for document in found]
    assert same(ranking([document.page_content for document in found], scores), url)


@pytest.mark.parametrize("model", ["hosted_vllm/any", "cohere/any"])
def test_litellm(url: str, model: str) -> None:
    """The providers that take an address; infinity's wants documents as strings, which is not claimed."""
    litellm = pytest.importorskip("litellm", reason="LiteLLM is not installed")
    found = litellm.rerank(model=model, query=QUERY, documents=TEXTS, top_n=2, api_base=url, api_key="none")
    assert same([(row["index"], row["relevance_score"]) for row in found.results], url)


def test_together(url: str) -> None:
    """`usage.completion_tokens` must be a number; objects come back as objects."""
    together = pytest.importorskip("together", reason="the Together SDK is not installed")
    client = together.Together(api_key="none", base_url=url)
    found = client.rerank.create(model="any", query=QUERY, documents=TEXTS, top_n=2)
    assert same([(row.index, row.relevance_score) for row in found.results], url)
    objects = [{"title": "a", "body": text} for text in TEXTS]
    found = client.rerank.create(
        model="any", query=QUERY, documents=objects, rank_fields=["body"], return_documents=True
    )
    assert [row.index for row in found.results] == BEST_FIRST


@pytest.mark.parametrize(
    ("provider", "path"),
    [
        ("cohere", "/v1/rerank"),
        ("jina", "/v1/rerank"),
        ("voyage", "/v1/rerank"),
        ("text-embeddings-inference", "/rerank"),
    ],
)
def test_rerankers(url: str, provider: str, path: str) -> None:
    """One library for all shapes: `url` is the whole address."""
    rerankers = pytest.importorskip("rerankers.models.api_rankers", reason="rerankers is not installed")
    ranker = rerankers.APIRanker("any", "none", provider, url=f"{url}{path}")
    found = ranker.rank(QUERY, TEXTS).results
    assert same(ranking([row.document.text for row in found], [row.score for row in found]), url)


def test_zero_entropy(url: str) -> None:
    zeroentropy = pytest.importorskip("zeroentropy", reason="the SDK of ZeroEntropy is not installed")
    client = zeroentropy.ZeroEntropy(api_key="none", base_url=f"{url}/v1")
    found = client.models.rerank(model="any", query=QUERY, documents=TEXTS, top_n=2)
    assert same([(row.index, row.relevance_score) for row in found.results], url)


def test_contextual(url: str) -> None:
    contextual = pytest.importorskip("contextual", reason="the SDK of Contextual AI is not installed")
    client = contextual.ContextualAI(api_key="none", base_url=f"{url}/v1")
    found = client.rerank.create(model="any", query=QUERY, documents=TEXTS, top_n=2)
    assert same([(row.index, row.relevance_score) for row in found.results], url)


def test_openai_models(url: str) -> None:
    """`models.retrieve` of any id."""
    openai = pytest.importorskip("openai", reason="the OpenAI SDK is not installed")
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
    assert client.models.retrieve("any").id == "any"
