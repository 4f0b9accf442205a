"""Options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

from rag_search.cli.common import MAX_HITS, Color, Profile

IndexOption = Annotated[
    str | None, typer.Option("--index", help="Index name, or with a slash a path or project.", metavar="NAME|PATH")
]
ProfileOption = Annotated[Profile | None, typer.Option("--profile", help="Which models to use.")]
LimitOption = Annotated[
    int | None,
    typer.Option("-n", "-k", "--limit", "--top-k", min=1, max=MAX_HITS, metavar="N", help="Number of results."),
]
ColorOption = Annotated[Color, typer.Option("--color", help="Colours; auto: on a terminal, unless NO_COLOR is set.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
QuietOption = Annotated[bool, typer.Option("-q", "--quiet", help="Print nothing but errors.")]
