"""What the liveness machines are told about one frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.types import MeshFace

_IRISES = (468, 473)
_LIDS = ((159, 145, 33, 133), (386, 374, 362, 263))
_LIPS = (13, 14)


@dataclass(frozen=True, slots=True)
class FaceReading:
    """Measures of one face in one frame.

    `at_ms`: milliseconds since the session began, by the server's clock. `blink`: the less closed
    eye's coefficient, 0 open .. 1 closed. `eye_opening`: lid distance over eye width.
    `mouth_opening`: lip distance over the distance of the irises. Angles in degrees. `sharpness`
    as in core.quality. `live_score`: the anti-spoof network's 0..1, None when it was not asked.
    """

    at_ms: int
    blink: float
    eye_opening: float
    mouth_opening: float
    yaw: float
    pitch: float
    sharpness: float
    live_score: float | None


def read_face(face: MeshFace, sharpness: float, live_score: float | None, at_ms: int) -> FaceReading:
    eye_distance = _distance(face, *_IRISES)
    return FaceReading(
        at_ms=at_ms,
        blink=round(min(face.blink_left, face.blink_right), 4),
        eye_opening=round(sum(_distance(face, a, b) / _distance(face, c, d) for a, b, c, d in _LIDS) / 2, 4),
        mouth_opening=round(_distance(face, *_LIPS) / eye_distance, 4),
        yaw=round(face.pose.yaw, 2),
        pitch=round(face.pose.pitch, 2),
        sharpness=round(sharpness, 5),
        live_score=None if live_score is None else round(live_score, 4),
    )


def _distance(face: MeshFace, a: int, b: int) -> float:
    return max(float(np.linalg.norm(face.points[a] - face.points[b])), 1e-6)
