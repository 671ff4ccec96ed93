"""What has been let in and waits for a thread, and which of it is next."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

FRESH_S = 0.04
"""A frame that came within this time, or since the last one was taken, has just come. With less whose frames come at a
lucky moment are served much more often than others, with more answers come later."""
LAST_S = 0.15
"""A frame that is as old as this and still the newest will not be followed by another soon: its camera is a slow one,
or a client that waits for the answer."""
LENIENCE = 0.25
"""Of the time that work has waited, how much older a frame may be for it: where the cameras of many send at the same
moment, they would be served more seldom than others. With 0 the shares of 50 sessions went from 0.74 to 1.27 of the
mean in seven runs, with this from 0.84 to 1.18 in five, for answers that come 3 ms later."""
PATIENCE = 16
"""Pieces of work that may be taken before one that lies ready longer, because they are about newer frames."""


def does_not_age() -> float:
    return math.inf


@dataclass(slots=True, eq=False)
class Piece:
    """Work that was let in. `newest_at` tells when what it would look at came in, monotonic seconds; `about`, for
    people, what it is and whose."""

    owner: Hashable
    run: Callable[[], object]
    newest_at: Callable[[], float]
    asked_at: float
    about: str = ""
    result: Future[Any] = field(default_factory=Future)
    passed_over: int = 0
    expired: bool = False


@dataclass(slots=True)
class Line:
    """What one owner has waiting, and which turn the first of it has."""

    turn: int
    pieces: list[Piece] = field(default_factory=list)


class ReadyWork:
    """Work that waits for a thread. Owners take turns, and of one's work what waits longest is next; in a crowd, of
    that whose newest frame has just come.

    In a crowd a camera sends a newer frame before its session's turn comes. What is told of an old one is of little
    use, and the session loses nothing by waiting for its next. But the longer it waits, the older a frame may be; and
    who sends no newer one waits for none.

    An owner's next turn is one later than its last, or the turn that is being served, if that is later:
    P. Goyal, H. M. Vin, H. Cheng, "Start-time fair queueing", IEEE/ACM Transactions on Networking 5(5), 1997.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[Hashable, Line] = {}
        self._turn = 0
        self._taken_at = 0.0

    def add(self, piece: Piece) -> None:
        with self._lock:
            self._line(piece.owner).pieces.append(piece)

    def take(self, *, crowded: bool) -> Piece | None:
        """None when all that waited was given up."""
        with self._lock:
            waiting = [line for line in self._lines.values() if line.pieces]
            if not waiting:
                return None
            line = min(waiting, key=lambda line: line.turn)
            piece = self._best(line.pieces) if crowded else line.pieces[0]
            for longer in line.pieces[: line.pieces.index(piece)]:
                longer.passed_over += 1
            line.pieces.remove(piece)
            self._turn, line.turn = line.turn, line.turn + 1
            self._taken_at = time.monotonic()
            self._forget_who_is_owed_nothing()
            return piece

    def give_up(self, piece: Piece) -> bool:
        """Cancel its result, unless it has begun; whether it will not begin."""
        if not piece.result.cancel():
            return False
        with self._lock:
            line = self._lines.get(piece.owner)
            if line is not None and piece in line.pieces:
                line.pieces.remove(piece)
        return True

    def ahead_of_next(self, owner: Hashable) -> int:
        """How many pieces come before one that `owner` brings now."""
        with self._lock:
            line = self._lines.get(owner)
            own = len(line.pieces) if line is not None else 0
            turn = max(self._turn, line.turn if line is not None else 0) + own
            others = (other for who, other in self._lines.items() if who != owner)
            return own + sum(min(len(other.pieces), max(0, turn - other.turn + 1)) for other in others)

    def cancel(self) -> None:
        with self._lock:
            pieces = [piece for line in self._lines.values() for piece in line.pieces]
            self._lines.clear()
        for piece in pieces:
            piece.result.cancel()

    def _line(self, owner: Hashable) -> Line:
        line = self._lines.setdefault(owner, Line(self._turn))
        if not line.pieces:
            line.turn = max(line.turn, self._turn)
        return line

    def _forget_who_is_owed_nothing(self) -> None:
        """Who would not come before others anyway, and everybody where nobody waits."""
        alone = not any(line.pieces for line in self._lines.values())
        for owner, line in list(self._lines.items()):
            if not line.pieces and (alone or line.turn <= self._turn):
                del self._lines[owner]

    def _best(self, pieces: list[Piece]) -> Piece:
        now = time.monotonic()
        fresh_since = min(self._taken_at, now - FRESH_S)

        def lateness(piece: Piece) -> float:
            newest_at = piece.newest_at()
            if newest_at <= now - LAST_S or piece.passed_over >= PATIENCE:
                return -math.inf
            return max(0.0, fresh_since - newest_at) - LENIENCE * (now - piece.asked_at)

        return min(pieces, key=lateness)
