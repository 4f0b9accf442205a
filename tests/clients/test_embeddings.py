"""The OpenAI SDK, pointed at a running server."""

from __future__ import annotations

import numpy as np
import pytest

openai = pytest.importorskip("openai", reason="the OpenAI SDK is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # its warnings are not ours to mend
TEXTS = ["The weather is fine.", "Raise maxTotal when Redis connections time out."]


def test_vectors_are_unit_rows_in_both_encodings(url: str) -> None:
    """Vectors are unit rows, in order, and the same as floats and in base64."""
    client = openai.OpenAI(api_key="none", base_url=f"{url}/v1")
    packed = client.embeddings.create(model="any", input=TEXTS)  # asks for base64 by itself
    plain = client.embeddings.create(model="any", input=TEXTS, encoding_format="float")
    vectors = np.array([row.embedding for row in packed.data])
    assert [row.index for row in packed.data] == [0, 1]
    assert vectors.shape == (2, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert np.allclose(vectors, [row.embedding for row in plain.data])


def test_a_question_is_embedded_as_one_when_asked_to(url: str) -> None:
    client = openai.OpenAI(api_key="none", base_url=f"{url}/v1")
    passages = np.array([row.embedding for row in client.embeddings.create(model="any", input=TEXTS).data])
    question = "redis connection timeout"
    as_query = client.embeddings.create(model="any", input=question, extra_body={"input_type": "query"})
    as_passage = client.embeddings.create(model="any", input=question)
    assert int(np.argmax(passages @ np.array(as_query.data[0].embedding))) == 1
    assert as_query.data[0].embedding != as_passage.data[0].embedding


def test_models_and_errors(url: str, guarded: str) -> None:
    client = openai.OpenAI(api_key="none", base_url=f"{url}/v1", max_retries=0)
    assert len(client.models.list().data) == 2
    with pytest.raises(openai.BadRequestError, match="384 dimensions, not 64"):
        client.embeddings.create(model="any", input="x", dimensions=64)
    with pytest.raises(openai.UnprocessableEntityError, match="valid string"):
        client.embeddings.create(model="any", input=[[1, 2, 3]])
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(api_key="wrong", base_url=f"{guarded}/v1", max_retries=0).models.list()
