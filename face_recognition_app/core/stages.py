"""Times of the stages of one frame. They cost nothing unless somebody asks for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum


class Stage(StrEnum):
    WAIT = "wait"
    """From a frame's arrival until a thread takes it."""
    DECODE = "decode"
    MESH = "mesh"
    """Finding the faces, with the wait for an instance."""
    QUALITY = "quality"
    SPOOF = "spoof"
    MOIRE = "moire"
    SAMPLES = "samples"
    """Of skin and body, and the appearance."""
    EMBEDDING = "embedding"
    SEARCH = "search"
    """Whether the frame may count, and the best candidate in the gallery, with the wait for the database."""
    STORE = "store"
    """What is kept of the session, or its decision."""


@dataclass(slots=True)
class StageTimes:
    seconds: dict[Stage, float] = field(default_factory=dict)

    def add(self, stage: Stage, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def in_ms(self) -> dict[str, int]:
        return {stage.value: round(1000 * seconds) for stage, seconds in self.seconds.items()}


current: ContextVar[StageTimes | None] = ContextVar("stages", default=None)
"""The times of the current frame, if they are wanted. Its compute threads share them by a copied context."""


@contextmanager
def timed(stage: Stage) -> Iterator[None]:
    """Add the time of the block, or of the decorated function, to the frame's stage."""
    times = current.get()
    if times is None:
        yield
        return
    began = time.perf_counter()
    try:
        yield
    finally:
        times.add(stage, time.perf_counter() - began)
