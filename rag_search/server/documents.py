"""Read the texts of queries and documents that clients send as strings, objects or content parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rag_search.errors import InputError
from rag_search.text.sanitize import encodable


class UnreadableDocumentError(InputError):
    """A document is of a kind that this server cannot rank, such as an image."""


def document_texts(
    documents: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]],
    *,
    fields: Sequence[str] | None = None,
    name: str = "documents",
) -> list[str]:
    """Return the text of each document. A single object with `content` has one document in each part, as in vLLM.

    fields: the fields of objects to rank by; None takes `text`, or all strings without it. name: of the field, for
    messages.
    Raises InputError for a document without text.
    """
    if isinstance(documents, Mapping) and isinstance(documents.get("content"), list):
        return [_part(part, name) for part in documents["content"]]
    many = [documents] if isinstance(documents, str | Mapping) else documents
    return [text_of(document, f"{name}[{number}]", fields=fields) for number, document in enumerate(many)]


def text_of(value: str | Mapping[str, Any], name: str, *, fields: Sequence[str] | None = None) -> str:
    """Return the text of a string, of an object with `text`, of content parts, or of the strings of an object.

    name: of the value, for messages. Raises InputError for a value without text.
    """
    if isinstance(value, str):
        return value
    content = value.get("content")
    if isinstance(content, list):
        return "\n".join(_part(part, name) for part in content)
    text = content if isinstance(content, str) else value.get("text")
    if isinstance(text, str) and not fields:
        return str(encodable(text))
    chosen = value if fields is None else fields
    lines = [f"{key}: {value[key]}" for key in chosen if isinstance(value.get(key), str)]
    if not lines:
        raise InputError(f"{name} has no text.", remedy="Give a string, or an object with the field `text`.")
    return str(encodable("\n".join(lines)))


def _part(part: Any, name: str) -> str:
    """Return the text of a content part. Raises UnreadableDocumentError for an image."""
    kind = part.get("type", "text") if isinstance(part, Mapping) else "text"
    text = part.get("text") if isinstance(part, Mapping) else part
    if kind != "text" or not isinstance(text, str):
        raise UnreadableDocumentError(f"{name} has a content part that is not text.", remedy="Send text parts only.")
    return str(encodable(text))
