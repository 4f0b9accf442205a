"""Apply `.gitignore` and `.ragsearchignore` to the entries of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rag_search.documents.gitignore import IgnoreRules, parse_rules
from rag_search.runtime.files import is_file, is_there

IGNORE_FILES = (".gitignore", ".ragsearchignore")  # within a folder the second one decides
SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "site-packages"})


@dataclass(frozen=True, slots=True)
class _Level:
    """Rules of one folder. above: characters of an absolute path that are its folder's."""

    above: int
    rules: IgnoreRules


@dataclass(frozen=True, slots=True)
class Ignored:
    """The rules of a folder: those of the folders above it, then its own. The last one that matches decides."""

    levels: tuple[_Level, ...] = ()

    def inside(self, folder: Path) -> Ignored:
        """Return these rules and those of the ignore files in `folder`.

        Raises:
            OSError, UnicodeError: an ignore file cannot be read.
        """
        files = [_read(folder / name) for name in IGNORE_FILES]
        above = len(str(folder).rstrip("/")) + 1
        return Ignored(self.levels + tuple(_Level(above, rules) for rules in files if rules))

    def without_rules_against(self, folder: Path) -> Ignored:
        """Drop the rules that would exclude `folder` itself: naming a folder overrides ignore files above it."""
        return Ignored(
            tuple(level for level in self.levels if not Ignored((level,)).covers(str(folder), is_folder=True))
        )

    def covers(self, path: str, *, is_folder: bool) -> bool:
        """Return whether the rules exclude the absolute `path`, which is in the folder of these rules."""
        name = path.rpartition("/")[2]
        if name.startswith(".") or (is_folder and name in SKIPPED_FOLDERS):
            return True
        for level in reversed(self.levels):
            if (decision := level.rules.decide(path[level.above :], is_folder=is_folder)) is not None:
                return decision
        return False


def ignored_above(folder: Path) -> Ignored:
    """Return the rules of the Git work tree around `folder`, from its top down to the parent of `folder`."""
    above: list[Path] = []
    for parent in folder.parents:
        above.insert(0, parent)
        if is_there(parent / ".git"):
            break
    else:
        return Ignored()
    if is_there(folder / ".git"):
        return Ignored()
    rules = Ignored()
    for parent in above:
        rules = rules.inside(parent)
    return rules.without_rules_against(folder)


def places_around(root: Path) -> list[Path]:
    """Return the real folder of a root, and the top of the Git work tree that it is in, if any."""
    real = root.resolve()
    tops = [folder for folder in (real, *real.parents) if is_there(folder / ".git")]
    return [real, *tops[:1]]


def is_ignored(path: Path, *, root: Path) -> bool:
    """Return whether a walk of the folder `root` skips `path`, which is below it, or a folder on the way there.

    Raises:
        OSError, UnicodeError: an ignore file cannot be read.
    """
    rules, place = ignored_above(root), root
    for part in path.relative_to(root).parts:
        rules, place = rules.inside(place), place / part
        if rules.covers(str(place), is_folder=place.is_dir()) or is_virtual_environment(place):
            return True
    return False


def is_virtual_environment(folder: Path) -> bool:
    """Return whether a folder is a virtual environment, by its contents: documentation has folders called `env`."""
    return is_there(folder / "pyvenv.cfg") or is_there(folder / "conda-meta")


def _read(path: Path) -> IgnoreRules | None:
    """Return the rules of an ignore file; None if there is none. Raises OSError, UnicodeError."""
    if not is_file(path):
        return None
    content = path.read_bytes()
    content.decode("utf-8")  # UTF-16 would be read as rules that match nothing
    return parse_rules(content)
