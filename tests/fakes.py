"""Stand-ins for a FaceMesh: they find nobody, are counted, and fail when told to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.face_mesh import IN_SESSION, UNTRACKED, Search, Tracking
from core.types import Detail, MeshFace, RgbImage


@dataclass(eq=False)
class CountingMesh:
    """Tells its maker when it is closed; being closed twice, or used afterwards, is an error."""

    maker: MeshFactory
    closed: bool = False

    def process(
        self,
        rgb: RgbImage,
        tracking: Tracking = UNTRACKED,
        detail: Detail = Detail.FULL,
        search: Search = IN_SESSION,
    ) -> list[MeshFace]:
        assert not self.closed, "used after it was closed"
        return []

    def close(self) -> None:
        assert not self.closed, "closed twice"
        self.closed = True
        self.maker.count_closed()


@dataclass(eq=False)
class FailingMesh(CountingMesh):
    """Works `after` times, then raises."""

    after: int = 0

    def process(
        self,
        rgb: RgbImage,
        tracking: Tracking = UNTRACKED,
        detail: Detail = Detail.FULL,
        search: Search = IN_SESSION,
    ) -> list[MeshFace]:
        if self.after == 0:
            raise RuntimeError("the graph broke")
        self.after -= 1
        return super().process(rgb, tracking, detail)


@dataclass
class MeshFactory:
    """Makes meshes of one kind and counts them; `before` runs before each one is made and may raise or wait."""

    kind: type[CountingMesh] = CountingMesh
    options: dict[str, Any] = field(default_factory=dict)
    before: Callable[[], object] | None = None
    made: int = 0
    closed: int = 0
    most_alive: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> CountingMesh:
        if self.before is not None:
            self.before()
        with self._lock:
            self.made += 1
            self.most_alive = max(self.most_alive, self.alive)
        return self.kind(self, **self.options)

    @property
    def alive(self) -> int:
        return self.made - self.closed

    def count_closed(self) -> None:
        with self._lock:
            self.closed += 1
