"""Tracking: regions of a session's faces in its last frame.

It belongs to the session and is passed with each frame, so that any pooled instance serves any session.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from core.types import MeshFace, TrackedFace

DETECTION_INTERVAL_FRAMES = 10
"""Frames between runs of the detector while a face is tracked, to find a second one."""


@dataclass(frozen=True, slots=True)
class Tracking:
    """`frames`: number of frames since the detector was due. `size`: width and height of the last frame."""

    faces: tuple[TrackedFace, ...] = ()
    frames: int = 0
    size: tuple[int, int] | None = None

    @property
    def detection_is_due(self) -> bool:
        return not self.faces or self.frames >= DETECTION_INTERVAL_FRAMES

    def after(self, faces: Sequence[MeshFace], size: tuple[int, int] | None = None) -> Self:
        """Tracking for the next frame, after one of this `size` with these `faces`."""
        frames = 1 if self.detection_is_due else self.frames + 1
        return type(self)(tuple(face.tracked for face in faces if face.tracked is not None), frames, size)

    def for_frame(self, size: tuple[int, int]) -> Tracking:
        """The tracking, or none for a frame of another size than the last: its faces are at other places."""
        return self if self.size in (None, size) else UNTRACKED

    def scaled(self, times: float) -> Self:
        """The same tracking in a frame that is `times` as large."""
        if times == 1:
            return self
        return replace(self, faces=tuple(replace(face, region=face.region.scaled(times)) for face in self.faces))


UNTRACKED = Tracking()
