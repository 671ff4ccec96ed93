"""Poses that are alike enough for lids, lips and skin to be compared between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from core.liveness.limits import STEADY_DEG

Pose = tuple[float, float]
"""Yaw and pitch, degrees."""


def is_near(pose: Pose, other: Pose) -> bool:
    return abs(pose[0] - other[0]) <= STEADY_DEG and abs(pose[1] - other[1]) <= STEADY_DEG


def in_commonest_pose(poses: Sequence[Pose]) -> npt.NDArray[np.bool_]:
    """Which of the poses are near the one that has the most others near it.

    Who nods or turns all the time comes back to some pose again and again, but seldom to the median of all.
    """
    angles = np.array(poses)
    near = (np.abs(angles[:, None] - angles) <= STEADY_DEG).all(axis=2)
    return np.asarray(near[near.sum(axis=1).argmax()], np.bool_)
