"""Rigid geometry of points and heads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.types import Points, Pose

Matrix = npt.NDArray[np.float64]


def extent(points: Points) -> tuple[Points, Points]:
    """The lowest and the highest x and y of points (n, 2 or 3), each (2,)."""
    across = points[:, :2].T.copy()  # Contiguous rows: numpy reduces columns seven times as slowly.
    return across.min(axis=1), across.max(axis=1)


def similarity_transform(source: Points, target: Points) -> Matrix:
    """(2, 3) rotation, scale and shift that map `source` to `target`, both (n, 2).

    Least squares over all points, without reflection: S. Umeyama, "Least-squares estimation of transformation
    parameters between two point patterns", IEEE PAMI 13(4), 1991; in two dimensions a product of complex numbers.
    """
    source_mean, target_mean = source.mean(axis=0, dtype=np.float64), target.mean(axis=0, dtype=np.float64)
    x, y = (source - source_mean).T
    u, v = (target - target_mean).T
    spread = max(float(x @ x + y @ y), 1e-12)
    along, across = float(x @ u + y @ v) / spread, float(x @ v - y @ u) / spread
    turn = np.array([[along, -across], [across, along]])
    return np.column_stack([turn, target_mean - turn @ source_mean])


def pose_from_rotation(rotation: npt.NDArray[np.floating]) -> Pose:
    """Angles of a head whose (3, 3) rotation takes face axes to camera axes (x right, y up, z to the camera)."""
    forward = rotation[:, 2]
    yaw = np.degrees(np.arctan2(forward[0], forward[2]))
    pitch = np.degrees(np.arcsin(np.clip(forward[1], -1.0, 1.0)))
    roll = np.degrees(np.arctan2(-rotation[1, 0], rotation[0, 0]))
    return Pose(float(yaw), float(pitch), float(roll))
