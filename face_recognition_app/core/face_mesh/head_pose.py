"""How a head is turned: a rigid fit of a model face to the landmarks, seen through a camera.

The model face and the landmarks that count are MediaPipe's (geometry_pipeline_metadata). The camera is the one that it
supposes, too: 63 degrees from top to bottom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from core.face_mesh import protobuf
from core.geometry import Matrix, pose_from_rotation
from core.types import Points, Pose

_FIELD_OF_VIEW_DEG = 63.0
_VERTEX_FIELDS = 5
"""x, y, z, and two of a texture."""


@dataclass(frozen=True, slots=True)
class ModelFace:
    """What a fit needs of the model face: which `landmarks` (n,) count, the model's points about their weighted mean
    times their share of the weight, `pulls` (n, 3), and their weighted `variance`. In centimetres, x right, y up, z to
    the camera."""

    landmarks: npt.NDArray[np.int64]
    pulls: Matrix
    variance: float

    @classmethod
    def read(cls, metadata: bytes) -> Self:
        """From a geometry_pipeline_metadata message: the mesh is its field 1, and each field 2 a landmark's weight."""
        message = protobuf.read(metadata)
        vertices = np.array(protobuf.read(message.parts(1)[0]).floats(3)).reshape(-1, _VERTEX_FIELDS)[:, :3]
        entries = [protobuf.read(part) for part in message.parts(2)]
        landmarks = np.array([entry.number(1) for entry in entries])
        weights = np.array([entry.floats(2)[0] for entry in entries])
        shares = weights / weights.sum()
        centred = vertices[landmarks] - shares @ vertices[landmarks]
        return cls(landmarks, shares[:, np.newaxis] * centred, float(shares @ (centred**2).sum(axis=1)))


def head_pose(face: ModelFace, points: Points, width: int, height: int) -> Pose:
    """The pose of a head whose landmarks are `points` (n, 3), pixels of a frame of `width` x `height`.

    The landmarks are weak perspective: their depth has an unknown scale. A first fit gives it, then the points are
    moved to where the camera saw them, and fitted again.
    """
    # One unit before the camera, a frame is this high.
    unit = 2 * np.tan(np.radians(_FIELD_OF_VIEW_DEG) / 2) / height
    seen = points[face.landmarks].astype(np.float64)
    seen = (seen - (width / 2, height / 2, 0.0)) * (unit, -unit, -unit)
    depth = seen[:, 2] + float(points[:468, 2].mean()) * unit
    scale = _fit(face, seen)[1]
    for _ in range(2):
        # In centimetres: as far away as makes the face as large as it is seen.
        away = (1.0 - depth) / scale
        seen[:, 2] = -1.0
        rotation, correction = _fit(face, seen * away[:, np.newaxis])
        scale *= correction
    return pose_from_rotation(rotation)


def _fit(face: ModelFace, points: Matrix) -> tuple[Matrix, float]:
    """The (3, 3) rotation and the scale that take the model face to `points`, by weighted least squares.

    S. Umeyama, IEEE PAMI 13(4), 1991. The model is centred, so the points need not be.
    """
    covariance = points.T @ face.pulls
    # OpenCV's, for numpy takes several times as long to get to work on nine numbers.
    singular, u, vt = cv2.SVDecomp(covariance)
    if cv2.determinant(covariance) < 0:
        u[:, 2], singular[2] = -u[:, 2], -singular[2]
    return np.asarray(u @ vt, np.float64), float(singular.sum()) / face.variance
