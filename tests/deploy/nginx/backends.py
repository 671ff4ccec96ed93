"""Servers in the place of instances: they answer as they are told, and say what reached them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Backend(ThreadingHTTPServer):
    """Answers each request after `delay_s` with `status` and the request's method, path and headers."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, status: int = 200, delay_s: float = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status
        self.delay_s = delay_s
        self.requests: list[str] = []
        """Method and path of each."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Handler(BaseHTTPRequestHandler):
    server: Backend

    def do_GET(self) -> None:
        told = {"method": self.command, "path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}}
        self.server.requests.append(f"{self.command} {self.path}")
        time.sleep(self.server.delay_s)
        body = json.dumps(told).encode()
        self.send_response(self.server.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the base class looks it up

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def backend(status: int = 200, delay_s: float = 0) -> Iterator[Backend]:
    server = Backend(status, delay_s)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
