"""A hub on this machine: the listing and the resolve paths of Hugging Face, whole, broken off or lying."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.http_server import QuietHandler, listening

COMMIT = "23139fec6f1f448cdf89a5ac2d2c6bf5e8c7b398"
LARGE = 2000  # bytes from which a file is announced with its SHA-256, as Git LFS does


@dataclass
class HubServer:
    """One model. files: path to content. cuts: bytes after which the next answers break off, one answer each.

    spoilt: content that is sent in place of the announced one. rows: further rows of the listing. listing: what the
    listing answers in place of the right one. ranges: whether the server can send a part. asked: path and Range header
    of each request.
    """

    name: str
    files: Mapping[str, bytes]
    commit: str = COMMIT
    cuts: list[int] = field(default_factory=list)
    spoilt: dict[str, bytes] = field(default_factory=dict)
    rows: list[Any] = field(default_factory=list)
    listing: tuple[int, bytes] | None = None
    ranges: bool = True
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    root: str = ""

    def siblings(self) -> list[Any]:
        rows: list[Any] = []
        for path, content in self.files.items():
            row: dict[str, Any] = {"rfilename": path, "size": len(content)}
            row["blobId"] = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
            if len(content) >= LARGE:
                row["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
            rows.append(row)
        return rows + self.rows

    def answer(self, path: str, wanted: str | None) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of a request. wanted: its Range."""
        if path.startswith(f"/api/models/{self.name}/revision/"):
            if self.listing:
                return *self.listing, {}
            return 200, json.dumps({"id": self.name, "sha": self.commit, "siblings": self.siblings()}).encode(), {}
        prefix = f"/{self.name}/resolve/{self.commit}/"
        if path.startswith(prefix):  # the hub sends large files from another host
            return 302, b"", {"Location": f"{self.root}/cdn/{path.removeprefix(prefix)}"}
        name = path.removeprefix("/cdn/")
        if name not in self.files:
            return 404, b"not found", {}
        body = self.spoilt.get(name, self.files[name])
        if wanted and self.ranges:
            return 206, body[int(wanted.removeprefix("bytes=").rstrip("-")) :], {}
        return 200, body, {}


@contextmanager
def hub(server: HubServer) -> Iterator[HubServer]:
    """Serve it; `root` is its address, for HF_ENDPOINT."""

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            path = self.path.partition("?")[0]
            status, body, headers = server.answer(path, wanted)
            server.asked.append((path, wanted))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if len(server.files.get(path.removeprefix("/cdn/"), b"")) >= LARGE and server.cuts:
                body = body[: server.cuts.pop(0)]
            self.wfile.write(body)

    with listening(Handler) as root:
        server.root = root
        yield server


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a folder, as a hub has them."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
