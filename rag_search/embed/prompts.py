r"""Put the prompt of a model around queries and documents. A missing prompt costs points, and nothing shows it.

Qwen3-Embedding: documents bare, queries as `Instruct: {task}\nQuery:{query}` (model card, June 2025).
E5 (multilingual-e5-*): `query: ` and `passage: `.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rag_search.text.special_tokens import neutralise

PromptName = Literal["qwen3", "e5", "none"]
QWEN3_TASK = "Given a web search query, retrieve relevant passages that answer the query"
QWEN3_END = 151643  # <|endoftext|>: appended by the tokenizer, and the token whose vector is the text's
POOLING_REMEDY = (
    'Serve it with its own pooling (vLLM reads modules.json), or with: --pooler-config \'{"pooling_type":"LAST"}\'.'
)


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prefixes of one model. If `query` contains `{task}`, it follows instructions, and `task` is the default."""

    name: PromptName
    query: str = ""
    document: str = ""
    task: str = ""

    @property
    def follows_instructions(self) -> bool:
        """Whether a query has room for an instruction."""
        return "{task}" in self.query

    def query_text(self, query: str, *, instruction: str | None = None) -> str:
        """Return the query as the model reads it. instruction: None: the default task."""
        return self.query.replace("{task}", self._safe(instruction or self.task)) + self._safe(query)

    def document_text(self, passage: str) -> str:
        """Return the passage as the model reads it."""
        return self.document + self._safe(passage)

    def _safe(self, text: str) -> str:
        """Neutralise special tokens for models that would read them as such."""
        return neutralise(text) if self.name == "qwen3" else text


PROMPTS = {
    "qwen3": Prompts("qwen3", query="Instruct: {task}\nQuery:", task=QWEN3_TASK),
    "e5": Prompts("e5", query="query: ", document="passage: "),
    "none": Prompts("none"),
}


def prompts_of(model: str, wanted: PromptName | None = None) -> Prompts:
    """Return the prompts `wanted`, else those that the model's name implies."""
    if wanted:
        return PROMPTS[wanted]
    name = model.lower()
    if "qwen3" in name and "emb" in name:
        return PROMPTS["qwen3"]
    if "e5-" in name and "instruct" not in name:
        return PROMPTS["e5"]
    return PROMPTS["none"]
