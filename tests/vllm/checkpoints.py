"""Tiny Qwen3 checkpoints with random weights and the true tokenizer: what the real servers serve in these tests.

    python -m tests.vllm.checkpoints FOLDER TOKENIZER_FOLDER

writes FOLDER/qwen3-embedding and FOLDER/qwen3-reranker, two broken embedders (one with mean pooling, one whose
tokenizer appends no end token), and FOLDER/published-qwen3-reranker, with the files published since April 2026.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM, Qwen3Model

from rag_search.engines.known_answers import load_answers
from rag_search.rerank.qwen3 import TEMPLATE

YES, NO, END = 9693, 2152, 151643
TASK = "Given a web search query, retrieve relevant passages that answer the query"
PUBLISHED_TEMPLATE = """\
{%- set instruction = messages | selectattr("role", "eq", "system") | map(attribute="content") | first \
| default("Given a web search query, retrieve relevant passages that answer the query") -%}
{%- set query_text = messages | selectattr("role", "eq", "query") | map(attribute="content") | first -%}
{%- set document_text = messages | selectattr("role", "eq", "document") | map(attribute="content") | first -%}
<|im_start|>system
Judge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the answer \
can only be "yes" or "no".<|im_end|>
<|im_start|>user
<Instruct>: {{ instruction }}
<Query>: {{ query_text }}
<Document>: {{ document_text }}<|im_end|>
<|im_start|>assistant
<think>

</think>


"""
SPREAD = 1.5  # standard deviation of yes - no


def make_embedder(folder: Path, tokenizer: Path, *, pooling: str = "lasttoken", end_token: bool = True) -> Path:
    """An embedder in the files of Qwen3-Embedding: no `model.` prefix, modules.json, prompts, end token appended."""
    torch.manual_seed(1)
    model = Qwen3Model(_config(tied=True))
    _refill_pad_row(model)
    model.save_pretrained(folder)
    _set_architecture(folder)
    _write_tokenizer(folder, tokenizer, end_token=end_token)
    modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
    rows = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(modules)
    ]
    _write(folder / "modules.json", rows)
    _write(
        folder / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": 64,
            "pooling_mode_cls_token": pooling == "cls",
            "pooling_mode_mean_tokens": pooling == "mean",
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
            "pooling_mode_weightedmean_tokens": False,
            "pooling_mode_lasttoken": pooling == "lasttoken",
            "include_prompt": True,
        },
    )
    (folder / "2_Normalize").mkdir(exist_ok=True)
    prompts = {"query": f"Instruct: {TASK}\nQuery:", "document": ""}
    _write(
        folder / "config_sentence_transformers.json",
        {"prompts": prompts, "default_prompt_name": None, "similarity_fn_name": "cosine"},
    )
    return folder


def make_reranker(folder: Path, tokenizer: Path) -> Path:
    """A causal language model in the files of Qwen3-Reranker."""
    torch.manual_seed(2)
    model = Qwen3ForCausalLM(_config(tied=False))
    _spread_scores(model, PreTrainedTokenizerFast(tokenizer_file=str(tokenizer / "tokenizer.json")))
    model.save_pretrained(folder)
    _write_tokenizer(folder, tokenizer, end_token=False)
    return folder


def publish_reranker(reranker: Path, folder: Path) -> Path:
    """The reranker in a folder as it is published: its own template, and the modules of sentence-transformers.

    The template takes the instruction as a message of the role system, which vLLM never sends.
    """
    shutil.copytree(reranker, folder)
    (folder / "chat_template.jinja").write_text(PUBLISHED_TEMPLATE, "utf-8")
    settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    _write(folder / "tokenizer_config.json", {**settings, "chat_template": PUBLISHED_TEMPLATE})
    kinds = {"": "base.modules.transformer.Transformer", "1_LogitScore": "cross_encoder.modules.logit_score.LogitScore"}
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.{kind}"}
        for i, (path, kind) in enumerate(kinds.items())
    ]
    _write(folder / "modules.json", modules)
    score = {"true_token_id": YES, "false_token_id": NO, "module_input_name": "causal_logits"}
    _write(folder / "1_LogitScore" / "config.json", score)
    form = {"method": "forward", "method_output_name": "logits"}
    modalities = {"text": form, "message": {**form, "format": "flat"}}
    transformer = {"transformer_task": "text-generation", "modality_config": modalities}
    _write(folder / "sentence_bert_config.json", {**transformer, "module_output_name": "causal_logits"})
    whole = {"activation_fn": "torch.nn.modules.linear.Identity", "default_prompt_name": "query"}
    whole |= {"model_type": "CrossEncoder", "prompts": {"query": TASK}}
    _write(folder / "config_sentence_transformers.json", whole)
    return folder


def _spread_scores(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    """Point the yes row along the first principal component of last hidden states, so that scores of random weights
    depend on the text and reach from 0.1 to 0.9."""
    template = TEMPLATE.read_text("utf-8")
    states = []
    for query, document in load_answers().pairs:
        for text in (document, document[::-1], query):
            messages = [{"role": "query", "content": query}, {"role": "document", "content": text}]
            prompt = tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False)
            with torch.no_grad():
                states.append(model.model(torch.tensor([tokenizer(prompt)["input_ids"]])).last_hidden_state[0, -1])
    matrix = torch.stack(states)
    mean = matrix.mean(0)
    _, _, rows = torch.linalg.svd(matrix - mean)
    direction = rows[0] - mean * (rows[0] @ mean) / (mean @ mean)
    with torch.no_grad():
        model.get_output_embeddings().weight[YES] = SPREAD * direction / (matrix @ direction).std()
        model.get_output_embeddings().weight[NO] = 0


def _config(*, tied: bool) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=151669,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=4096,
        tie_word_embeddings=tied,
        initializer_range=0.2,
        bos_token_id=END,
        eos_token_id=151645,
        pad_token_id=END,
        dtype="float32",
    )


def _refill_pad_row(model: Qwen3Model) -> None:
    """transformers zeroes the row of the pad token, and that token is the one that is pooled."""
    with torch.no_grad():
        model.get_input_embeddings().weight[END].normal_(std=0.1)


def _set_architecture(folder: Path) -> None:
    path = folder / "config.json"
    _write(path, {**json.loads(path.read_text("utf-8")), "architectures": ["Qwen3ForCausalLM"]})


def _write_tokenizer(folder: Path, source: Path, *, end_token: bool) -> None:
    shutil.copy(source / "tokenizer.json", folder / "tokenizer.json")
    raw = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    if end_token:
        template = {
            "type": "TemplateProcessing",
            "single": [
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}},
            ],
            "pair": [
                {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 0}},
                {"SpecialToken": {"id": "<|endoftext|>", "type_id": 0}},
            ],
            "special_tokens": {
                "<|endoftext|>": {"id": "<|endoftext|>", "ids": [END], "tokens": ["<|endoftext|>"]},
            },
        }
        raw["post_processor"] = {"type": "Sequence", "processors": [raw["post_processor"], template]}
        _write(folder / "tokenizer.json", raw)
    settings = json.loads((source / "tokenizer_config.json").read_text("utf-8"))
    _write(folder / "tokenizer_config.json", {**settings, "tokenizer_class": PreTrainedTokenizerFast.__name__})


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")


def make_all(folder: Path, tokenizer: Path) -> None:
    make_embedder(folder / "qwen3-embedding", tokenizer)
    make_embedder(folder / "mean-qwen3-embedding", tokenizer, pooling="mean")
    make_embedder(folder / "endless-qwen3-embedding", tokenizer, end_token=False)
    publish_reranker(make_reranker(folder / "qwen3-reranker", tokenizer), folder / "published-qwen3-reranker")


if __name__ == "__main__":
    make_all(Path(sys.argv[1]), Path(sys.argv[2]))
