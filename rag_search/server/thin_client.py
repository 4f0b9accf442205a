"""Ask a running server for the printed output of a query, without an import that takes time.

`ragsearch query` spends most of its time on imports. A server of the same user listens on a private Unix socket. It
parses the arguments, searches, draws, and replies with the bytes to print and the exit code. Whatever it cannot answer
exactly as the command would is left to the command: another index, other settings or another version, input from stdin,
files to read or write, errors. Only modules that Python loads at start may be imported here, and `_socket`.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

ROUTE = "/v1/ragsearch/print"
EXIT_CODE = "x-ragsearch-exit-code"
SUFFIX = ".sock"
MAX_SERVERS = 8  # servers of other projects are asked, too, and refuse
TIMEOUT_S = 60.0
MAX_REPLY = 64 * 2**20
FAILED = 2
# what chooses the settings, and what decides how a terminal is drawn on
SETTINGS = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")
DRAWING = ("COLUMNS", "LINES", "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
SETTINGS_PREFIX, SECRETS, SERVER_PREFIX = "RAGSEARCH_", "API_KEY", "RAGSEARCH_SERVER__"


def print_answer(arguments: list[str], *, version: str) -> int | None:
    """Print the answer of a running server to `ragsearch query ARGUMENTS`.

    Return the exit code, None if nothing was printed and the command must do the work.
    """
    if sys.platform == "win32" or "-" in arguments or not _prints_utf8():
        return None
    try:
        request = _request(arguments, version)
        replies = _replies(socket_folder(os.environ, os.getcwd()), request)
        for reply in replies:
            printed = _parse(reply)
            if printed is not None:
                return _print(*printed)
    except OSError:  # without a working folder, for one
        return None
    return None


def socket_folder(environ: Mapping[str, str], cwd: str) -> str:
    """Return the folder of the sockets. It depends on the environment alone: settings take too long to read."""
    cache = environ.get("RAGSEARCH_CACHE_DIR")
    if not cache:
        home = os.path.expanduser("~")
        usual = "Library/Caches" if sys.platform == "darwin" else ".cache"
        cache = os.path.join(environ.get("XDG_CACHE_HOME", "").strip() or f"{home}/{usual}", "ragsearch")
    return os.path.join(cwd, os.path.expanduser(cache), "servers")


def sent_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that change settings or drawing, without keys."""
    return {
        name: value
        for name, value in environ.items()
        if name in SETTINGS or name in DRAWING or (name.startswith(SETTINGS_PREFIX) and not name.endswith(SECRETS))
    }


def settings_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that change an answer: those of the settings, but keys and the server's own."""
    names = [name for name in sent_environment(environ) if name not in DRAWING and not name.startswith(SERVER_PREFIX)]
    return {name: environ[name] for name in names}


def socket_path(descriptor: int, folder: str, name: str) -> str:
    """Return a path for a socket in an open folder, short enough for the system where it has /proc."""
    here = f"/proc/self/fd/{descriptor}"
    return f"{here if sys.platform == 'linux' and os.path.isdir(here) else folder}/{name}"


def _prints_utf8() -> bool:
    return all(
        stream is not None and stream.encoding.lower().replace("-", "") == "utf8" for stream in (sys.stdout, sys.stderr)
    )


def _request(arguments: list[str], version: str) -> bytes:
    """Return the HTTP request. The working folder is sent as the command would see it."""
    size = _terminal_size()
    facts = {
        "version": version,
        "folder": os.getcwd(),
        "arguments": arguments,
        "environment": sent_environment(os.environ),
        "terminals": [os.isatty(1), os.isatty(2)],
        "size": list(size) if size else None,
    }
    body = _json(facts).encode("ascii")
    head = f"POST {ROUTE} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode("ascii") + body


def _terminal_size() -> tuple[int, int] | None:
    """Return the size of the first of the three streams that is a terminal."""
    for descriptor in (0, 1, 2):
        try:
            return os.get_terminal_size(descriptor)
        except (OSError, ValueError):
            continue
    return None


def _json(value: object) -> str:
    """Encode a value of dicts, lists, strings, integers, booleans and None as ASCII JSON."""
    if isinstance(value, str):
        return f'"{"".join(map(_json_character, value))}"'
    if isinstance(value, dict):
        return f"{{{','.join(f'{_json(key)}:{_json(item)}' for key, item in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_json, value))}]"
    return "null" if value is None else str(value).lower()


def _json_character(character: str) -> str:
    code = ord(character)
    if 32 <= code < 127 and character not in '"\\':
        return character
    if code > 0xFFFF:
        code -= 0x10000
        return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
    return f"\\u{code:04x}"


def _replies(folder: str, request: bytes) -> Iterator[bytes]:
    """Send the request to the servers of this user in turn and yield their replies.

    The folder must belong to the user and be writable for no one else, and so must the process behind the socket: a
    program of another user must not receive the question.
    """
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        state = os.fstat(descriptor)
        if state.st_uid != os.geteuid() or state.st_mode & 0o022:
            return
        asked = 0
        for name in sorted(name for name in os.listdir(descriptor) if name.endswith(SUFFIX)):
            reply = _exchange(socket_path(descriptor, folder, name), request)
            if not reply:  # killed servers leave their sockets, and many of them must not hide a running one
                continue
            yield reply
            asked += 1
            if asked == MAX_SERVERS:
                return
    finally:
        os.close(descriptor)


def _exchange(path: str, request: bytes) -> bytes:
    """Return the whole reply; nothing if no server of this user answers there."""
    import _socket

    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.settimeout(TIMEOUT_S)
        connection.connect(path)
        if sys.platform == "linux":
            credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)
            if int.from_bytes(credentials[4:8], sys.byteorder) != os.geteuid():
                return b""
        connection.sendall(request)
        parts, size = [], 0
        while part := connection.recv(65536):
            parts.append(part)
            size += len(part)
            if size > MAX_REPLY:
                return b""
        return b"".join(parts)
    except OSError:  # a killed server leaves its socket, and a busy one may not answer in time
        return b""
    finally:
        connection.close()


def _parse(reply: bytes) -> tuple[int, list[tuple[int, bytes]]] | None:
    """Return the exit code and the (stream, bytes) to print; None for any other reply than that."""
    head, _, body = reply.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    if status.split(" ")[1:2] != ["200"]:
        return None
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    code, length = headers.get(EXIT_CODE, ""), headers.get("content-length", "")
    if code not in ("0", "1") or length != str(len(body)):
        return None
    prints: list[tuple[int, bytes]] = []
    while body:
        frame, _, body = body.partition(b"\n")
        stream, _, size = frame.partition(b":")
        if stream not in (b"1", b"2") or not size.isdigit() or len(size) > 18 or int(size) > len(body):
            return None
        prints.append((int(stream), body[: int(size)]))
        body = body[int(size) :]
    return int(code), prints


def _print(code: int, prints: list[tuple[int, bytes]]) -> int:
    """Write to stdout and stderr in the order of the server. Return the exit code, as the command's main does."""
    streams: dict[int, BinaryIO] = {1: sys.stdout.buffer, 2: sys.stderr.buffer}
    try:
        for stream, content in prints:
            streams[stream].write(content)
            streams[stream].flush()
    except BrokenPipeError:
        return FAILED
    except OSError as error:
        sys.stderr.write(f"error: {error}\n")
        return FAILED
    return code
