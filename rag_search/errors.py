"""Everything that ragsearch raises on purpose.

RagSearchError               message + remedy; the command line prints both and exits with 2
|-- InputError               a path, a query or a file that cannot be used
|-- ConfigError              an unknown key, a bad value, two options that exclude each other
|-- MissingExtraError        an optional package is not installed; the remedy is the pip line
|-- EngineError              a model, a server or a GPU that did not answer as it must
|   `-- KnownAnswerError     it answered, and the answer is wrong (see rag_search.engines.known_answers)
|-- IndexStoreError          the index on disk
|   |-- IndexMissingError    there is none yet
|   |-- IndexLockedError     another writer holds it
|   |-- FingerprintError     it was made by another embedder
|   `-- IndexCorruptError    what is on disk contradicts itself
`-- ServerError              a ragsearch server refused or failed
"""

from __future__ import annotations

DISTRIBUTION = "ragsearch-local"  # on PyPI `ragsearch` is another project


def pip_install(extra: str) -> str:
    """Return the command that adds an extra to the installed package."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"


class RagSearchError(Exception):
    """One clear sentence, and what to do about it.

    `message` says what is wrong and names the file, flag or URL; `remedy` is an instruction,
    usually a command, or empty when there is nothing to do.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.message = message
        self.remedy = remedy


class InputError(RagSearchError):
    """A path, a query or a file that cannot be used."""


class ConfigError(RagSearchError):
    """A setting that is unknown, malformed or in conflict with another."""


class MissingExtraError(RagSearchError):
    """An optional package is missing; the remedy is the pip line that installs it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"the package {package!r} is not installed.", remedy=f"Run: {pip_install(extra)}")
        self.package = package
        self.extra = extra


class EngineError(RagSearchError):
    """A model, a server or a GPU that did not answer as it must."""


class KnownAnswerError(EngineError):
    """An engine answered a question whose answer is known, and the answer was wrong."""


class IndexStoreError(RagSearchError):
    """The index on disk cannot be used."""


class IndexMissingError(IndexStoreError):
    """There is no index at this place."""


class IndexLockedError(IndexStoreError):
    """Another process is writing to the index."""


class FingerprintError(IndexStoreError):
    """The index was made by another embedder than the one that wants to read it."""


class IndexCorruptError(IndexStoreError):
    """What is on disk contradicts itself."""


class ServerError(RagSearchError):
    """A ragsearch server refused the request or failed."""


def first_line(error: BaseException) -> str:
    """What an exception of a library says, in one line without its full stop; its class where it says nothing."""
    said = str(error).strip()
    return said.split("\n")[0].strip().rstrip(".") if said else type(error).__name__
