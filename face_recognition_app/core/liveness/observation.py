"""Reading of a face: the input of the liveness machines for one frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.types import Box, MeshFace

_IRISES = (468, 473)
_LIDS = ((159, 145, 33, 133), (386, 374, 362, 263))
_LIPS = (13, 14)
_MOUTH_CORNERS = (61, 291)


@dataclass(frozen=True, slots=True)
class FaceReading:
    """Measures of one face in one frame.

    `at_ms`: milliseconds since the session began, by the server's clock. `blink`: coefficient of the less closed eye,
    0 open .. 1 closed. `smile`: coefficient, 0..1. `eye_opening`: lid distance over eye width. `mouth_opening` and
    `mouth_width`: distance of the lips and of the corners, over that of the irises. Angles in degrees. `box`: around
    the landmarks. `x`, `y`: centre of the landmarks, and `size`: their root mean square distance from it, in widths of
    the frame. `sharpness`: see features.quality. `live_score`: the anti-spoof network's, 0..1; `moire`: see
    features.moire; `tint`: see features.face_tint; each None when it was not computed. `spoof_networks`: number
    of those that gave the live score.
    """

    at_ms: int
    blink: float
    eye_opening: float
    mouth_opening: float
    yaw: float
    pitch: float
    sharpness: float
    live_score: float | None
    mouth_width: float
    smile: float
    box: Box
    x: float
    y: float
    size: float
    moire: float | None
    tint: tuple[float, float] | None = None
    spoof_networks: int = 1

    @property
    def facing(self) -> tuple[float, float]:
        """Yaw and pitch."""
        return self.yaw, self.pitch


def read_face(
    face: MeshFace,
    sharpness: float,
    live_score: float | None,
    at_ms: int,
    box: Box,
    moire: float | None = None,
    tint: tuple[float, float] | None = None,
    spoof_networks: int = 1,
) -> FaceReading:
    eye_distance = _distance(face, *_IRISES)
    places = face.points[:468, :2]
    middle = places.mean(axis=0)
    frame_width = max(1e-6, float(np.ptp(places[:, 0]))) / max(box.width, 1e-6)
    return FaceReading(
        at_ms=at_ms,
        blink=round(min(face.blink_left, face.blink_right), 4),
        eye_opening=round(sum(_distance(face, a, b) / _distance(face, c, d) for a, b, c, d in _LIDS) / 2, 4),
        mouth_opening=round(_distance(face, *_LIPS) / eye_distance, 4),
        mouth_width=round(_distance(face, *_MOUTH_CORNERS) / eye_distance, 4),
        smile=round(face.smile, 4),
        yaw=round(face.pose.yaw, 2),
        pitch=round(face.pose.pitch, 2),
        box=Box(*(round(share, 5) for share in (box.x, box.y, box.width, box.height))),
        x=round(float(middle[0]) / frame_width, 5),
        y=round(float(middle[1]) / frame_width, 5),
        size=max(1e-5, round(float(np.sqrt(places.var(axis=0).sum())) / frame_width, 5)),
        sharpness=round(sharpness, 5),
        live_score=None if live_score is None else round(live_score, 4),
        moire=None if moire is None else round(moire, 4),
        tint=tint,
        spoof_networks=spoof_networks,
    )


def _distance(face: MeshFace, a: int, b: int) -> float:
    return max(float(np.linalg.norm(face.points[a] - face.points[b])), 1e-6)
