"""The exceptions that ragsearch raises on purpose.

RagSearchError               message and remedy; the command line prints both and exits with 2
|-- InputError               a path, a query or a file that cannot be used
|-- ConfigError              an unknown key, a bad value, two options that exclude each other
|-- MissingExtraError        an optional package is not installed; the remedy is the pip line
|-- EngineError              a model, a server or a GPU failed
|   `-- KnownAnswerError     an engine gave a wrong answer (see rag_search.engines.known_answers)
|-- ForeignFileError         a file of the cache that is not believed
|-- IndexStoreError          the index on disk
|   |-- IndexMissingError    no index was made yet
|   |-- IndexLockedError     another process is writing to it
|   |-- FingerprintError     another embedder made it
|   `-- IndexCorruptError    the files of the index contradict each other
`-- ServerError              a ragsearch server refused or failed
"""

from __future__ import annotations

from typing import Any

DISTRIBUTION = "ragsearch-local"  # on PyPI `ragsearch` is another project


def pip_install(extra: str) -> str:
    """Return the command that adds an extra to the installed package."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"


class RagSearchError(Exception):
    """A failure and its remedy.

    message: what is wrong, with the file, flag or URL. remedy: an instruction, usually a command; empty if there is
    nothing to do.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.message = message
        self.remedy = remedy

    def __reduce__(self) -> tuple[Any, ...]:  # the default passes args, which hold message and remedy in one
        return _restore, (type(self), self.args, self.__dict__)


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
    """A model, a server or a GPU that failed."""


class KnownAnswerError(EngineError):
    """An engine that gave a wrong answer to a question whose answer is known."""


class ForeignFileError(RagSearchError):
    """A file of the cache that another user wrote, or that everybody may change."""


class IndexStoreError(RagSearchError):
    """The index on disk cannot be used."""


class IndexMissingError(IndexStoreError):
    """The folder does not contain an index."""


class IndexLockedError(IndexStoreError):
    """Another process is writing to the index."""


class FingerprintError(IndexStoreError):
    """Another embedder made the index."""


class IndexCorruptError(IndexStoreError):
    """The files of the index contradict each other."""


class StoreUnavailableError(IndexStoreError):
    """The server that holds the index does not answer."""


class ServerError(RagSearchError):
    """A ragsearch server refused the request or failed."""


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message without its full stop; the class name if it has none."""
    message = str(error).strip()
    return message.split("\n")[0].strip().rstrip(".") if message else type(error).__name__


def _restore(kind: type[RagSearchError], args: tuple[Any, ...], attributes: dict[str, Any]) -> RagSearchError:
    """Return the exception that was pickled, without calling its constructor."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error
