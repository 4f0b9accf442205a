"""Every regular expression of the package, with the ways in which it is used and texts that lead into it."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rag_search
from rag_search.errors import MissingExtraError
from tests.growth.measure import growth

try:
    from re import _parser as regex_parser
except ImportError:  # Python 3.10
    import sre_parse as regex_parser

FUNCTIONS = ("match", "fullmatch", "search", "sub", "split", "findall", "finditer")
PARENT = Path(rag_search.__file__).parents[1]
PASSED_ON = dict.fromkeys(("_CONTENT", "_HEADING_PREFIX", "_TABLE_EDGE"), "match")  # to a function that matches with it
SOURCES = sorted(Path(rag_search.__file__).parent.rglob("*.py"))


@dataclass(frozen=True)
class Use:
    """A pattern and the name of the function that runs it."""

    pattern: re.Pattern[Any]
    function: str
    where: str

    def run(self, text: str) -> object:
        """Run the pattern over a text."""
        given: Any = text if isinstance(self.pattern.pattern, str) else text.encode("utf-8", "surrogatepass")
        if self.function == "sub":
            return self.pattern.sub(given[:0], given)
        found = getattr(self.pattern, self.function)(given)
        return list(found) if self.function == "finditer" else found


def uses() -> list[Use]:
    """Return each pattern of the package once for every function that runs it."""
    texts = {path: path.read_text("utf-8") for path in SOURCES}
    everything = "\n".join(texts.values())
    sources = {".".join(path.relative_to(PARENT).with_suffix("").parts): text for path, text in texts.items()}
    found: dict[tuple[Any, ...], Use] = {}
    for name, pattern, where in _compiled():
        source = sources.get(where, everything) if name.startswith("_") else everything
        functions = set(re.findall(rf"\b{name}\.({'|'.join(FUNCTIONS)})\(", source)) or {
            PASSED_ON.get(name, "finditer")
        }
        for function in sorted(functions):
            found.setdefault((pattern.pattern, pattern.flags, function), Use(pattern, function, f"{where}.{name}"))
    for path, text in texts.items():
        for pattern, function in _inline(text):
            found.setdefault((pattern.pattern, pattern.flags, function), Use(pattern, function, path.stem))
    return list(found.values())


def _compiled() -> Iterator[tuple[str, re.Pattern[Any], str]]:
    """Yield name, pattern and module of everything compiled at import, in tuples and dicts, too."""
    for info in pkgutil.walk_packages(rag_search.__path__, "rag_search."):
        try:
            module = importlib.import_module(info.name)
        except (ImportError, MissingExtraError):  # of an extra that is not installed
            continue
        for name, value in vars(module).items():
            members = (
                value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else [value]
            )
            for member in members:
                if isinstance(member, re.Pattern):
                    yield name, member, info.name


def _inline(source: str) -> Iterator[tuple[re.Pattern[Any], str]]:
    """Yield the patterns of `re.sub("...", ...)` and the like."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "re"
            and node.func.attr in FUNCTIONS
            and isinstance(node.args[0], ast.Constant)
        ):
            yield re.compile(node.args[0].value), node.func.attr


def prefixes(pattern: re.Pattern[Any]) -> Sequence[str]:
    """Return texts that lead to each repetition in a pattern: what comes before it, in its shortest form."""
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    found = [""]
    _walk(regex_parser.parse(source, pattern.flags & ~re.DEBUG), "", found.append)
    return list(dict.fromkeys(found))


def _walk(nodes: Any, before: str, note: Callable[[str], object]) -> str:
    """Return `before` and the shortest text of `nodes`, and note what stands before each repetition."""
    for kind, value in nodes:
        name = str(kind)
        if name == "LITERAL":
            before += chr(value)
        elif name in ("NOT_LITERAL", "ANY"):
            before += "x"
        elif name == "IN":
            before += _member(value)
        elif name == "BRANCH":
            before = min((_walk(branch, before, note) for branch in value[1]), key=len)
        elif name == "SUBPATTERN":
            before = _walk(value[-1], before, note)
        elif name == "ATOMIC_GROUP":
            before = _walk(value, before, note)
        elif "REPEAT" in name:
            note(before)
            once = _walk(value[2], before, note)
            before += once[len(before) :] * value[0]
    return before


def _member(members: Any) -> str:
    """Return a character of a class."""
    for kind, value in members:
        if str(kind) == "LITERAL":
            return chr(value)
        if str(kind) == "RANGE":
            return chr(value[0])
        if str(kind) == "CATEGORY":
            return {"CATEGORY_DIGIT": "1", "CATEGORY_SPACE": " "}.get(str(value), "x")
    return "x"


def units(pattern: re.Pattern[Any], alphabet: str) -> list[str]:
    """Return each character and each pair of characters that may act differently on a pattern.

    Characters that the same steps of a pattern take are one: all of them go the same ways. They are those of the
    alphabet and those that the pattern names.
    """
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    steps = list(_steps(regex_parser.parse(source, pattern.flags & ~re.DEBUG)))
    named = [chr(code) for step in steps for code in _codes(*step)]
    kinds: dict[tuple[bool, ...], str] = {}
    for character in [*alphabet, *named]:
        either = {character, character.swapcase()} if pattern.flags & re.IGNORECASE else {character}
        taken = [any(_takes(*step, one) for one in either) for step in steps]
        kinds.setdefault((character.isalnum(), character == "\n", *taken), character)
    singles = list(kinds.values())
    return [*singles, *(one + other for one in singles for other in singles if one != other)]


def _steps(nodes: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a pattern that take one character, those in assertions, too."""
    for kind, value in nodes:
        if str(kind) in ("LITERAL", "NOT_LITERAL", "IN"):
            yield str(kind), value
        elif isinstance(value, (tuple, list)):
            for part in value[1] if str(kind) == "BRANCH" else value:
                if isinstance(part, regex_parser.SubPattern):
                    yield from _steps(part)
        elif isinstance(value, regex_parser.SubPattern):
            yield from _steps(value)


def _codes(kind: str, value: Any) -> list[int]:
    """Return the characters that a part of a pattern names."""
    if kind == "IN":
        return [code for member, part in value for code in _codes(str(member), part)]
    return list(value) if kind == "RANGE" else [value] if kind in ("LITERAL", "NOT_LITERAL") else []


def _takes(kind: str, value: Any, character: str) -> bool:
    """Return whether a part of a pattern takes a character."""
    if kind == "IN":
        negated = str(value[0][0]) == "NEGATE"
        return negated != any(_takes(str(member), part, character) for member, part in value)
    if kind == "RANGE":
        return bool(value[0] <= ord(character) <= value[1])
    if kind == "CATEGORY":
        name = str(value).removeprefix("CATEGORY_")
        mark = name.removeprefix("NOT_")[0].lower()  # of DIGIT, SPACE, WORD
        return bool(re.match(f"\\{mark.upper() if name.startswith('NOT_') else mark}", character))
    return bool((kind == "LITERAL") == (ord(character) == value)) if kind != "NEGATE" else False


def failures(use: Use, repeated: list[str]) -> list[str]:
    """Return what grows too fast: each unit repeated, after each text that leads into the pattern."""
    found = []
    for before in prefixes(use.pattern):
        for unit in repeated:
            for after in ("", "\0"):
                problem = growth(use.run, lambda size: before + unit * (size // len(unit)) + after)  # noqa: B023
                if problem:
                    found.append(f"{use.where} {use.function}: {before!r}, then {unit!r}, {after!r}: {problem}")
    return found
