"""A query without imports prints what the command prints, and nobody else's program gets the question."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rag_search import __version__
from rag_search.cli.results import Format
from rag_search.config import load_config
from rag_search.server.discovery import find_server
from rag_search.server.thin_client import MAX_SERVERS, ROUTE, print_answer, socket_folder
from tests.support.project import Done, Run, indexed, model_cache, project, run

pytest.importorskip("fastapi")
__all__ = ["indexed", "model_cache", "project", "run"]  # fixtures

Ask = Callable[..., Done | None]
QUESTION = "如何解决Redis连接超时"
ALLOWED = {"__future__", "_socket", "rag_search", "rag_search.cli", "rag_search.cli.entry", "rag_search.server"}
ALLOWED |= {"rag_search.server.thin_client"}


@contextmanager
def serving(*options: str) -> Iterator[subprocess.Popen[str]]:
    """Run a server until the block ends."""
    command = [sys.executable, "-m", "rag_search", "serve", "--port", "0", "--log-file", "log.jsonl", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "listening" not in process.stderr.readline():
            assert process.poll() is None
        yield process
        process.terminate()
        process.wait(30)


@pytest.fixture
def server(indexed: Path) -> Iterator[subprocess.Popen[str]]:
    with serving() as process:
        yield process


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Ask as the entry point does; None if the command must do the work, and then nothing is printed."""

    def call(*arguments: str, version: str = __version__) -> Done | None:
        capsys.readouterr()
        code = print_answer(list(arguments), version=version)
        printed = capsys.readouterr()
        if code is None:
            assert (printed.out, printed.err) == ("", "")
            return None
        return Done(code, printed.out, printed.err)

    return call


def timeless(text: str) -> str:
    """Return the text without times and without the random ids of links."""
    return re.sub(r'("\w+": [\d.]+,?\s*)+(?=\},\s*"confident")|\d+\.\d ms|id=\d+', "", text)


def test_every_format_has_the_same_bytes(server: subprocess.Popen[str], run: Run, ask: Ask) -> None:
    """Also the same exit code, and what goes to stderr."""
    for name in Format:
        for question in (QUESTION, "[面向新手] 如何解决Redis连接超时", "best pizza dough hydration for a wood oven"):
            thin, long = ask(question, "--format", name), run("query", question, "--format", name)
            assert thin is not None
            assert (thin.code, timeless(thin.out), thin.err) == (long.code, timeless(long.out), long.err)


def test_every_option_counts(
    server: subprocess.Popen[str], run: Run, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each option of a query has the effect that it has in the command."""
    options = [
        ["-k", "1"],
        ["--candidates", "2", "--no-group", "--min-score", "-1"],
        ["--no-rerank", "--min-score", "0.001"],
        ["--instruct", "for beginners"],
        ["--path", "docs/deep/*"],
        ["--where", "category=ops", "--min-score", "0"],
        ["--since", "2023-01-01", "--explain"],
        ["--index", "default"],
        ["--index", "indexes/default"],
    ]
    answers = set()
    for chosen in options:
        question = ["backup 连接", "--format", "json", *chosen]
        thin, long = ask(*question), run("query", *question)
        assert thin is not None
        assert (thin.code, timeless(thin.out), timeless(thin.err)) == (
            long.code,
            timeless(long.out),
            timeless(long.err),
        )
        answers.add(timeless(thin.out))
    assert len(answers) >= 5
    monkeypatch.chdir("docs")  # paths are shown from the user's folder
    thin, long = ask(QUESTION, "--format", "files"), run("query", QUESTION, "--format", "files")
    assert thin is not None
    assert thin.out == long.out
    assert thin.out.splitlines()[0].startswith("redis.md:")


def test_only_the_command_does_the_rest(
    server: subprocess.Popen[str], run: Run, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Input from stdin, files, errors, help, and other versions, indexes and settings are left to the command."""
    batch = tmp_path / "batch.txt"
    batch.write_text("redis\n", "utf-8")
    left = [["-"], ["--batch", str(batch)], ["x", "--trec", str(tmp_path / "run")], ["x", "--no-server"], [], [""]]
    left += [["x", "--help"], ["x", "--nonsense"], ["x", "-k", "0"], ["x", "--since", "soon"]]
    left += [["x", "--index", "other"], ["x", "--profile", "builtin"], ["x", "--where", "novalue"], ["x" * 20_001]]
    for arguments in left:
        assert ask(*arguments) is None, arguments
    assert not (tmp_path / "run").exists()
    assert ask("x", version="0.0.1") is None
    assert "x" * 100 not in Path("log.jsonl").read_text("utf-8")
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    done = subprocess.run([sys.executable, "-m", "rag_search", "query", "kafka"], capture_output=True, check=False)
    assert done.returncode in (0, 1, 2)
    assert server.poll() is None
    monkeypatch.setattr(sys, "platform", "win32")
    assert ask(QUESTION) is None


def test_changed_settings_are_seen(
    server: subprocess.Popen[str], run: Run, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project file, a user's file or a variable that changed after the start changes the answer, or the way to it."""
    three = ask("redis backup kafka", "--format", "jsonl", "--min-score", "-1")
    assert three is not None
    assert three.out.count("\n") == 3
    project_file = Path("ragsearch.toml")
    project_file.write_text("search.top_k = 1\n", "utf-8")  # a setting that a query brings: the server answers with it
    one = ask("redis backup kafka", "--format", "jsonl", "--min-score", "-1")
    assert one is not None
    assert one.out.count("\n") == 1
    project_file.write_text('reranker.backend = "none"\n', "utf-8")  # the server has other models now
    assert ask("redis") is None
    assert "was not used" in run("query", "redis").err
    project_file.write_text('index = "other"\n', "utf-8")
    assert ask("redis") is None
    project_file.write_text("not toml", "utf-8")
    assert ask("redis") is None
    project_file.write_text("", "utf-8")
    assert ask("redis") is not None
    monkeypatch.setenv("RAGSEARCH_SEARCH__TOP_K", "1")
    assert ask("redis") is None
    monkeypatch.delenv("RAGSEARCH_SEARCH__TOP_K")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)  # of another project
    assert ask("redis") is None
    (elsewhere / "ragsearch.toml").write_text("", "utf-8")
    assert ask("redis") is None
    assert ask("redis", "--index", "../project/indexes/default") is not None


@pytest.mark.parametrize("host", ["::1", "0.0.0.0"])
def test_keys_and_other_addresses(indexed: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """The private socket needs neither key nor address; over the port the route does not exist."""
    with serving("--host", host, "--api-key", "secret"):
        answer = ask(QUESTION)
        assert answer is not None
        assert answer.code == 0
        record = find_server(load_config({}))
        assert record is not None
        port = int(record.url.rpartition(":")[2])
        for key, status in (("secret", 404), ("wrong", 401)):
            assert posted(record.url.rpartition(":")[0][7:].strip("[]"), port, key) == status


def posted(host: str, port: int, key: str) -> int:
    """Return the status of a request to the private route over the port."""
    facts: dict[str, Any] = {"version": __version__, "folder": "/", "arguments": ["x"], "environment": {}}
    body = json.dumps({**facts, "terminals": [False, False], "size": None})
    with socket.create_connection((host, port), 10) as connection:
        head = f"POST {ROUTE} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\nconnection: close\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body.encode())
        return int(connection.recv(1000).split(b" ")[1])


def test_a_killed_server_is_passed_over(server: subprocess.Popen[str], run: Run, ask: Ask) -> None:
    """Its socket stays, and a new server of the same project answers."""
    server.send_signal(signal.SIGKILL)
    server.wait(10)
    assert list(Path(socket_folder(os.environ, "/")).glob(f"{server.pid}.sock"))
    assert ask(QUESTION) is None
    assert run("query", QUESTION).code == 0
    with serving():
        assert ask(QUESTION) is not None


def test_a_stopped_server_removes_its_socket(server: subprocess.Popen[str]) -> None:
    """Only its own: the folder stays private to the user."""
    folder = Path(socket_folder(os.environ, "/"))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / f"{server.pid}.sock").stat().st_mode & 0o777 == 0o600
    server.terminate()
    server.wait(30)
    assert not (folder / f"{server.pid}.sock").exists()


@contextmanager
def impostor(path: Path, reply: bytes, *, user: int | None = None) -> Iterator[list[bytes]]:
    """Listen at a socket and reply with fixed bytes; the list gets what was received."""
    received: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        if user is not None:
            os.chown(path, user, user)

        def answer() -> None:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                received.append(connection.recv(65536))
                connection.sendall(reply)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield received
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of sockets, empty; short, since a path of a socket may have 107 bytes."""
    monkeypatch.setenv("RAGSEARCH_CACHE_DIR", str(tmp_path))
    made = tmp_path / "servers"
    made.mkdir(mode=0o700)
    monkeypatch.chdir(made)  # binding with a relative path
    return made


OK = b"HTTP/1.1 200 OK\r\nx-ragsearch-exit-code: 0\r\ncontent-length: "


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\x00\xff nonsense",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n1:1\nx",
        OK.replace(b"code: 0", b"code: 7") + b"5\r\n\r\n1:1\nx",
        OK + b"9\r\n\r\n1:1\nx",  # cut short
        OK + b"5\r\n\r\n1:9\nx",
        OK + b"5\r\n\r\n7:1\nx",
        OK + b"6\r\n\r\n1:-1\nx",
        b"HTTP/1.1 409 Conflict\r\nx-ragsearch-exit-code: 0\r\ncontent-length: 5\r\n\r\n1:1\nx",
    ],
)
def test_other_replies_print_nothing(folder: Path, ask: Ask, reply: bytes) -> None:
    """Whatever a program of the user's own replies, the output is whole or there is none."""
    with impostor(Path("1.sock"), reply) as received:
        assert ask("my question") is None
    assert len(received) == 1


def test_a_right_reply_is_printed_in_order(folder: Path, ask: Ask) -> None:
    """Both streams, and the exit code."""
    body = b"2:5\nnote\n1:4\n\xe5\xa5\xbd\n"
    with impostor(Path("1.sock"), b"%b%d\r\n\r\n%b" % (OK, len(body), body)):
        assert ask("x") == Done(0, "好\n", "note\n")


def test_sockets_of_killed_servers_hide_no_other(folder: Path, ask: Ask) -> None:
    """However many of them there are."""
    for number in range(10, 10 + 2 * MAX_SERVERS):
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(f"{number}.sock")
    body = b"1:1\nx"
    with impostor(Path("99.sock"), b"%b%d\r\n\r\n%b" % (OK, len(body), body)):
        assert ask("question") == Done(0, "x", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_other_users_get_no_question(folder: Path, ask: Ask) -> None:
    """Neither a folder of another user, nor one that others can write to, nor a process of another user is asked."""
    nobody = 65534
    with impostor(Path("1.sock"), b"") as received:
        os.chown(folder, nobody, nobody)
        assert ask("my question") is None
        os.chown(folder, 0, 0)
        folder.chmod(0o777)
        assert ask("my question") is None
        folder.chmod(0o700)
        assert received == []
    Path("1.sock").unlink()
    program = (
        "import os, socket\ns = socket.socket(socket.AF_UNIX)\ns.bind('2.sock')\nos.setuid(65534)\ns.listen()\n"
        "print('up', flush=True)\nc, _ = s.accept()\nprint(repr(c.recv(9999)), flush=True)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "up\n"
        assert ask("my question") is None
        assert other.stdout.readline() == "b''\n"


def in_terminal(start: str, width: int, **variables: str) -> bytes:
    """Return what a query prints on a terminal of some width. start: the module whose `main` runs."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 25, width, 0, 0))
    code = f"import sys; sys.argv = ['ragsearch', 'query', {QUESTION!r}]; from {start} import main; main()"
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "COLORTERM")}
    environ |= {"TERM": "xterm-256color", **variables}
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), terminal)
    with subprocess.Popen([sys.executable, "-c", code], env=environ, **streams) as process:  # type: ignore[call-overload]
        os.close(terminal)
        printed = b""
        while True:
            try:
                part = os.read(controller, 65536)
            except OSError:  # the other end is closed
                break
            printed += part
        process.wait(60)
    os.close(controller)
    return printed


def test_terminals_get_the_same_bytes(server: subprocess.Popen[str]) -> None:
    """At any width, with and without colour."""
    cases: list[tuple[int, dict[str, str]]] = [(0, {}), (40, {}), (80, {}), (200, {})]
    cases += [(80, {"NO_COLOR": "1"}), (80, {"COLORTERM": "truecolor"}), (80, {"COLUMNS": "50"})]
    drawn = set()
    for number, (width, variables) in enumerate(cases, 1):
        thin = in_terminal("rag_search.cli.entry", width, **variables)
        assert Path("log.jsonl").read_text("utf-8").count(ROUTE) == number  # it was the thin client
        long = in_terminal("rag_search.cli.app", width, **variables)
        assert timeless(thin.decode()) == timeless(long.decode())
        drawn.add(timeless(thin.decode()))
    assert len(drawn) >= 5  # 0 is as 80


def test_nothing_is_imported(server: subprocess.Popen[str]) -> None:
    """A query through the server loads only what Python has loaded at its start, and the client."""
    code = f"import sys; sys.argv = ['ragsearch', 'query', {QUESTION!r}]; before = set(sys.modules); import os\n"
    code += (
        "leave = os._exit\nos._exit = lambda _: (print(sorted(set(sys.modules) - before), file=sys.stderr), leave(0))\n"
    )
    code += "from rag_search.cli.entry import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout
    assert set(re.findall(r"'([\w.]+)'", done.stderr)) - ALLOWED == set()


def test_servers_of_other_projects_refuse(server: subprocess.Popen[str], ask: Ask, tmp_path: Path, run: Run) -> None:
    """With two servers of one user each project gets its own answers."""
    other = tmp_path / "other"
    (other / "docs").mkdir(parents=True)
    (other / "docs" / "redis.md").write_text("# Redis elsewhere\n\nRedis 连接超时 elsewhere.\n", "utf-8")
    (other / "ragsearch.toml").write_text("", "utf-8")
    here = Path.cwd()
    os.chdir(other)
    assert run("ingest", "docs").code == 0
    with serving():
        for folder, title in ((other, "Redis elsewhere"), (here, "连接池配置指南")):
            os.chdir(folder)
            answer = ask(QUESTION, "--format", "jsonl", "--min-score", "-1")
            assert answer is not None
            assert json.loads(answer.out.splitlines()[0])["title"] == title
    os.chdir(here)
    deadline = time.monotonic() + 10
    while ask(QUESTION) is None:
        assert time.monotonic() < deadline
