"""Quality gate: whether a face is good enough to compare, and if not, what the person should change.

The limits accept 95 of 100 faces of Labeled Faces in the Wild, press photographs of every kind.
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from core.features.cover.measures import is_covered
from core.features.values import Quality
from core.geometry import extent
from core.imaging.alignment import AlignedFace
from core.types import Box, MeshFace, RgbImage
from vocabulary.faces import Issue

Grey: TypeAlias = npt.NDArray[np.float32]
"""(height, width), 0..255."""

_FACE = slice(16, 104), slice(20, 92)
"""Rows and columns of the aligned crop that hardly ever show what is beside a face."""
_UPPER = slice(16, 62), slice(20, 92)
_CLIPPED = 250

MIN_FACE_WIDTH_PX = 60
MAX_FACE_WIDTH = 0.85
OUTSIDE_TOLERANCE = 0.03
MAX_YAW_DEG = 28.0
MAX_PITCH_DEG = 24.0
MAX_ROLL_DEG = 35.0
MAX_ROLL_RECOGNISED_DEG = 45.0
"""Roll from which nobody is recognised at all: people do not hold their heads like this, pictures lie on their side."""
MIN_FEATURES = 1.2
"""Least contrast of a face's features over its noise. 117 faces of Labeled Faces in the Wild, in ever less light before
a camera of 2,000 electrons: of those below, 88 of 100 have lost their match. Less light without noise loses none."""
MAX_CLIPPED = 0.95
"""Largest share of the face that is overexposed. Of faces above, none matches any more; of those with half of it, 93 of
100 do. Where fewer were allowed, light skin would be refused more often than dark skin in the same light."""
MUCH_CLIPPED = 0.3
"""Overexposed share of the upper face from which light may hide mouth and nose, and only a plain cover counts."""
MIN_SHARPNESS = 0.008
CLOSED_EYES = 0.45
COVERED_EYES = 0.6


def face_box(face: MeshFace, rgb: RgbImage) -> Box:
    height, width = rgb.shape[:2]
    low, high = extent(face.points)
    return Box(
        float(low[0] / width),
        float(low[1] / height),
        float((high[0] - low[0]) / width),
        float((high[1] - low[1]) / height),
    )


def assess(face: MeshFace, aligned: AlignedFace, box: Box, frame_width: int, *, is_ambiguous: bool = False) -> Quality:
    """Quality of a face with its crop and its box. `is_ambiguous`: another face may be meant as well."""
    grey = cv2.cvtColor(aligned.crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(grey, (3, 3), 0.8), np.float32)
    sharpness = _sharpness(grey, smooth)
    issues = [
        *([Issue.MULTIPLE_FACES] if is_ambiguous else []),
        *_placement(box, frame_width),
        *_pose(face),
        *_exposure(grey, smooth),
        *([Issue.BLURRY] if sharpness < MIN_SHARPNESS else []),
        *_eyes(face, grey),
    ]
    if not issues and is_covered(aligned.crop, plainly=_clipped(grey[_UPPER]) > MUCH_CLIPPED):
        issues = [Issue.FACE_COVERED]
    return Quality(_score(face, box, frame_width, sharpness, bool(issues)), tuple(issues), sharpness)


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


def _exposure(grey: Grey, smooth: Grey) -> list[Issue]:
    """What light does to the features of the face. Its brightness tells nothing: skin is dark or light itself."""
    if features_over_noise(grey, smooth) < MIN_FEATURES:
        return [Issue.TOO_DARK]
    return [Issue.TOO_BRIGHT] if _clipped(grey[_FACE]) > MAX_CLIPPED else []


def _clipped(grey: Grey) -> float:
    """Share that is overexposed."""
    return float((grey >= _CLIPPED).mean())


def features_over_noise(grey: Grey, smooth: Grey) -> float:
    """Contrast of eyes, brows, nose and lips in an aligned crop, over that of single pixels."""
    noise = (grey - smooth)[_FACE].std()
    small = cv2.resize(grey, (28, 28), interpolation=cv2.INTER_AREA)
    features = (small - cv2.blur(small, (7, 7)))[4:26, 5:23].std()
    return float(features / (noise + 0.5))


def _eyes(face: MeshFace, grey: Grey) -> list[Issue]:
    """Eyes are covered when both eye regions of the crop are much darker than the cheeks, as behind dark glasses."""
    left_eye, right_eye = grey[42:62, 26:50], grey[42:62, 62:86]
    cheeks = float(np.median(np.concatenate([grey[70:84, 24:40], grey[70:84, 72:88]])))
    brightest_eye = max(_upper_quartile(left_eye), _upper_quartile(right_eye))
    if brightest_eye < COVERED_EYES * cheeks:
        return [Issue.EYES_COVERED]
    return [Issue.EYES_CLOSED] if min(face.blink_left, face.blink_right) > CLOSED_EYES else []


def _upper_quartile(values: Grey) -> float:
    return float(np.sort(values, axis=None)[3 * values.size // 4])


def _sharpness(grey: Grey, smooth: Grey) -> float:
    """Variance of the Laplacian over that of the brightness, so that dim light is not taken for blur."""
    return float(cv2.Laplacian(smooth, cv2.CV_32F).var() / (grey.var() + 25.0))


def _score(face: MeshFace, box: Box, frame_width: int, sharpness: float, has_issues: bool) -> float:
    parts = (
        min(1.0, box.width * frame_width / (3 * MIN_FACE_WIDTH_PX)),
        1.0 - abs(face.pose.yaw) / 90.0,
        1.0 - abs(face.pose.pitch) / 90.0,
        min(1.0, sharpness / (4 * MIN_SHARPNESS)),
    )
    return round(max(0.0, min(parts)) * (0.5 if has_issues else 1.0), 3)
