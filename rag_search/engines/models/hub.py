"""Fetch files of a model from a hub: Hugging Face, or a mirror that HF_ENDPOINT names.

A download that was broken off goes on where it stopped (huggingface_hub begins anew), and a file gets its name only
once its digest is right.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from rag_search.errors import ConfigError, EngineError, first_line
from rag_search.runtime.bounded import MAX_ANSWER_BYTES, TooLargeError, request_within
from rag_search.runtime.foreign_json import is_whole, parse_json
from rag_search.runtime.http import bearer, clean_key, clean_url, uses_proxy

HUB = "https://huggingface.co"
ATTEMPTS = 4  # of one file; each goes on where the one before ended
_ANSWER_S = 60.0
_SHA256, _SHA1 = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file on the hub. sha256: of large files. git_sha1: of small ones, as Git hashes a blob."""

    path: str
    bytes: int
    sha256: str = ""
    git_sha1: str = ""


@dataclass(frozen=True, slots=True)
class HubModel:
    """A model on the hub. revision: the commit."""

    name: str
    revision: str
    files: Mapping[str, HubFile]


class Hub:
    """One hub. endpoint: its address; None: HF_ENDPOINT, else huggingface.co. The key is HF_TOKEN, if it is set."""

    def __init__(self, endpoint: str | None = None) -> None:
        wanted = endpoint or os.environ.get("HF_ENDPOINT") or HUB
        try:
            self.endpoint = clean_url(wanted)
            key = clean_key(os.environ.get("HF_TOKEN", ""))
        except ValueError as error:
            raise ConfigError(f"HF_ENDPOINT or HF_TOKEN cannot be used: {error}.", remedy="Correct it.") from error
        timeout = httpx.Timeout(_ANSWER_S, connect=10.0)
        proxy = uses_proxy(self.endpoint)
        self._client = httpx.Client(headers=bearer(key), timeout=timeout, follow_redirects=True, trust_env=proxy)

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.close()

    def look_up(self, name: str, revision: str = "main") -> HubModel:
        """Return the files of a model with their digests. Raises EngineError."""
        url = f"{self.endpoint}/api/models/{name}/revision/{revision}?blobs=true"
        try:
            response = request_within(self._client, "GET", url, content=None, headers=None, seconds=_ANSWER_S)
        except TooLargeError as error:
            raise self._wrong(f"more than {MAX_ANSWER_BYTES} bytes") from error
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if response.status_code in (401, 403, 404):
            raise EngineError(
                f"{self.endpoint} has no model {name} of revision {revision} for you ({response.status_code}).",
                remedy="Check the name; for a model behind a form set HF_TOKEN.",
            )
        if not response.is_success:
            raise self._wrong(f"status {response.status_code}")
        try:
            answer = parse_json(response.content)
        except ValueError as error:
            raise self._wrong("something that is not JSON") from error
        commit = answer.get("sha") if isinstance(answer, dict) else None
        rows = answer.get("siblings") if isinstance(answer, dict) else None
        if not isinstance(commit, str) or not _SHA1.fullmatch(commit) or not isinstance(rows, list):
            raise self._wrong("an answer without commit and files")
        files = [file for row in rows if (file := _file_of(row)) is not None]
        return HubModel(name, commit, {file.path: file for file in files})

    def fetch(
        self, model: HubModel, files: Sequence[HubFile], folder: Path, *, on_bytes: Callable[[str, int], None]
    ) -> None:
        """Fetch files into `folder`, each under its path; those that are there and sound are kept.

        on_bytes: called with a path and the number of its bytes that are here. Raises EngineError.
        """
        missing = [file for file in files if not is_sound(folder / file.path, file)]
        folder.mkdir(parents=True, exist_ok=True)
        if sum(file.bytes for file in missing) > shutil.disk_usage(folder).free:
            raise EngineError(f"{folder} has too little room for {model.name}.", remedy="Free some, or set cache_dir.")
        for file in files:
            if file in missing:
                self._fetch_one(model, file, folder / file.path, on_bytes)
            on_bytes(file.path, file.bytes)

    def _fetch_one(self, model: HubModel, file: HubFile, target: Path, on_bytes: Callable[[str, int], None]) -> None:
        """Fetch one file, going on with what an earlier attempt left. Raises EngineError."""
        part = target.with_name(f"{target.name}.part")
        target.parent.mkdir(parents=True, exist_ok=True)
        url = f"{self.endpoint}/{model.name}/resolve/{model.revision}/{file.path}"
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._append(url, file, part, on_bytes)
                break
            except httpx.HTTPError as error:
                if attempt == ATTEMPTS:
                    raise self._unreachable(error) from error
        if not is_sound(part, file):
            part.unlink()
            raise EngineError(
                f"{file.path} of {model.name} has another digest than {self.endpoint} announces.",
                remedy="Run the command again; if it stays so, the mirror is damaged.",
            )
        part.replace(target)

    def _append(self, url: str, file: HubFile, part: Path, on_bytes: Callable[[str, int], None]) -> None:
        """Add what is missing to `part`. Raises httpx.HTTPError, EngineError."""
        start = part.stat().st_size if part.exists() else 0
        if start == file.bytes:
            return
        if start > file.bytes:
            part.unlink()
            start = 0
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
        with self._client.stream("GET", url, headers=headers) as response:
            if response.status_code >= 500:
                raise httpx.RemoteProtocolError(f"status {response.status_code}")
            if not response.is_success:
                raise self._wrong(f"status {response.status_code} for {file.path}")
            if response.status_code != 206:  # the server sends the file from its beginning
                start = 0
            with part.open("r+b" if start else "wb") as output:
                output.seek(start)
                for block in response.iter_raw():  # a size would hold bytes back, which a break loses
                    start += len(block)
                    if start > file.bytes:
                        raise self._wrong(f"more bytes for {file.path} than it announced")
                    output.write(block)
                    on_bytes(file.path, start)
        if start < file.bytes:
            raise httpx.RemoteProtocolError(f"{file.path} ended after {start} of {file.bytes} bytes")

    def _unreachable(self, error: Exception) -> EngineError:
        return EngineError(
            f"{self.endpoint} cannot be reached: {first_line(error)}.",
            remedy="Run the command again, it goes on where it stopped; set HF_ENDPOINT to a mirror; or copy the "
            "model's folder here and set reranker.model to it.",
        )

    def _wrong(self, what: str) -> EngineError:
        return EngineError(f"{self.endpoint} answered {what}.", remedy="Check HF_ENDPOINT.")


def is_sound(path: Path, file: HubFile) -> bool:
    """Return whether a file is complete and has the digest that the hub announces."""
    with suppress(OSError):
        if path.stat().st_size != file.bytes:
            return False
        if file.sha256:
            return sha256_of(path) == file.sha256
        head = f"blob {file.bytes}\0".encode()
        return hashlib.sha1(head + path.read_bytes(), usedforsecurity=False).hexdigest() == file.git_sha1
    return False


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file_of(row: Any) -> HubFile | None:
    """Return a file of a hub's answer; None for one without digest, or whose path leads out of the folder."""
    if not isinstance(row, dict):
        return None
    path, large = row.get("rfilename"), row.get("lfs")
    if not isinstance(path, str) or not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", path) or ".." in path.split("/"):
        return None
    size, digest = (large.get("size"), large.get("sha256")) if isinstance(large, dict) else (row.get("size"), "")
    blob = row.get("blobId")
    if not is_whole(size) or size < 0:
        return None
    if isinstance(digest, str) and _SHA256.fullmatch(digest):
        return HubFile(path, size, sha256=digest)
    if large is None and isinstance(blob, str) and _SHA1.fullmatch(blob):
        return HubFile(path, size, git_sha1=blob)
    return None
