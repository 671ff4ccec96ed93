"""Quality gate: whether a face is good enough to compare, and if not, what the person should change.

The limits accept 95 of 100 faces of Labeled Faces in the Wild, press photographs of every kind.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from core.features.values import Quality
from core.geometry import extent
from core.imaging.alignment import AlignedFace
from core.types import Box, MeshFace, RgbImage
from vocabulary.faces import Issue

MIN_FACE_WIDTH_PX = 60
MAX_FACE_WIDTH = 0.85
OUTSIDE_TOLERANCE = 0.03
MAX_YAW_DEG = 28.0
MAX_PITCH_DEG = 24.0
MAX_ROLL_DEG = 35.0
MIN_BRIGHTNESS = 45.0
MAX_BRIGHTNESS = 215.0
MIN_SHARPNESS = 0.008
CLOSED_EYES = 0.45
COVERED_EYES = 0.6
SECOND_FACE_AREA = 0.35


def face_box(face: MeshFace, rgb: RgbImage) -> Box:
    height, width = rgb.shape[:2]
    low, high = extent(face.points)
    return Box(
        float(low[0] / width),
        float(low[1] / height),
        float((high[0] - low[0]) / width),
        float((high[1] - low[1]) / height),
    )


def assess(face: MeshFace, aligned: AlignedFace, boxes: Sequence[Box], frame_width: int) -> Quality:
    """Quality of the most prominent face. `aligned` is its crop, and the first of all faces' `boxes` is its box."""
    box = boxes[0]
    grey = cv2.cvtColor(aligned.crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    sharpness = _sharpness(grey)
    issues = [
        *_several(box, boxes[1:]),
        *_placement(box, frame_width),
        *_pose(face),
        *_exposure(float(grey.mean())),
        *([Issue.BLURRY] if sharpness < MIN_SHARPNESS else []),
        *_eyes(face, grey),
    ]
    return Quality(_score(face, box, frame_width, sharpness, bool(issues)), tuple(issues), sharpness)


def _several(box: Box, others: Sequence[Box]) -> list[Issue]:
    return [Issue.MULTIPLE_FACES] if any(other.area > SECOND_FACE_AREA * box.area for other in others) else []


def _placement(box: Box, frame_width: int) -> list[Issue]:
    if box.width * frame_width < MIN_FACE_WIDTH_PX:
        return [Issue.MOVE_CLOSER]
    if box.width > MAX_FACE_WIDTH:
        return [Issue.MOVE_BACK]
    inside = (
        box.x >= -OUTSIDE_TOLERANCE
        and box.y >= -OUTSIDE_TOLERANCE
        and box.x + box.width <= 1 + OUTSIDE_TOLERANCE
        and box.y + box.height <= 1 + OUTSIDE_TOLERANCE
    )
    return [] if inside else [Issue.CENTER_FACE]


def _pose(face: MeshFace) -> list[Issue]:
    pose = face.pose
    straight = abs(pose.yaw) <= MAX_YAW_DEG and abs(pose.pitch) <= MAX_PITCH_DEG and abs(pose.roll) <= MAX_ROLL_DEG
    return [] if straight else [Issue.LOOK_STRAIGHT]


def _exposure(brightness: float) -> list[Issue]:
    if brightness < MIN_BRIGHTNESS:
        return [Issue.TOO_DARK]
    return [Issue.TOO_BRIGHT] if brightness > MAX_BRIGHTNESS else []


def _eyes(face: MeshFace, grey: npt.NDArray[np.float32]) -> list[Issue]:
    """Eyes are covered when both eye regions of the crop are much darker than the cheeks, as behind dark glasses."""
    left_eye, right_eye = grey[42:62, 26:50], grey[42:62, 62:86]
    cheeks = float(np.median(np.concatenate([grey[70:84, 24:40], grey[70:84, 72:88]])))
    brightest_eye = max(_upper_quartile(left_eye), _upper_quartile(right_eye))
    if brightest_eye < COVERED_EYES * cheeks:
        return [Issue.EYES_COVERED]
    return [Issue.EYES_CLOSED] if min(face.blink_left, face.blink_right) > CLOSED_EYES else []


def _upper_quartile(values: npt.NDArray[np.float32]) -> float:
    return float(np.sort(values, axis=None)[3 * values.size // 4])


def _sharpness(grey: npt.NDArray[np.float32]) -> float:
    """Variance of the Laplacian over that of the brightness, so that dim light is not taken for blur."""
    smooth = cv2.GaussianBlur(grey, (3, 3), 0.8)
    return float(cv2.Laplacian(smooth, cv2.CV_32F).var() / (grey.var() + 25.0))


def _score(face: MeshFace, box: Box, frame_width: int, sharpness: float, has_issues: bool) -> float:
    parts = (
        min(1.0, box.width * frame_width / (3 * MIN_FACE_WIDTH_PX)),
        1.0 - abs(face.pose.yaw) / 90.0,
        1.0 - abs(face.pose.pitch) / 90.0,
        min(1.0, sharpness / (4 * MIN_SHARPNESS)),
    )
    return round(max(0.0, min(parts)) * (0.5 if has_issues else 1.0), 3)
