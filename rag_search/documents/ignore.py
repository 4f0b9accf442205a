"""`.gitignore` and `.ragsearchignore`: which entries of a folder are left out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

IGNORE_FILES = (".gitignore", ".ragsearchignore")  # in one folder the second one decides
SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__", "site-packages"})


@dataclass(frozen=True, slots=True)
class _Level:
    folder: Path
    spec: GitIgnoreSpec


@dataclass(frozen=True, slots=True)
class Ignored:
    """The rules that hold in a folder: those of the folders above it, then its own. The last that matches decides."""

    levels: tuple[_Level, ...] = ()

    def inside(self, folder: Path) -> Ignored:
        """With the ignore files of `folder` added. Raises OSError or UnicodeError when one cannot be read."""
        specs = [_read(folder / name) for name in IGNORE_FILES]
        return Ignored(self.levels + tuple(_Level(folder, spec) for spec in specs if spec))

    def without_rules_against(self, folder: Path) -> Ignored:
        """Somebody who names a folder wants it, whatever the rules above it say about the folder itself."""
        return Ignored(tuple(level for level in self.levels if not Ignored((level,)).covers(folder, is_folder=True)))

    def covers(self, path: Path, *, is_folder: bool) -> bool:
        if path.name.startswith(".") or (is_folder and path.name in SKIPPED_FOLDERS):
            return True
        for level in reversed(self.levels):
            name = path.relative_to(level.folder).as_posix()
            if (decision := level.spec.check_file(name + "/" * is_folder).include) is not None:
                return decision
        return False


def ignored_above(folder: Path) -> Ignored:
    """The rules of the Git work tree that `folder` lies in, from its top down to the parent of `folder`."""
    above: list[Path] = []
    for parent in folder.parents:
        above.insert(0, parent)
        if (parent / ".git").exists():
            break
    else:
        return Ignored()
    if (folder / ".git").exists():
        return Ignored()
    rules = Ignored()
    for parent in above:
        rules = rules.inside(parent)
    return rules.without_rules_against(folder)


def is_ignored(path: Path, *, root: Path) -> bool:
    """Whether a walk of the folder `root` leaves out `path`, which lies below it, or a folder on the way there.

    Raises OSError or UnicodeError when an ignore file cannot be read.
    """
    rules, place = ignored_above(root), root
    for part in path.relative_to(root).parts:
        rules, place = rules.inside(place), place / part
        if rules.covers(place, is_folder=place.is_dir()) or is_virtual_environment(place):
            return True
    return False


def is_virtual_environment(folder: Path) -> bool:
    """By what it holds and not by its name: documentation, too, has folders called `env`."""
    return (folder / "pyvenv.cfg").is_file() or (folder / "conda-meta").is_dir()


def _read(path: Path) -> GitIgnoreSpec | None:
    if not path.is_file():
        return None
    return GitIgnoreSpec.from_lines(path.read_text(encoding="utf-8-sig").split("\n"))
