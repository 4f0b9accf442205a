"""What the command line's client makes of any server that it may find behind an announcement."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rag_search.config import Config, load_config
from rag_search.errors import InputError, ServerError
from rag_search.records import EngineNames, SearchOptions, SearchResult
from rag_search.server.client import PER_REQUEST, OtherServerError, ask_server
from rag_search.server.codec import pack_result
from rag_search.server.discovery import advertise, find_server, record_path

Reply = tuple[int, bytes]
Answer = Callable[[dict[str, Any]], Reply]


class Answering(ThreadingHTTPServer):
    """Answers every POST with what `answer` makes of its JSON; keeps the headers of the last one."""

    answer: Answer
    asked: list[dict[str, Any]]
    headers: dict[str, str]


class Handler(BaseHTTPRequestHandler):
    server: Answering

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(body)
        self.server.headers = dict(self.headers)
        status, data = self.server.answer(body)
        if status:
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "ragsearch.toml").write_text("", "utf-8")
    flags = {"cache_dir": str(tmp_path / "cache"), "server.api_key": "schlüssel"}
    return load_config(flags, cwd=tmp_path)


@pytest.fixture
def server(config: Config) -> Iterator[Answering]:
    server = Answering(("127.0.0.1", 0), Handler)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    with advertise(config, f"http://127.0.0.1:{server.server_port}"):
        yield server
        server.shutdown()
        thread.join()
        server.server_close()


def result(question: str) -> SearchResult:
    return SearchResult(question, None, (), EngineNames("e", None, "i"), {"total": 1.0})


def right(body: dict[str, Any]) -> Reply:
    return 200, json.dumps({"results": [pack_result(result(question)) for question in body["queries"]]}).encode()


def test_many_questions_go_in_several_requests(config: Config, server: Answering) -> None:
    server.answer = right
    questions = [f"question {n}" for n in range(2 * PER_REQUEST + 1)]
    answered = ask_server(config, questions, SearchOptions())
    assert answered is not None
    assert answered[0] == [result(question) for question in questions]
    assert [len(body["queries"]) for body in server.asked] == [PER_REQUEST, PER_REQUEST, 1]
    assert server.headers["authorization"].encode("latin-1") == "Bearer schlüssel".encode()


def reply(status: int, body: object) -> Reply:
    return status, body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, {"results": []}),
        reply(200, {"results": [{"query": "x"}]}),
        reply(200, {"results": ["x"]}),
        reply(200, {"ok": True}),
        reply(200, ["x"]),
        reply(200, b"<html>"),
        reply(200, b""),
        reply(400, {"detail": "another program"}),
        reply(404, {"error": "no such route"}),
        reply(409, {"error": {"message": "it has another version, index or settings.", "type": "OtherIndexError"}}),
        reply(422, {"error": {"message": "too long", "type": "invalid_request"}}),
        reply(429, {"error": {"message": "busy", "type": "BusyError"}}),
        reply(0, b""),  # it hangs up
    ],
)
def test_a_server_that_is_not_ours_to_use_is_told_apart(config: Config, server: Answering, answer: Reply) -> None:
    server.answer = lambda _: answer
    with pytest.raises(OtherServerError, match=r"the server at http://127\.0\.0\.1"):
        ask_server(config, ["x"], SearchOptions())


def test_a_key_that_cannot_be_sent_is_not_printed(config: Config, server: Answering) -> None:
    keyed = replace(config.settings.server, api_key="sk-very\nsecret")
    with pytest.raises(OtherServerError, match="did not answer: ValueError") as caught:
        ask_server(replace(config, settings=replace(config.settings, server=keyed)), ["x"], SearchOptions())
    assert "very" not in str(caught.value)


def test_bad_questions_and_failures_are_errors(config: Config, server: Answering) -> None:
    server.answer = lambda _: reply(400, {"error": {"message": "the query is empty.", "type": "InputError"}})
    with pytest.raises(InputError, match="the query is empty"):
        ask_server(config, [" "], SearchOptions())
    server.answer = lambda _: reply(500, {"error": {"message": "an internal error.", "type": "internal_error"}})
    with pytest.raises(ServerError, match="failed: an internal error") as failed:
        ask_server(config, ["x"], SearchOptions())
    assert not isinstance(failed.value, OtherServerError)


def test_a_dead_server_is_forgotten(config: Config) -> None:
    file = record_path(config)
    with advertise(config, "http://127.0.0.1:9"):  # nobody listens there
        assert file.exists()
        assert ask_server(config, ["x"], SearchOptions()) is None
        assert not file.exists()


def test_an_older_server_is_found_when_a_newer_one_has_ended(config: Config) -> None:
    """Another one beside `serve --daemon` replaces it while it runs, in whichever order both end."""
    first, second, third = (advertise(config, f"http://127.0.0.1:{port}") for port in (9, 10, 11))
    with first as oldest:
        second.__enter__()
        third.__enter__()
        second.__exit__(None, None, None)
        assert getattr(find_server(config), "url", "") == "http://127.0.0.1:11"
        third.__exit__(None, None, None)
        assert find_server(config) == oldest
    assert find_server(config) is None
    assert not record_path(config).exists()


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"process_start": "1"}, False),  # the id belongs to another process by now
        ({"pid": 2**22 + 1}, False),  # above the largest id there is
        ({"hostname": "another-machine"}, True),
        ({"hostname": "", "process_start": ""}, True),
    ],
)
def test_who_took_the_port_over_gets_neither_key_nor_question(
    config: Config, server: Answering, changes: dict[str, Any], kept: bool
) -> None:
    server.answer = right
    file = record_path(config)
    said = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**said, **changes}), "utf-8")
    assert ask_server(config, ["my question"], SearchOptions()) is None
    assert server.asked == []
    assert file.exists() == kept
    file.write_text(json.dumps(said), "utf-8")
    assert ask_server(config, ["x"], SearchOptions()) is not None
