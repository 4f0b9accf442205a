"""The ONNX engine against torch: real layers, exported as publishers export them, and pairs made by transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.onnx_models import FAMILIES, Family, make_reader

pytestmark = pytest.mark.slow
QUERY = "redis connection timeout"
PASSAGES = [
    "redis closes idle connections after the timeout",
    "连接 超时 检查 redis",
    "",
    "kafka consumer groups rebalance when a member leaves\tand copy\n",
    "the " * 100,
]
LONGEST = 48


def _model(family: Family, vocabulary: int, pad: int) -> Any:
    """A tiny classifier of one label with random weights: BERT with types, XLM-R and ModernBERT without."""
    transformers = pytest.importorskip("transformers")
    sizes = {"vocab_size": vocabulary, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 64, "num_labels": 1, "pad_token_id": pad, "initializer_range": 0.5}
    if family == "wordpiece":
        config = transformers.BertConfig(**sizes, max_position_embeddings=LONGEST)
        return transformers.BertForSequenceClassification(config)
    config = transformers.XLMRobertaConfig(**sizes, max_position_embeddings=LONGEST + pad + 1, type_vocab_size=1)
    return transformers.XLMRobertaForSequenceClassification(config)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_torch(tmp_path: Path, family: Family) -> None:
    """Every pair, cut as transformers cuts the second text, gives the logit of torch."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    from rag_search.rerank.onnx import OnnxReranker
    from rag_search.rerank.onnx_files import find_files

    folder = make_reader(tmp_path / "reader", family)
    pad = "[PAD]" if family == "wordpiece" else "<pad>"
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token=pad)
    torch.manual_seed(0)
    model = _model(family, len(tokenizer), tokenizer.convert_tokens_to_ids(pad)).eval()
    (folder / "config.json").write_text(json.dumps(model.config.to_dict()), "utf-8")
    encoded = tokenizer([QUERY], [PASSAGES[0]], return_tensors="pt", return_token_type_ids=family == "wordpiece")
    order = ("input_ids", "attention_mask", "token_type_ids")  # as the model takes them
    names = [name for name in order if name in encoded]
    torch.onnx.export(
        model, tuple(encoded[name] for name in names), str(folder / "onnx" / "model.onnx"), input_names=names,
        output_names=["logits"], dynamic_axes={name: {0: "batch", 1: "length"} for name in names}, opset_version=17,
        dynamo=False,
    )  # fmt: skip
    wanted = []
    for passage in PASSAGES:
        pair = tokenizer(
            [QUERY], [passage], return_tensors="pt", return_token_type_ids=family == "wordpiece",
            truncation="only_second", max_length=LONGEST,
        )  # fmt: skip
        with torch.no_grad():
            wanted.append(model(**pair).logits.item())
    reader = OnnxReranker(find_files(folder), name="tiny")
    assert np.std(wanted) > 0.01  # else equal logits would prove nothing
    np.testing.assert_allclose(reader.logits(QUERY, PASSAGES), wanted, rtol=0, atol=1e-5)
