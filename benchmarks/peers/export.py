"""Export multilingual-e5-small as a folder that sentence-transformers loads, in float32, with its tokenizer.

python -m benchmarks.peers.export FOLDER [--model zero-shot|docs-e5-2]
"""

from __future__ import annotations

import argparse
import json
import struct
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from rag_search.embed.builtin.network import PACKAGED, load_network, network_path
from rag_search.embed.builtin.weights import MAX_TOKENS, E5File, dequantize_blocks, find_weights
from rag_search.records import FloatMatrix

LAYER_NAMES = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip
MODULES = ("sentence_transformers.models.Transformer", "sentence_transformers.models.Pooling",
           "sentence_transformers.models.Normalize")  # fmt: skip


def export(folder: Path, model: str = "zero-shot") -> Path:
    """Return the exported folder; make it if it is missing."""
    if not (folder / "modules.json").is_file():
        file = E5File(find_weights())
        folder.mkdir(parents=True, exist_ok=True)
        write_safetensors(folder / "model.safetensors", bert_tensors(file, model))
        tokenizer_of(file).save(str(folder / "tokenizer.json"))
        _write_settings(folder, file)
    return folder


def bert_tensors(file: E5File, model: str) -> dict[str, FloatMatrix]:
    """Return the weights under the names of transformers' BertModel."""
    shape, own = file.shape, load_network(file, network_path(model)).tensors
    tensors = {
        "embeddings.word_embeddings.weight": dequantize_blocks(file.word_blocks()),
        "embeddings.position_embeddings.weight": own["emb.pos"].reshape(shape.positions, shape.hidden),
        "embeddings.token_type_embeddings.weight": own["emb.type"].reshape(-1, shape.hidden),
        "embeddings.LayerNorm.weight": own["emb.ln.w"],
        "embeddings.LayerNorm.bias": own["emb.ln.b"],
    }
    for layer in range(shape.layers):
        for short, long in LAYER_NAMES.items():
            tensors[f"encoder.layer.{layer}.{long}.weight"] = own[f"l{layer}.{short}.w"]
            tensors[f"encoder.layer.{layer}.{long}.bias"] = own[f"l{layer}.{short}.b"]
    return tensors


def tokenizer_of(file: E5File) -> Tokenizer:
    """Build XLM-RoBERTa's tokenizer: Unigram over NFKC text, runs of space merged, framed by <s> and </s>."""
    offsets, scores, blob = file.piece_offsets().tolist(), file.piece_scores().tolist(), bytes(file.piece_blob())
    pieces = [blob[start:end].decode() for start, end in pairwise(offsets)]
    special = file.special
    tokenizer = Tokenizer(models.Unigram(list(zip(pieces, scores, strict=True)), unk_id=special.unk))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace("\n", " "), normalizers.Strip(),
         normalizers.Replace(_regex(" {2,}"), " ")]
    )  # fmt: skip
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    frame = [(pieces[special.bos], special.bos), (pieces[special.eos], special.eos)]
    (bos, _), (eos, _) = frame
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{bos} $A {eos}", special_tokens=frame)
    tokenizer.add_special_tokens([AddedToken(pieces[i], special=True) for i in sorted(file.special_ids)])
    return tokenizer


def write_safetensors(path: Path, tensors: Mapping[str, FloatMatrix]) -> None:
    """Write the format of safetensors: u64 length of a JSON header, the header, then the arrays."""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + tensor.nbytes]}  # type: ignore[dict-item]
        at += tensor.nbytes
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for tensor in tensors.values():
            file.write(np.ascontiguousarray(tensor, "<f4").tobytes())


def _write_settings(folder: Path, file: E5File) -> None:
    shape, special = file.shape, file.special
    pieces, offsets = bytes(file.piece_blob()), file.piece_offsets()
    name = {i: pieces[offsets[i] : offsets[i + 1]].decode() for i in file.special_ids}
    config = {
        "architectures": ["BertModel"], "model_type": "bert", "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "intermediate_size": shape.feed_forward, "max_position_embeddings": shape.positions, "type_vocab_size": 2,
        "layer_norm_eps": shape.eps, "hidden_act": "gelu", "pad_token_id": special.pad, "dtype": "float32",
    }  # fmt: skip
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": MAX_TOKENS, "cls_token": name[special.bos],
        "bos_token": name[special.bos], "eos_token": name[special.eos], "sep_token": name[special.eos],
        "pad_token": name[special.pad], "unk_token": name[special.unk],
        "model_input_names": ["input_ids", "attention_mask"],
    }  # fmt: skip
    places = ("", "1_Pooling", "2_Normalize")
    modules = [
        {"idx": row, "name": str(row), "path": place, "type": kind}
        for row, (place, kind) in enumerate(zip(places, MODULES, strict=True))
    ]
    pooling = {"word_embedding_dimension": shape.hidden, "pooling_mode_mean_tokens": True}
    for place in places[1:]:
        (folder / place).mkdir(exist_ok=True)
    for path, value in (
        ("config.json", config), ("tokenizer_config.json", tokenizer), ("1_Pooling/config.json", pooling),
        ("sentence_bert_config.json", {"max_seq_length": MAX_TOKENS, "do_lower_case": False}),
        ("modules.json", modules),
    ):  # fmt: skip
        (folder / path).write_text(json.dumps(value, indent=2), "utf-8")


def _regex(pattern: str) -> object:
    from tokenizers import Regex

    return Regex(pattern)


def main() -> None:
    """Write one folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=PACKAGED, default="zero-shot")
    arguments = parser.parse_args()
    print(export(arguments.folder, arguments.model))


if __name__ == "__main__":
    main()
