"""Head pose: a rigid fit of a model face to the landmarks, in perspective.

The model face and the weights of the landmarks are MediaPipe's (geometry_pipeline_metadata), and so is the camera: a
vertical field of view of 63 degrees.
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
"""x, y, z, and two texture coordinates."""


@dataclass(frozen=True, slots=True)
class ModelFace:
    """Model face, prepared for the fit. `landmarks`: (n,), indices of those with a weight. `pulls`: (n, 3), the model's
    points about their weighted mean, times their share of the weight. `variance`: weighted, of the points. Centimetres,
    x right, y up, z to the camera."""

    landmarks: npt.NDArray[np.int64]
    pulls: Matrix
    variance: float

    @classmethod
    def read(cls, metadata: bytes) -> Self:
        """Parse a geometry_pipeline_metadata message: field 1 is the mesh, each field 2 the weight of a landmark."""
        message = protobuf.read(metadata)
        vertices = np.array(protobuf.read(message.parts(1)[0]).floats(3)).reshape(-1, _VERTEX_FIELDS)[:, :3]
        entries = [protobuf.read(part) for part in message.parts(2)]
        landmarks = np.array([entry.number(1) for entry in entries])
        weights = np.array([entry.floats(2)[0] for entry in entries])
        shares = weights / weights.sum()
        centred = vertices[landmarks] - shares @ vertices[landmarks]
        return cls(landmarks, shares[:, np.newaxis] * centred, float(shares @ (centred**2).sum(axis=1)))


def head_pose(face: ModelFace, points: Points, width: int, height: int) -> Pose:
    """Pose of a head with the landmarks `points` (n, 3), in pixels of a frame of `width` x `height`.

    The landmarks are in weak perspective: their depth has an unknown scale. A first fit estimates it; then the points
    are unprojected to the camera's space and fitted again.
    """
    # Size of a pixel at a distance of 1 from the camera.
    unit = 2 * np.tan(np.radians(_FIELD_OF_VIEW_DEG) / 2) / height
    seen = points[face.landmarks].astype(np.float64)
    seen = (seen - (width / 2, height / 2, 0.0)) * (unit, -unit, -unit)
    depth = seen[:, 2] + float(points[:468, 2].mean()) * unit
    scale = _fit(face, seen)[1]
    for _ in range(2):
        # Distance, centimetres, at which the model face has the size of the face in the frame.
        away = (1.0 - depth) / scale
        seen[:, 2] = -1.0
        rotation, correction = _fit(face, seen * away[:, np.newaxis])
        scale *= correction
    return pose_from_rotation(rotation)


def _fit(face: ModelFace, points: Matrix) -> tuple[Matrix, float]:
    """(3, 3) rotation and scale that map the model face to `points`, by weighted least squares.

    S. Umeyama, IEEE PAMI 13(4), 1991. The model is centred, so the points need not be.
    """
    covariance = points.T @ face.pulls
    # OpenCV, because numpy takes several times as long for nine numbers.
    singular, u, vt = cv2.SVDecomp(covariance)
    if cv2.determinant(covariance) < 0:
        u[:, 2], singular[2] = -u[:, 2], -singular[2]
    return np.asarray(u @ vt, np.float64), float(singular.sum()) / face.variance
