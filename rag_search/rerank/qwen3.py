r"""Qwen3-Reranker: its template, its limits, and checks that a server uses them.

The model answers "yes" or "no" to `<Instruct>, <Query>, <Document>`; the score is sigmoid(yes - no) of the last token.
So every token after the document counts: vLLM's example template loses the last newline, and all scores change while
nothing fails. `TEMPLATE` ends in `</think>{{ "\n\n" }}`, which jinja cannot trim.

Instruction and query stand before the document: the candidates of one query share that prefix, and a server with
prefix caching computes it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rag_search.embed.prompts import QWEN3_END
from rag_search.errors import KnownAnswerError
from rag_search.text.amounts import count

TEMPLATE = Path(__file__).with_name("qwen3_reranker.jinja")
TEMPLATE_REMEDY = f"Serve it with: --chat-template {TEMPLATE}"
DEAF_REMEDY = f"{TEMPLATE_REMEDY} (the template in the model's own folder drops the instruction)"
TAIL = (151667, 271, 151668, 271)  # <think> \n\n </think> \n\n
OVERRIDES = (
    '{"architectures":["Qwen3ForSequenceClassification"],'
    '"classifier_from_token":["no","yes"],"is_original_qwen3_reranker":true}'
)
PROBE = ("q", "d")
PROBE_TOKENS = 74  # the whole prompt around PROBE, with the default instruction
PROMPT_ROOM = 200  # tokens kept for the template (72), the instruction and the query


def is_qwen3_reranker(model: str) -> bool:
    """Return whether a model's name is that of a Qwen3 reranker."""
    name = model.lower()
    return "qwen3" in name and "rerank" in name


def check_tail(tokens: Sequence[int], name: str) -> None:
    """Raise KnownAnswerError unless a prompt ends as the model was trained."""
    tail = tuple(tokens[-len(TAIL) :])
    if tail == TAIL:
        return
    if tail[:3] == TAIL[:3]:
        raise KnownAnswerError(
            f"{name} loses the last newline of the prompt, so every score is wrong: vLLM's qwen3_reranker.jinja has "
            "this fault.",
            remedy=TEMPLATE_REMEDY,
        )
    raise KnownAnswerError(
        f"{name} does not put query and document into the model's template (its prompt ends in tokens {tail}).",
        remedy=TEMPLATE_REMEDY,
    )


def check_prompt_length(tokens: int, name: str) -> None:
    """Raise KnownAnswerError if the prompt of PROBE has another length: then it was not made by the model's template.

    tokens: what /rerank reports as its usage. /tokenize may use the template of the model's own folder where /rerank
    concatenates query and document.
    """
    if tokens != PROBE_TOKENS:
        raise KnownAnswerError(
            f"{name} read {count(tokens, 'token')} where the model's template makes {PROBE_TOKENS}.",
            remedy=TEMPLATE_REMEDY,
        )


def not_a_classifier(name: str, *, end_token: bool) -> KnownAnswerError:
    """Return the error for a server that also embeds: a wrong address, or a reranker without its overrides."""
    if end_token:
        return KnownAnswerError(
            f"{name} is an embedding server: its /rerank answers cosines (it appends token {QWEN3_END}).",
            remedy="Set reranker.url to the rerank server.",
        )
    return KnownAnswerError(
        f"{name} serves the reranker as an embedding model, so its scores are cosines.",
        remedy=f"Serve it with: --hf-overrides '{OVERRIDES}'",
    )
