"""`ragsearch rerank`: score passages outside an index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rag_search.cli.common import FOUND, load_config, print_json, read_text, stdout_console, write_stderr
from rag_search.cli.options import JsonOption, LimitOption, ProfileOption
from rag_search.text.sanitize import one_line


def rerank(
    query: Annotated[str, typer.Argument(help="The question; a leading [...] is an instruction.")],
    file: Annotated[Path, typer.Argument(help="Passages separated by blank lines; `-` reads stdin.")] = Path("-"),
    top_k: LimitOption = None,
    instruct: Annotated[str | None, typer.Option(help="Instruction for engines that follow one.")] = None,
    as_json: JsonOption = False,
    profile: ProfileOption = None,
) -> None:
    """Score and rank passages against a question.

    Example: ragsearch rerank "redis timeout" passages.txt
    """
    from rag_search.engines import factory
    from rag_search.rerank.base import TruncatingReranker
    from rag_search.rerank.rank import rank_passages
    from rag_search.search.hits import instruction_notes, truncation_notes
    from rag_search.text.query import parse_query

    parsed = parse_query(query, instruction=instruct)
    passages = _read_passages(file)
    settings = load_config(profile=profile).settings
    reranker = factory.make_standalone_reranker(settings)
    ranked = rank_passages(reranker, parsed.text, passages, instruction=parsed.instruction)[:top_k]
    notes = instruction_notes(parsed, reranker)
    if isinstance(reranker, TruncatingReranker):
        notes += truncation_notes(reranker, passages)
    if as_json:
        rows = [{"rank": r.rank, "index": r.index, "score": r.score, "text": r.text} for r in ranked]
        document = {"schema": 1, "query": parsed.text, "instruction": parsed.instruction, "reranker": reranker.name}
        print_json({**document, "notes": notes, "results": rows})
    else:
        from rag_search.render.passages import passages_table

        stdout_console().print(passages_table(ranked))
        for note in notes:
            write_stderr(f"{one_line(note)}\n")
    raise typer.Exit(FOUND)


def _read_passages(file: Path) -> list[str]:
    from rag_search.errors import InputError
    from rag_search.text.query import split_passages

    passages = split_passages(read_text(str(file)))
    if not passages:
        raise InputError("there are no passages.", remedy="Separate passages by blank lines.")
    return passages
