"""The table of models that were looked at, with what is known of each; nothing in it is a guess.

A digest or size that is missing here is taken from the hub when the model is got, and recorded beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Kind = Literal["reranker", "embedder"]
_NOTHING: Mapping[str, Pin] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Pin:
    """What is known of a file. bytes: its size. sha256: the digest, or its first digits."""

    bytes: int | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """One model of a hub.

    revision: the commit that was looked at, "" if unknown. graph: the ONNX file to load, "" if unknown. megabytes: size
    of that file. longest: tokens of a pair it was trained with; None: as many as it can read. prompts: before a query
    and a passage. answers: query, passage and logit that the model card publishes. note: what a user must know.
    """

    name: str
    kind: Kind
    licence: str
    parameters: str
    revision: str = ""
    graph: str = ""
    megabytes: int | None = None
    longest: int | None = None
    prompts: tuple[str, str] | None = None
    pins: Mapping[str, Pin] = field(default_factory=lambda: _NOTHING)
    answers: tuple[tuple[str, str, float], ...] = ()
    note: str = ""


KNOWN_MODELS = (
    KnownModel(
        name="Horizon-Labs/multilingual-reranker-small",
        kind="reranker",
        licence="Apache-2.0",
        parameters="141M",
        revision="23139fec6f1f448cdf89a5ac2d2c6bf5e8c7b398",
        graph="onnx/model_quantized.onnx",
        megabytes=268,
        longest=384,
        note="more than 40 languages; the default of the profile quality",
    ),
    KnownModel(
        name="onnx-community/gte-multilingual-reranker-base",
        kind="reranker",
        licence="Apache-2.0",
        parameters="306M",
        revision="ee64367e",
        graph="onnx/model_int8.onnx",
        megabytes=341,
        longest=8192,
        pins={
            "onnx/model_int8.onnx": Pin(340_858_200, "ccf51dba"),
            "tokenizer.json": Pin(17_082_999, "3ffb3746"),
        },
        answers=(
            ("中国的首都在哪儿", "北京", 1.2315),
            ("what is the capital of China?", "北京", 0.5923),
            ("how to implement quick sort in python?", "Introduction of quick sort", 0.3041),
        ),
        note="the published logits are those of the 16-bit model",
    ),
    KnownModel(
        name="hotchpotch/bekko-embedding-v1-a8m",
        kind="embedder",
        licence="MIT",
        parameters="106M, 7.7M active",
        note="384 dimensions; 8,192 tokens; not loaded by the onnx engine yet: embedder.backend sentence-transformers",
    ),
    KnownModel(
        name="hotchpotch/bekko-embedding-v1-a25m",
        kind="embedder",
        licence="MIT",
        parameters="123M, 24.9M active",
        note="384 dimensions; not loaded by the onnx engine yet: embedder.backend sentence-transformers",
    ),
    KnownModel(
        name="onnx-community/embeddinggemma-2-ONNX",
        kind="embedder",
        licence="Apache-2.0, with a use policy",
        parameters="740M, 270M for text",
        revision="daa72c51243991dfcaf9f9137d2c573d8f7790c0",
        graph="onnx/model_quantized.onnx",
        megabytes=314,
        prompts=("task: search result | query: ", "title: none | text: "),
        pins={
            "onnx/model_quantized.onnx": Pin(495_165, "d06edd60"),
            "onnx/model_quantized.onnx_data": Pin(313_724_928, "278a7ff1"),
            "tokenizer.json": Pin(None, "4d777ef5"),
        },
        note="768 dimensions; not loaded by the onnx engine yet",
    ),
    KnownModel(
        name="ibm-granite/granite-embedding-97m-multilingual-r2",
        kind="embedder",
        licence="Apache-2.0",
        parameters="97M, 28M active",
        prompts=("", ""),
        note="384 dimensions; not loaded by the onnx engine yet: embedder.backend sentence-transformers",
    ),
)


def known_model(name: str) -> KnownModel | None:
    """Return the row of a model, by its name in any case; None if it is not in the table."""
    return next((model for model in KNOWN_MODELS if model.name.lower() == name.lower()), None)
