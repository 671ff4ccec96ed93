"""/metrics and /health of a job worker, at JOB_METRICS_BIND."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from config.job_settings import JobSettings

logger = logging.getLogger(__name__)

READ_TIMEOUT_S = 5.0


class BadAddress(Exception):
    """JOB_METRICS_BIND cannot be used."""


class Endpoint:
    """Serves on threads of this process until it is closed. `problem`: what is wrong with the worker, "" for nothing.

    Raises BadAddress.
    """

    def __init__(self, address: tuple[str, int], problem: Callable[[], str]) -> None:
        try:
            self._server = _Server(address, problem)
        except OSError as error:
            raise BadAddress(f"JOB_METRICS_BIND={address[0]}:{address[1]}: {error.strerror or error}") from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="job metrics", daemon=True)
        self._thread.start()
        self.address = self._server.server_address[:2]
        logger.info("metrics and health of this worker are at http://%s:%d", *self.address)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def forget(self) -> None:
        """Close this process's copy of the listener: a forked process must not keep the address."""
        self._server.socket.close()


@contextmanager
def endpoint_of(settings: JobSettings | None, problem: Callable[[], str]) -> Iterator[None]:
    """Serve metrics and health during the block, if JOB_METRICS_BIND says where. Raises BadAddress."""
    address = None if settings is None else settings.metrics_address
    if address is None:
        yield
        return
    endpoint = Endpoint(address, problem)
    try:
        yield
    finally:
        endpoint.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], problem: Callable[[], str]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.problem = problem
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = READ_TIMEOUT_S

    def do_GET(self) -> None:
        match self.path:
            case "/metrics":
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest(REGISTRY))
            case "/health":
                problem = self.server.problem()
                found = {"status": problem or "ok", "pid": os.getpid()}
                self._answer(503 if problem else 200, "application/json", json.dumps(found).encode())
            case _:
                self._answer(404, "text/plain", b"/metrics and /health are here\n")

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def log_message(self, format: str, *args: object) -> None:
        logger.debug(format, *args)

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
