"""The prose rules as data: the verbs that docstrings open with, and where docstrings are."""

import ast
from collections.abc import Iterator
from pathlib import Path

# The words that function docstrings of this package open with and that are verbs in the imperative.
VERBS = frozenset(
    """
    add adopt advertise allow answer append apply ask assert assign await batch begin block build cache call cancel
    cap chain change check choose chunk clean clear close collapse collect combine commit compare compile compute
    connect consume continue convert copy count create cut decide decode delete deliver dequantize derive describe
    detect discard dispatch display divide drain draw drop embed empty encode end ensure enter enumerate escape
    estimate evaluate examine exclude execute expand explain export expose extend extract fail fetch fill filter find
    finish fit flag flatten flush fold follow forget format free fuse gather generate get give group guess handle hash
    highlight hold identify ignore import index infer ingest insert inspect install interpret invoke issue iterate
    join keep label launch lay leave let limit list listen load locate lock log look lower make map mark match measure
    merge migrate move name neutralise normalise note notify number observe omit open order pack pad pair parse pass
    patch pause pick place plan plot point poll pool pop prefer prefix prepare print probe process produce project
    prompt prune publish put quantize query quote raise rank read rebuild receive recognise record recover redirect
    refuse register reject release reload remember remove rename render repair repeat replace reply report request
    require rerank reserve reset resolve respond restore resume retrieve retry return reuse reverse rewrite rotate
    round run save scale scan score search select send separate serve set shift show shut sign skip snap snapshot
    sort split start stop store stream strip submit sum summarise swap sync take tell tokenize track train transform
    translate truncate try turn undo unpack update upgrade use validate verify visit wait walk warm warn watch weigh
    wrap write yield
    """.split()  # noqa: SIM905
)


def docstrings(package: Path) -> Iterator[tuple[str, str]]:
    """Yield the place and the docstring of every function that has one; properties and fixtures name a thing."""
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or is_property(node):
                continue
            if text := ast.get_docstring(node):
                yield f"{path.relative_to(package)}:{node.lineno}", text


def is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether the function is read like an attribute."""
    return any("property" in ast.unparse(decorator) for decorator in node.decorator_list)
