"""Tiny cross-encoders in ONNX with the three kinds of tokenizers, and what they must answer, computed by hand.

Their logit is SCALE times the share of the query's words that the passage has, less SCALE / 2. The graph finds the two
parts of a pair by the separators that the tokenizer's template sets, so a wrong template, a typed separator, a wrong
mask or a lost end token changes the answer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

Family = Literal["wordpiece", "unigram", "bpe"]
Output = Literal["logit", "sigmoid", "two", "softmax", "three"]
FAMILIES: tuple[Family, ...] = ("wordpiece", "unigram", "bpe")
SCALE = 8.0
WORDS = (
    *("redis", "connection", "timeout", "closes", "idle", "connections", "after", "the", "kafka", "client", "of"),
    *("consumer", "groups", "rebalance", "when", "a", "member", "leaves", "word", "backup", "night", "every"),
    *("run", "pg_dump", "and", "copy", "dump", "to", "object", "storage", "连接", "超时", "检查"),
)
SEPARATOR = {"wordpiece": "[SEP]", "unigram": "</s>", "bpe": "</s>"}


def logit(query: str, passage: str) -> float:
    """What each of these models answers to words of WORDS: the oracle."""
    words = query.split()
    known = [word for word in words if word in WORDS]
    shared = sum(word in passage.split() for word in known)
    return SCALE * shared / max(1, len(known)) - SCALE / 2


def score(query: str, passages: Sequence[str]) -> np.ndarray:
    """The scores of the oracle, (len(passages),)."""
    return np.array([1 / (1 + math.exp(-logit(query, passage))) for passage in passages], np.float32)


def make_reader(
    folder: Path, family: Family = "wordpiece", *, output: Output = "logit", integers: int = 64, longest: int = 64
) -> Path:
    """Write a model into `folder` in the files of a hub, and return the folder."""
    tokenizer = {"wordpiece": _wordpiece, "unigram": _unigram, "bpe": _bpe}[family]()
    (folder / "onnx").mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    special = _special_ids(tokenizer)
    separator = tokenizer.token_to_id(SEPARATOR[family])
    graph = _graph(
        tokenizer.get_vocab_size(), separator, special, output=output, integers=integers, types=family == "wordpiece"
    )
    onnx.save(graph, str(folder / "onnx" / "model.onnx"))
    labels = {"two": 2, "softmax": 2, "three": 3}.get(output, 1)
    config = {
        "model_type": {"wordpiece": "bert", "unigram": "xlm-roberta", "bpe": "modernbert"}[family],
        "id2label": {str(i): f"LABEL_{i}" for i in range(labels)},
        "pad_token_id": tokenizer.token_to_id("[PAD]" if family == "wordpiece" else "<pad>"),
        "max_position_embeddings": longest,
    }
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


def _special_ids(tokenizer: Tokenizer) -> list[int]:
    return [number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special]


def _wordpiece() -> Tokenizer:
    """BERT's: `[CLS] query [SEP] passage [SEP]`, types 0 and 1."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {token: i for i, token in enumerate((*special, *WORDS))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_special_tokens(special)
    return tokenizer


def _unigram() -> Tokenizer:
    """SentencePiece's: `<s> query </s></s> passage </s>`; the special pieces are in the vocabulary, too."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    letters = sorted({letter for word in WORDS for letter in word} | set("xyz"))
    pieces = [(token, 0.0) for token in special] + [(f"▁{word}", -1.0) for word in WORDS]
    pieces += [("▁", -8.0), *((letter, -9.0) for letter in letters)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    template = processors.TemplateProcessing
    tokenizer.post_processor = template(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens(special)
    return tokenizer


def _bpe() -> Tokenizer:
    """Byte-level BPE: `<s> query </s> passage </s>`; every word of WORDS is merged from its letters."""
    special = ["<s>", "<pad>", "</s>"]
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate((*special, *symbols))}
    merges: list[tuple[str, str]] = []
    split = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)
    for word in WORDS:
        ((text, _),) = split.pre_tokenize_str(word)
        whole = text[0]
        for letter in text[1:]:
            merges.append((whole, letter))
            whole += letter
            vocabulary.setdefault(whole, len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocabulary, list(dict.fromkeys(merges))))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(" ", "merged_with_next"),
            pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens(special)
    return tokenizer


def _graph(
    vocabulary: int, separator: int, special: Sequence[int], *, output: Output, integers: int, types: bool
) -> onnx.ModelProto:
    """The network: ids, mask (and types) to the numbers of a pair."""
    weight = np.ones(vocabulary, np.float32)
    weight[list(special)] = 0
    constants = {
        "weight": weight,
        "separator": np.array(separator, np.int64),
        "axis": np.array(1, np.int64),
        "one": np.array([1], np.int64),
        "two": np.array([2], np.int64),
        "half": np.array(0.5, np.float32),
        "least": np.array(1.0, np.float32),
        "scale": np.array(SCALE, np.float32),
    }
    kind = TensorProto.INT64 if integers == 64 else TensorProto.INT32
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if types else [])]
    node = helper.make_node
    nodes = [
        node("Cast", ["input_ids"], ["ids"], to=TensorProto.INT64),
        node("Equal", ["ids", "separator"], ["is_separator"]),
        node("Cast", ["is_separator"], ["marks"], to=TensorProto.FLOAT),
        node("CumSum", ["marks", "axis"], ["part"]),
        node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        node("Gather", ["weight", "ids"], ["weights"]),
        node("Mul", ["weights", "mask"], ["counted"]),
        node("Less", ["part", "half"], ["is_query"]),
        node("Cast", ["is_query"], ["in_query"], to=TensorProto.FLOAT),
        node("Mul", ["counted", "in_query"], ["query"]),
        node("Sub", ["least", "in_query"], ["behind"]),
        node("Mul", ["counted", "behind"], ["rest"]),
    ]
    if types:  # BERT sees the passage by its types
        nodes += [node("Cast", ["token_type_ids"], ["typed"], to=TensorProto.FLOAT)]
        nodes += [node("Mul", ["rest", "typed"], ["passage"])]
    else:
        nodes += [node("Identity", ["rest"], ["passage"])]
    nodes += [
        node("Unsqueeze", ["ids", "two"], ["rows"]),
        node("Unsqueeze", ["ids", "one"], ["columns"]),
        node("Equal", ["rows", "columns"], ["is_same"]),
        node("Cast", ["is_same"], ["same"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["passage", "one"], ["passage_row"]),
        node("Mul", ["same", "passage_row"], ["matches"]),
        node("ReduceMax", ["matches"], ["has"], axes=[2], keepdims=0),
        node("Mul", ["has", "query"], ["shared"]),
        node("ReduceSum", ["shared", "one"], ["sum"], keepdims=1),
        node("ReduceSum", ["query", "one"], ["words"], keepdims=1),
        node("Max", ["words", "least"], ["number"]),
        node("Div", ["sum", "number"], ["share"]),
        node("Sub", ["share", "half"], ["centred"]),
        node("Mul", ["centred", "scale"], ["raw"]),
    ]
    nodes += _head(output)
    columns = {"two": 2, "softmax": 2, "three": 3}.get(output, 1)
    graph = helper.make_graph(
        nodes,
        "reader",
        [helper.make_tensor_value_info(name, kind, ["batch", "length"]) for name in names],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", columns])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _head(output: Output) -> list[onnx.NodeProto]:
    """The last operators: what different exports end in."""
    node = helper.make_node
    if output == "logit":
        return [node("Identity", ["raw"], ["logits"])]
    if output == "sigmoid":
        return [node("Sigmoid", ["raw"], ["sure"]), node("Identity", ["sure"], ["logits"])]
    pair = [node("Mul", ["raw", "half"], ["up"]), node("Neg", ["up"], ["down"])]
    if output == "three":
        return [*pair, node("Concat", ["down", "up", "raw"], ["logits"], axis=1)]
    if output == "two":
        return [*pair, node("Concat", ["down", "up"], ["logits"], axis=1)]
    return [*pair, node("Concat", ["down", "up"], ["both"], axis=1), node("Softmax", ["both"], ["logits"], axis=1)]
