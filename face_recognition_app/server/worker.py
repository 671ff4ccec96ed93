"""The Gunicorn worker."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import resource
import signal
import socket
import sys
import time
from functools import partial
from types import FrameType
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn.config import Config
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from config.settings import Settings, load
from logs.destinations import WEB, log_file, set_up_logs
from server.connections.acceptor import Acceptor, ConnectionCount
from server.connections.bounded_http import HttpLimits
from server.connections.connection_limit import ConnectionLimit
from server.connections.open_sockets import STATE_KEY, OpenSockets
from server.connections.protocols import BoundedWebSockets, CountedHttp
from server.graceful_exit import SHUTDOWN_S, GracefulExit
from server.gunicorn_log import web_process
from server.memory_recycler import MemoryRecycler
from server.request_limit import RequestLimit
from server.roster import EndReason, Slot, Stage
from web import served as served_requests
from web.served import ServedRequests

logger = logging.getLogger(__name__)

BASE64_OVERHEAD = 4 / 3
JSON_OVERHEAD_BYTES = 64 * 1024
UNREAD_TIMEOUT_MS = 60_000
IDLE_CLOSE_AFTER_S = 2.0
"""Age of the drain from which idle connections are closed: before, a request may be on its way."""
TICKS_PER_MEMORY_CHECK = 50
"""Ticks between two checks of the worker's memory. Uvicorn ticks ten times a second."""
MAX_BACKOFF_S = 30.0


class FaceServer(Server):
    """Uvicorn's server with an Acceptor for each shared listener, and a GracefulExit instead of an immediate end."""

    def __init__(
        self,
        config: Config,
        count: ConnectionCount,
        new_http: partial[CountedHttp],
        graceful_exit: GracefulExit,
        recycler: MemoryRecycler,
        request_limit: RequestLimit,
    ) -> None:
        super().__init__(config)
        self._count = count
        self._new_http = new_http
        self._exit = graceful_exit
        self._recycler = recycler
        self._request_limit = request_limit
        self._acceptors: list[Acceptor] = []
        self._notices: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Warm up, and only then accept connections."""
        await super().startup(sockets=[])
        if self.started:
            new = partial(
                self._new_http,
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
            )
            self._acceptors = [Acceptor(one, self._count, new, self.config.ssl) for one in sockets or ()]
            self._exit.started()

    @property
    def _served(self) -> ServedRequests:
        served: ServedRequests = self.lifespan.state[served_requests.STATE_KEY]
        return served

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGTERM:
            self._exit.request()
        else:
            if sig == signal.SIGINT:  # The watchdog's. One from a terminal ends the master, too, which counts nothing.
                self._exit.note(EndReason.STUCK)
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if counter and counter % TICKS_PER_MEMORY_CHECK == 0:
            self._recycler.check()
        self._request_limit.check(self._served.total)
        self._exit.advance()
        if self._exit.stage is Stage.DRAINING and self._notices is None:
            self._begin_drain()
        return await super().on_tick(counter) or self._has_drained()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stop_accepting()
        # Sent to open sockets once more: their time to reconnect counts from the close, which comes now.
        await self._send_notices()
        await super().shutdown(sockets=[])

    def _begin_drain(self) -> None:
        self._stop_accepting()
        for connection in list(self.server_state.connections):
            if isinstance(connection, CountedHttp):
                connection.close_after_answer()
        self._notices = asyncio.create_task(self._send_notices())

    async def _send_notices(self) -> None:
        open_sockets: OpenSockets = self.lifespan.state[STATE_KEY]
        await open_sockets.send_notices()

    def _stop_accepting(self) -> None:
        for acceptor in self._acceptors:
            acceptor.close()

    def _has_drained(self) -> bool:
        if self._exit.stage is not Stage.DRAINING:
            return False
        if self._exit.is_overdue:
            return True
        if self._exit.draining_s > IDLE_CLOSE_AFTER_S:
            self._close_idle_connections()
        return not self.server_state.connections and not any(one.is_connecting for one in self._acceptors)

    def _close_idle_connections(self) -> None:
        for connection in list(self.server_state.connections):
            if isinstance(connection, CountedHttp):
                connection.shutdown()


class FaceWorker(UvicornWorker):  # type: ignore[misc]  # the package is not typed
    """Gunicorn's worker with Uvicorn. A message may hold a base64 frame. None is compressed: JPEG does not shrink."""

    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "uvloop",
        "lifespan": "on",
        "ws_per_message_deflate": False,
        "timeout_graceful_shutdown": SHUTDOWN_S,
        "ws_max_size": int(load().max_image_bytes * BASE64_OVERHEAD) + JSON_OVERHEAD_BYTES,
    }

    slot: Slot
    """Set by gunicorn_config before the fork."""

    def init_process(self) -> None:
        """Serve until the end. A worker that cannot start ends the master, unless another worker has served before."""
        roster = self.slot.roster
        if roster.has_served and roster.failed_starts:
            time.sleep(min(2.0 ** (roster.failed_starts - 1), MAX_BACKOFF_S))
        try:
            super().init_process()
        except BaseException as error:
            if self.slot.stage is not Stage.STARTING or not roster.has_served:
                raise
            logger.error("this worker could not start; the others go on", exc_info=error)
            sys.exit(1)

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        settings = load()
        set_up_logs(settings, web_process(), log_file(settings, settings.data_dir, WEB))
        self._install_sigquit_handler()
        # Gunicorn ends a worker without heartbeats with SIGABRT: its log shows where each thread was.
        faulthandler.enable()
        raise_fd_limit()
        for listener in self.sockets:
            set_unread_timeout(listener)
        server = self._server(settings)
        heartbeats = asyncio.create_task(self._send_heartbeats())
        try:
            await server.serve(sockets=self.sockets)
        finally:
            heartbeats.cancel()
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    def _server(self, settings: Settings) -> FaceServer:
        count = ConnectionCount(self.slot)
        self.config.ws = partial(BoundedWebSockets, count, settings.max_messages_per_s)
        self.config.callback_notify = None
        self.config.limit_max_requests = None
        graceful_exit = GracefulExit(self.slot, self.ppid, settings.drain_s)
        recycler = MemoryRecycler(self.slot, settings.worker_max_memory_bytes, graceful_exit)
        new_http = partial(CountedHttp, count, ConnectionLimit(settings.max_http_connections), HttpLimits.of(settings))
        request_limit = RequestLimit(self.slot, self.max_requests, graceful_exit)
        return FaceServer(self.config, count, new_http, graceful_exit, recycler, request_limit)

    async def _send_heartbeats(self) -> None:
        """Tell the master that the event loop runs, also during the warm-up and the shutdown."""
        while True:
            self.notify()
            await asyncio.sleep(min(1.0, self.timeout / 2))


def set_unread_timeout(listener: socket.socket) -> None:
    """Have the kernel abort connections whose client reads nothing for UNREAD_TIMEOUT_MS; accepted ones inherit it."""
    if listener.family in (socket.AF_INET, socket.AF_INET6):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_TIMEOUT_MS)


def raise_fd_limit() -> None:
    """Raise the limit of open files, usually 1,024, to the hard one: each connection needs a descriptor."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
