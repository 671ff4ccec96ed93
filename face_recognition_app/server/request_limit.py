"""Replacement of a worker that has served so many requests."""

from __future__ import annotations

import logging

from server.graceful_exit import GracefulExit
from server.roster import EndReason, Slot, Stage

logger = logging.getLogger(__name__)


class RequestLimit:
    """Ends the worker in `slot` after `limit` requests.

    Gunicorn's own counts the probes, and Uvicorn, which obeys it, cuts every open socket off.
    """

    def __init__(self, slot: Slot, limit: int, graceful_exit: GracefulExit) -> None:
        self._slot = slot
        self._limit = limit
        self._exit = graceful_exit

    def check(self, served: int) -> None:
        """Ask this worker to leave if it has served enough, and no other leaves just now."""
        if served < self._limit or self._slot.stage is not Stage.READY or self._slot.roster.count(Stage.LEAVING):
            return
        logger.info("this worker has served %d requests: another one takes its place", served)
        self._exit.request(
            f"it has served {self._limit} requests, the limit of GUNICORN_MAX_REQUESTS", EndReason.REQUESTS
        )
