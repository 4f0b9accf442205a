"""Pieces of Markdown for the tools that leave the cutting to their user."""

from __future__ import annotations

from langchain_text_splitters import RecursiveCharacterTextSplitter

from benchmarks.peers.protocol import Job

CHARACTERS, OVERLAP = 500, 50  # a Chinese piece of 500 characters still fits the 512 tokens of the model


def pieces_of(job: Job) -> tuple[list[str], list[str]]:
    """Return document ids and texts of all pieces, in order."""
    if not job.markdown:
        return list(job.documents), list(job.documents.values())
    splitter = RecursiveCharacterTextSplitter(chunk_size=CHARACTERS, chunk_overlap=OVERLAP)
    cut = [(key, piece) for key, text in job.documents.items() for piece in splitter.split_text(text)]
    return [key for key, _ in cut], [piece for _, piece in cut]
