"""Listen on a Unix socket that only the user of this process can open, for rag_search.server.thin_client."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from rag_search.server.thin_client import SUFFIX, socket_folder, socket_path

LOGGER = logging.getLogger(__name__)


@contextlib.contextmanager
def own_socket() -> Iterator[list[socket.socket]]:
    """Provide a listening socket while the block runs, in a folder that only this user can write to.

    Provide an empty list where the system has no such sockets or the folder cannot be used: clients then take the port.
    """
    with contextlib.ExitStack() as stack:
        listeners = []
        if hasattr(socket, "AF_UNIX"):
            try:
                listeners = [_listen(stack)]
            except OSError as error:
                LOGGER.warning("no private socket: %s", error.strerror or type(error).__name__)
        yield listeners


def _listen(stack: contextlib.ExitStack) -> socket.socket:
    """Bind and listen. `stack` closes and removes the socket."""
    folder = Path(socket_folder(os.environ, str(Path.cwd())))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    stack.callback(os.close, descriptor)
    os.fchmod(descriptor, 0o700)  # raises if the folder belongs to another user
    name = f"{os.getpid()}{SUFFIX}"
    path = Path(socket_path(descriptor, str(folder), name))
    path.unlink(missing_ok=True)  # of a killed process with this id
    listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    listener.bind(str(path))
    stack.callback(path.unlink, missing_ok=True)
    path.chmod(0o600)
    listener.listen(128)
    return listener
