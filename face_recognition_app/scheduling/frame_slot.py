"""The frames of one session that are not computed yet."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from wire.inbound import BadFrame, Frame


@dataclass(frozen=True, slots=True)
class TakenFrame:
    """`dropped`: number of the session's frames that had been replaced when this one was taken."""

    frame: Frame | BadFrame
    dropped: int


class FrameSlot:
    """Room for one waiting frame, beside the one in work; a newer frame replaces the waiting one.

    Frames are offered on the event loop and taken on a compute thread.
    """

    def __init__(self) -> None:
        self.dropped = 0
        """Number of frames replaced so far."""
        self._waiting: Frame | BadFrame | None = None
        self._working = False
        self._lock = threading.Lock()

    def offer(self, frame: Frame | BadFrame) -> bool:
        """Let a frame wait. Returns True when none is in work: then the caller must begin to serve the slot."""
        with self._lock:
            self.dropped += self._waiting is not None
            self._waiting = frame
            idle, self._working = not self._working, True
            return idle

    def newest_at(self) -> float:
        """Arrival time of the waiting frame in seconds of the monotonic clock; infinite without one that can age."""
        waiting = self._waiting
        return waiting.received_at if isinstance(waiting, Frame) else math.inf

    def take(self) -> TakenFrame:
        """Remove and return the waiting frame; there must be one. Call it late, so that the frame is the newest."""
        with self._lock:
            assert self._waiting is not None
            frame, self._waiting = self._waiting, None
            return TakenFrame(frame, self.dropped)

    def goes_on(self) -> bool:
        """Whether another frame waits, after one was served. If not, none is in work any more."""
        with self._lock:
            self._working = self._waiting is not None
            return self._working
