"""A TCP proxy that can hold back what a client sends, and let it through later."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class HoldingProxy:
    """Listens on 127.0.0.1 and forwards to a port there; `hold` delays requests, answers always pass."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._passing = threading.Event()
        self._passing.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.held_bytes = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self) -> None:
        """Keep what clients send from now on."""
        self._passing.clear()

    def release(self) -> None:
        """Send on what was kept, and everything after it."""
        self._passing.set()

    def close(self) -> None:
        """End all connections."""
        self._listener.close()
        self.release()
        for each in self._sockets:
            with suppress(OSError):
                each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                threading.Thread(target=self._forward, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._forward, args=(server, client, False), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, is_request: bool) -> None:
        """Forward one direction. The end of a client is not forwarded while its last request is held."""
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if is_request and not self._passing.is_set():
                    self.held_bytes += len(data)
                    self._passing.wait()
                target.sendall(data)
        if is_request:
            self._passing.wait()
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
