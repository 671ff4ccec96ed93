"""Rigid geometry of points and heads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.types import Points, Pose

Matrix = npt.NDArray[np.float64]


def similarity_transform(source: Points, target: Points) -> Matrix:
    """The (2, 3) rotation, scale and shift that takes `source` to `target`, both (n, 2).

    Least squares over all points: S. Umeyama, "Least-squares estimation of transformation
    parameters between two point patterns", IEEE PAMI 13(4), 1991, equations 40 to 42.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    source_centred, target_centred = source - source_mean, target - target_mean
    covariance = target_centred.T.astype(np.float64) @ source_centred / len(source)
    u, singular, vt = np.linalg.svd(covariance)
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1.0])
    rotation = (u * sign) @ vt
    scale = float(singular @ sign) / max(float((source_centred**2).sum()) / len(source), 1e-12)
    shift = target_mean - scale * rotation @ source_mean
    return np.column_stack([scale * rotation, shift])


def pose_from_rotation(rotation: npt.NDArray[np.floating]) -> Pose:
    """Angles of a head whose (3, 3) rotation takes face axes to camera axes (x right, y up, z to the camera)."""
    forward = rotation[:, 2]
    yaw = np.degrees(np.arctan2(forward[0], forward[2]))
    pitch = np.degrees(np.arcsin(np.clip(forward[1], -1.0, 1.0)))
    roll = np.degrees(np.arctan2(-rotation[1, 0], rotation[0, 0]))
    return Pose(float(yaw), float(pitch), float(roll))
