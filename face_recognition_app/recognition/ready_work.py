"""What has been let in and waits for a thread, and which of it is next."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

FRESH_S = 0.04
"""A frame that came within this time, or since the last one was taken, has just come. With less whose frames come at a
lucky moment are served much more often than others, with more answers come later."""
LAST_S = 0.15
"""A frame that is as old as this and still the newest will not be followed by another soon: its camera is a slow one,
or a client that waits for the answer."""
PATIENCE = 16
"""Pieces of work that may be taken before one that lies ready longer, because they are about newer frames."""


def does_not_age() -> float:
    return math.inf


@dataclass(slots=True, eq=False)
class Piece:
    """Work that was let in. `newest_at` tells when what it would look at came in, monotonic seconds."""

    run: Callable[[], object]
    newest_at: Callable[[], float]
    result: Future[Any] = field(default_factory=Future)
    passed_over: int = 0


class ReadyWork:
    """Work that waits for a thread. Who waits longest is next; in a crowd, of those whose newest frame has just come.

    In a crowd a camera sends a newer frame before its session's turn comes. What is told of an old one is of little
    use, and the session loses nothing by waiting for its next. Who sends none waits for none.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pieces: list[Piece] = []
        self._taken_at = 0.0

    def add(self, piece: Piece) -> None:
        with self._lock:
            self._pieces.append(piece)

    def take(self, *, crowded: bool) -> Piece:
        """There must be one."""
        with self._lock:
            piece = self._best() if crowded else self._pieces[0]
            for longer in self._pieces[: self._pieces.index(piece)]:
                longer.passed_over += 1
            self._pieces.remove(piece)
            self._taken_at = time.monotonic()
            return piece

    def cancel(self) -> None:
        with self._lock:
            pieces, self._pieces = self._pieces, []
        for piece in pieces:
            piece.result.cancel()

    def _best(self) -> Piece:
        now = time.monotonic()
        since = min(self._taken_at, now - FRESH_S)
        for piece in self._pieces:
            newest_at = piece.newest_at()
            if newest_at >= since or newest_at <= now - LAST_S or piece.passed_over >= PATIENCE:
                return piece
        return max(self._pieces, key=lambda piece: piece.newest_at())
