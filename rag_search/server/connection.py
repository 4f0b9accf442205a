"""Limit HTTP connections where uvicorn does not: time for a request's head, time to read the reply, and their number.

The limits of the body are in rag_search.server.middleware.
"""

from __future__ import annotations

import asyncio
import json
import socket

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from rag_search.server.access import OWN_USER, error_body

LINGER_S = 2.0  # closing with unread bytes resets the connection, and the client may never see the reply
REJECTIONS = 50  # connections that get a 503 beyond the limit; further ones are cut


class BoundedProtocol(H11Protocol):
    """A connection with time limits.

    head_timeout_s: from connecting, or from the first byte of a later request, to the end of the head; then 408. It
    also limits the rest of a body that was answered before it was read.
    write_timeout_s: for the client to read more of the reply; then the connection is cut.
    max_connections: one more gets 503. Well below 1,024, a usual limit of open files.
    """

    head_timeout_s = 15.0
    write_timeout_s = 30.0
    max_connections = 800

    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None
    _refused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the timer of the head, or refuse the connection if there are too many."""
        if transport.get_extra_info("socket").family == getattr(socket, "AF_UNIX", None):
            self.app_state = {**self.app_state, OWN_USER: True}
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > self.max_connections + REJECTIONS:
            self.transport.abort()
        elif len(self.connections) > self.max_connections:
            self._refuse(503, "busy", "there are too many connections.")
        else:
            self._start_head_timer()

    def data_received(self, data: bytes) -> None:
        """Run the timer of the head while a head is incomplete."""
        if self._refused:
            return
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_head_timer()
        elif self._head_timer is None:
            self._start_head_timer()

    def on_response_complete(self) -> None:
        """Stop the timer of the head between requests."""
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE:
            self._stop_head_timer()  # uvicorn's keep-alive timeout applies now

    def shutdown(self) -> None:
        """Close the connection after its reply; one that is sending the head of a request gets a 503."""
        if (self.cycle is None or self.cycle.response_complete) and self.conn.trailing_data[0] and not self._refused:
            self._stop_head_timer()
            self._refuse(503, "stopping", "the server is stopping.")
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        """Start the timer that cuts a client which does not read."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.write_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the timer: the client reads again."""
        super().resume_writing()
        self._stop_write_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
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
        else:  # there is no request, or it is already answered
            self.transport.close()

    def _refuse(self, status: int, kind: str, message: str) -> None:
        """Reply before there is a request, and close."""
        self._refused = True
        self.logger.warning("a connection was refused with %d", status)
        body = json.dumps(error_body(status, kind, message)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(b"connection", b"close"), (b"retry-after", b"2")]
        for event in (h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)
