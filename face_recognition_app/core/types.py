"""Types of the engine, with shapes and units."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

RgbImage: TypeAlias = npt.NDArray[np.uint8]
"""(height, width, 3), RGB, 0..255."""

Points: TypeAlias = npt.NDArray[np.float32]
"""(n, 2) or (n, 3), pixels of the frame; z in the same scale, smaller is nearer to the camera."""

EMBEDDING_LENGTH = 512
Embedding: TypeAlias = npt.NDArray[np.float32]
"""(512,), L2-normalised; the similarity of two is their dot product, the raw cosine -1..1."""

Embeddings: TypeAlias = npt.NDArray[np.float32]
"""(n, 512), an embedding in each row."""


@dataclass(frozen=True, slots=True)
class Box:
    """Bounding box of a face, as fractions (0..1) of the frame's width and height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        return self.width * self.height


@dataclass(frozen=True, slots=True)
class Pose:
    """Head pose in degrees against the camera's axis.

    yaw > 0: turned to the person's own left; pitch > 0: looking up; roll > 0: the head leans
    to the person's own left.
    """

    yaw: float
    pitch: float
    roll: float


@dataclass(frozen=True, slots=True)
class Region:
    """A square around a face, turned by `angle` (radians, clockwise) to make it upright; pixels of the frame."""

    x: float
    y: float
    side: float
    angle: float

    def scaled(self, times: float) -> Region:
        return Region(self.x * times, self.y * times, self.side * times, self.angle)


@dataclass(frozen=True, slots=True)
class Framing:
    """Pose of the mesh network's input square relative to the landmarks found in it: `scale` of its side against the
    larger extent of the landmarks, `right` and `down` of its middle in such extents, and `turn` in radians."""

    scale: float
    right: float
    down: float
    turn: float


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """Region in which to look for a face in the next frame, and its framing."""

    region: Region
    framing: Framing


class Detail(StrEnum):
    """Detail of a mesh's analysis. LIGHT gives landmarks and pose only, in a third of the time."""

    FULL = "full"
    LIGHT = "light"


@dataclass(frozen=True, slots=True)
class MeshFace:
    """One face, as a FaceMesh finds it.

    `points`: (478, 3). `blink_left` and `blink_right` (the person's own sides), `smile` and `jaw_open`: blendshape
    coefficients, 0..1. `tracked`: for tracking; None from a mesh that does not track. In a LIGHT face the irises are
    the centres of the eyes, and all coefficients are 0.
    """

    points: Points
    pose: Pose
    blink_left: float
    blink_right: float
    smile: float
    jaw_open: float
    tracked: TrackedFace | None = None
    detail: Detail = Detail.FULL
