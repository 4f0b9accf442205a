"""A tiny model server: `python fake_server.py PORT` answers /health after a moment; `--crash` ends with a last word."""

import http.server
import sys
import time


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    if "--crash" in sys.argv:
        sys.exit("CUDA out of memory")
    time.sleep(0.2)
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
