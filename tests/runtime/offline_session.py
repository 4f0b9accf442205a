"""A whole session in a network of its own, where every address is this machine: `python offline_session.py FOLDER`.

Prints JSON: what was asked of DNS, connections to ports 80 and 443, exit codes, and the files that are left.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

FOUND: list[str] = []
QUESTIONS = ("how do I rotate the keys?", "如何轮换密钥")


def all_addresses_are_here() -> None:
    """Give this network a device and a way out, and let loopback take packets for any address, so that all is seen."""
    for arguments in (
        "link set lo up",
        "link add out type veth peer name there",  # the collector's client sends nothing where it sees no network
        "addr add 10.9.9.2/24 dev out",
        "link set out up",
        "link set there up",
        "route add default via 10.9.9.1",
        "route add local 0.0.0.0/0 dev lo",
    ):
        subprocess.run(["ip", *arguments.split()], check=True)


def watch_names() -> None:
    """Note every packet to a name server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", 53))
        while True:
            FOUND.append(f"dns {server.recvfrom(4096)[0][12:80]!r}")


def watch_port(port: int) -> None:
    """Note every connection to a port."""
    with socket.create_server(("0.0.0.0", port)) as server:
        while True:
            connection, _ = server.accept()
            connection.settimeout(1)
            try:
                FOUND.append(f"port {port} {connection.recv(200)!r}")
            except OSError:
                FOUND.append(f"port {port}")
            connection.close()


def session(home: Path) -> dict[str, int]:
    """Run every command in an empty home and return the exit codes."""
    project = home / "project"
    (project / "docs").mkdir(parents=True)
    (project / "docs" / "keys.md").write_text("# Keys\n\nRotate the keys once a month.\n", "utf-8")
    (project / "ragsearch.toml").write_text("", "utf-8")
    make_set(project / "set")
    (home / "tmp").mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home / "tmp"), "LANG": "C.UTF-8"}
    environment["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    codes = {}
    for name, arguments in {
        "ingest": ["ingest", "docs"],
        "query": ["query", QUESTIONS[0], "--no-server"],
        "rerank": ["rerank", QUESTIONS[1], "docs/keys.md"],
        "evaluate": ["evaluate", "set", "--out", "report"],
        "doctor": ["doctor"],
        "status": ["status"],
    }.items():
        codes[name] = subprocess.run(
            [sys.executable, "-m", "rag_search", *arguments], cwd=project, env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
        ).returncode  # fmt: skip
    for name, module in {"serve": "fastapi", "ui": "gradio", "mcp": "mcp"}.items():
        if importlib.util.find_spec(module) is None:
            continue
        codes[name] = serve(name, project, environment)
    return codes


def make_set(folder: Path) -> None:
    """Write a set of one question in the form of BEIR."""
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text('{"_id": "d", "title": "Keys", "text": "Rotate them monthly."}\n', "utf-8")
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "how often do keys rotate"}\n', "utf-8")
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n", "utf-8")


def serve(name: str, project: Path, environment: dict[str, str]) -> int:
    """Start a server, ask it until it answers, and end it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    arguments = [name] if name == "mcp" else [name, "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", "rag_search", *arguments], cwd=project, env=environment, stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while name != "mcp" and time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as reply:
                reply.read()
            break
        except OSError:
            time.sleep(0.2)
    time.sleep(3)  # telemetry is sent a moment after the start
    if name != "mcp":
        process.terminate()
    process.communicate(b"", timeout=60)
    return process.returncode


def main() -> None:
    """Run the session and print what was seen."""
    home = Path(sys.argv[1])
    all_addresses_are_here()
    for watch, arguments in ((watch_names, ()), (watch_port, (80,)), (watch_port, (443,))):
        threading.Thread(target=watch, args=arguments, daemon=True).start()
    codes = {} if len(sys.argv) > 2 else session(home)
    if not codes:  # the control: what the packages do when they are let
        code = "import onnxruntime, socket as s; s.create_connection(('192.0.2.1', 80)); s.gethostbyname('c.test')"
        subprocess.run([sys.executable, "-c", code], env={"HOME": str(home)}, check=False, stderr=subprocess.DEVNULL)
    files = sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())
    print(json.dumps({"contacts": FOUND, "codes": codes, "files": files}))


if __name__ == "__main__":
    main()
