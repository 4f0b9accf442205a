"""Models that somebody else trained or built, by sentence-transformers in this process."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rag_search.embed.base import batches

pytestmark = pytest.mark.slow
TASK = "Given a medical question, retrieve guidelines"
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "redis", "timeout", "x")
LONGEST = 64


def test_the_task_of_a_fine_tuned_model_is_kept(checkpoints: Path, tmp_path: Path) -> None:
    from rag_search.embed.sentence_transformers import SentenceTransformersBackend

    folder = shutil.copytree(checkpoints / "qwen3-embedding", tmp_path / "qwen3-embedding-medical")
    settings = folder / "config_sentence_transformers.json"
    prompts = {"query": f"Instruct: {TASK}\nQuery:", "document": ""}
    settings.write_text(json.dumps({**json.loads(settings.read_text("utf-8")), "prompts": prompts}), "utf-8")
    prompts = SentenceTransformersBackend(str(folder)).prompts
    assert prompts.query_text("fever") == f"Instruct: {TASK}\nQuery:fever"
    assert prompts.query_text("fever", instruction="be brief") == "Instruct: be brief\nQuery:fever"
    assert prompts.name == "qwen3"


@pytest.fixture
def classic(tmp_path: Path) -> Path:
    """A BERT that reads LONGEST tokens, as cross-encoders of old."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep")}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=LONGEST, **names).save_pretrained(
        tmp_path
    )
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=LONGEST, num_labels=1,
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    return tmp_path


def test_what_the_model_itself_cuts_is_counted(classic: Path) -> None:
    pytest.importorskip("sentence_transformers")
    from rag_search.rerank.sentence_transformers import CrossEncoderReranker

    reranker = CrossEncoderReranker(str(classic))
    long = ["x " * 100, "x " * 100 + "redis timeout " * 100]
    one, other = reranker.score("redis timeout", long)
    assert one == other  # it has not read the difference
    assert reranker.count_truncated([*long, "x " * 40]) == 2
    assert CrossEncoderReranker(str(classic), max_tokens_per_doc=30).count_truncated([*long, "x " * 40]) == 3


def test_a_long_query_makes_small_batches(checkpoints: Path) -> None:
    from rag_search.rerank.sentence_transformers import _BATCH_TOKENS, _TEMPLATE_TOKENS, CrossEncoderReranker

    reranker = CrossEncoderReranker(str(checkpoints / "qwen3-reranker"))
    sizes: list[int] = []
    predict = reranker._model.predict

    def noting(pairs, **options):
        sizes.append(sum(len(reranker._model.tokenizer(text)["input_ids"]) for pair in pairs for text in pair))
        return predict(pairs, **options)

    reranker._model.predict = noting
    passages, query = ["redis timeout " * 60] * 30, "word " * 1500
    reranker.score(query, passages, instruction="brief " * 500)
    assert len(sizes) > 1
    assert max(sizes) <= _BATCH_TOKENS
    (whole,) = batches(reranker._truncate(["a", "b"], around=_TEMPLATE_TOKENS)[1], max_tokens=_BATCH_TOKENS)
    assert len(whole) == 2
