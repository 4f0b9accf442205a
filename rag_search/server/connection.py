"""HTTP connections with the limits that uvicorn leaves open: how long a client may take to send a head or to read an
answer, and how many connections there are. The body's limits are the guard's (rag_search.server.middleware)."""

from __future__ import annotations

import asyncio
import json

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

LINGER_S = 2.0  # a connection closed with unread bytes in it is reset, and the client may never see the answer
REFUSALS = 50  # connections that are told that there are too many; further ones are cut


class BoundedProtocol(H11Protocol):
    """One connection.

    head_timeout_s: from connecting, or from the first byte of a later request, to the end of the head; then 408. Also
    for the rest of a body that was answered before it was read. write_timeout_s: for the client to make room for more
    of an answer; then the connection is cut. max_connections: well below the 1,024 files that a process may often
    have open; one more gets 503.
    """

    head_timeout_s = 15.0
    write_timeout_s = 30.0
    max_connections = 800

    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > self.max_connections + REFUSALS:
            self.transport.abort()
        elif len(self.connections) > self.max_connections:
            self._refuse(503, "busy", "there are too many connections.")
        else:
            self._start_head_timer()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_head_timer()
        elif self._head_timer is None:
            self._start_head_timer()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE:
            self._stop_head_timer()  # between requests keep-alive counts

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.write_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_write_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_head_timer()
        self._stop_write_timer()

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.head_timeout_s, self._too_slow)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _too_slow(self) -> None:
        if self.conn.our_state is h11.IDLE and self.conn.trailing_data[0]:
            self._refuse(408, "timeout", "the head of the request came too slowly.")
        else:  # nothing was asked, or it is answered already
            self.transport.close()

    def _refuse(self, status: int, kind: str, message: str) -> None:
        """Answer before there is a request, and close."""
        self._refused = True
        self.logger.warning("a connection was refused with %d", status)
        body = json.dumps({"error": {"message": message, "type": kind, "code": status, "remedy": ""}}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(b"connection", b"close"), (b"retry-after", b"2")]
        for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)
