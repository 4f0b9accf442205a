"""Match the patterns of ignore files as Git does, in time that grows with pattern times path.

Git compares bytes and goes back at every `*`, which takes exponential time for patterns such as `*a*a*a*b`. Here all
ways through a pattern are followed at once. What Git never matches (`[`, a trailing backslash, an unknown class) is
never matched, and never an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_ANY = frozenset(range(256))
_NO_SLASH = _ANY - {0x2F}
_SPECIAL = b"*?[\\"
_CLASSES = {  # pairs of first and last byte
    b"alpha": b"AZaz",
    b"upper": b"AZ",
    b"lower": b"az",
    b"digit": b"09",
    b"alnum": b"09AZaz",
    b"xdigit": b"09AFaf",
    b"space": b"\t\r  ",
    b"blank": b"\t\t  ",
    b"cntrl": b"\x00\x1f\x7f\x7f",
    b"print": b" ~",
    b"graph": b"!~",
    b"punct": b"!/:@[`{~",
}


@dataclass(frozen=True, slots=True)
class _Token:
    """One step of a pattern.

    bytes: what it takes. repeats: any number of times. skips: it takes nothing, and the next two steps are optional.
    """

    bytes: frozenset[int]
    repeats: bool = False
    skips: bool = False


class _MalformedError(Exception):
    """A pattern that matches nothing."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of an ignore file.

    kind: how the rest is compared after the literal `prefix`. has_slash: the whole path is compared, not its name.
    """

    negated: bool
    folders_only: bool
    has_slash: bool
    kind: Literal["equal", "ends", "tokens", "never"]
    prefix: bytes
    tokens: tuple[_Token, ...] = ()

    def matches(self, path: bytes, *, is_folder: bool) -> bool:
        """Return whether the pattern is about `path`, which is relative to the folder of the ignore file."""
        if self.folders_only and not is_folder:
            return False
        text = path if self.has_slash else path.rpartition(b"/")[2]
        if self.kind == "equal":
            return text == self.prefix
        if self.kind == "ends":
            return text.endswith(self.prefix)
        return self.kind == "tokens" and text.startswith(self.prefix) and _runs(self.tokens, text[len(self.prefix) :])


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The patterns of one ignore file, in order; the last one that matches decides."""

    patterns: tuple[Pattern, ...]

    def covers(self, path: str, *, is_folder: bool) -> bool:
        """Return whether `path` or a folder above it is matched."""
        parts = path.split("/")
        above = ("/".join(parts[:end]) for end in range(1, len(parts)))
        return any(self.decide(folder, is_folder=True) for folder in above) or bool(
            self.decide(path, is_folder=is_folder)
        )

    def decide(self, path: str, *, is_folder: bool) -> bool | None:
        """Return whether `path` is excluded, or None if no pattern is about it."""
        name = os.fsencode(path)
        for pattern in reversed(self.patterns):
            if pattern.matches(name, is_folder=is_folder):
                return not pattern.negated
        return None


def parse_rules(content: bytes) -> IgnoreRules:
    """Return the patterns of an ignore file."""
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    patterns = (parse_pattern(line.removesuffix(b"\r")) for line in lines)
    return IgnoreRules(tuple(pattern for pattern in patterns if pattern))


def parse_pattern(line: bytes) -> Pattern | None:
    """Return the pattern of a line without its line end; None for a comment and a blank line."""
    line = _without_trailing_spaces(line)
    if not line or line.startswith(b"#"):
        return None
    negated = line.startswith(b"!")
    text = line.removeprefix(b"!") if negated else line
    folders_only = text.endswith(b"/")
    text = text.removesuffix(b"/")
    has_slash = b"/" in text
    text = text.removeprefix(b"/") if has_slash else text
    wild = next((at for at, byte in enumerate(text) if byte in _SPECIAL), len(text))
    if not text or b"\x00" in text:
        return Pattern(negated, folders_only, has_slash, "never", b"")
    if wild == len(text):
        return Pattern(negated, folders_only, has_slash, "equal", text)
    if not has_slash and text[:1] == b"*" and not any(byte in _SPECIAL for byte in text[1:]):
        return Pattern(negated, folders_only, has_slash, "ends", text[1:])
    try:
        tokens = tuple(_tokens(text[wild:] if has_slash else text, _NO_SLASH if has_slash else _ANY))
        if any(not token.bytes and not token.repeats for token in tokens):  # such as [z-a]
            raise _MalformedError
    except _MalformedError:
        return Pattern(negated, folders_only, has_slash, "never", b"")
    return Pattern(negated, folders_only, has_slash, "tokens", text[:wild] if has_slash else b"", tokens)


def _without_trailing_spaces(line: bytes) -> bytes:
    """Drop spaces at the end that no backslash protects."""
    spaces, at = len(line), 0  # where the run of spaces starts that may be the last one
    while at < len(line):
        if line[at : at + 1] == b" ":
            spaces = min(spaces, at)
        else:
            at += line[at : at + 1] == b"\\"
            spaces = len(line)
        at += 1
    return line[:spaces]


def _tokens(text: bytes, single: frozenset[int]) -> Iterator[_Token]:
    """Yield the steps of a pattern. single: what `?` and `*` take. Raises _MalformedError."""
    at = 0
    while at < len(text):
        byte = text[at : at + 1]
        if byte == b"*":
            start = at
            while text[at : at + 1] == b"*":
                at += 1
            follows = text[at : at + 1] in (b"", b"/") or text[at : at + 2] == b"\\/"
            if at - start > 1 and follows and (start == 0 or text[start - 1 : start] == b"/"):
                if text[at : at + 1] == b"/":
                    yield _Token(frozenset(), repeats=True, skips=True)
                yield _Token(_ANY, repeats=True)
            else:
                yield _Token(single, repeats=True)
            continue
        if byte == b"?":
            yield _Token(single)
        elif byte == b"[":
            members, at = _members(text, at + 1)
            yield _Token(members & single)
        else:
            if byte == b"\\":
                at += 1
                if at == len(text):
                    raise _MalformedError
            yield _Token(frozenset(text[at : at + 1]))
        at += 1


def _members(text: bytes, at: int) -> tuple[frozenset[int], int]:
    """Return the bytes of a bracket expression whose content starts at `at`, and where it ends.

    Raises _MalformedError for one without an end or with an unknown class.
    """
    negated = text[at : at + 1] in (b"!", b"^")
    at += negated
    members: set[int] = set()
    before = 0  # the byte that a range may start with
    start = at
    while at == start or text[at : at + 1] != b"]":
        if (
            text[at : at + 2] == b"[:"
            and (end := text.find(b"]", at + 2)) != -1
            and text[end - 1 : end] == b":"
            and end > at + 2
        ):
            members |= _class(text[at + 2 : end - 1])
            before, at = 0, end
        elif text[at : at + 1] == b"-" and before and text[at + 1 : at + 2] not in (b"", b"]"):
            byte, at = _byte(text, at + 1)
            members.update(range(before, byte + 1))
            before = 0
        else:
            byte, at = _byte(text, at)
            members.add(byte)
            before = byte
        at += 1
    return (frozenset(_ANY - members) if negated else frozenset(members)), at


def _byte(text: bytes, at: int) -> tuple[int, int]:
    """Return the byte at `at`, past a backslash, and its place. Raises _MalformedError at the end of the text."""
    at += text[at : at + 1] == b"\\"
    if at >= len(text):
        raise _MalformedError
    return text[at], at


def _class(name: bytes) -> frozenset[int]:
    """Return the bytes of a class such as "digit". Raises _MalformedError for an unknown one."""
    if name not in _CLASSES:
        raise _MalformedError
    bounds = _CLASSES[name]
    return frozenset(byte for low, high in zip(bounds[::2], bounds[1::2], strict=True) for byte in range(low, high + 1))


def _runs(tokens: tuple[_Token, ...], text: bytes) -> bool:
    """Return whether the steps take the whole text. All places in the pattern are followed at once."""
    places = _reached({0}, tokens)
    for byte in text:
        taken = {
            place + (not tokens[place].repeats)
            for place in places
            if place < len(tokens) and byte in tokens[place].bytes
        }
        places = _reached(taken, tokens)
        if not places:
            return False
    return len(tokens) in places


def _reached(places: set[int], tokens: tuple[_Token, ...]) -> set[int]:
    """Add the places that steps for nothing lead to."""
    waiting = list(places)
    while waiting:
        place = waiting.pop()
        if place == len(tokens) or not tokens[place].repeats:
            continue
        for reached in (place + 1, place + 3) if tokens[place].skips else (place + 1,):
            if reached not in places:
                places.add(reached)
                waiting.append(reached)
    return places
