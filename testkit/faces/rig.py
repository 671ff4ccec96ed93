"""The mesh of one portrait and how its vertices move with an expression.

Vertices: the 468 skin landmarks of the FaceMesh, then rings around the face that carry hair, ears
and neck and blend into the still background, then a copy of the inner lips, which carries the
inside of the mouth.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
from mediapipe.tasks.python.vision import FaceLandmarksConnections

from core.types import Points
from testkit.faces.expressions import Expression

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

SKIN_POINTS = 468
"""Landmarks of the skin; the ten after them are the irises."""

RIGHT_EYE = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133))
LEFT_EYE = ((263, 466, 388, 387, 386, 385, 384, 398, 362), (263, 249, 390, 373, 374, 380, 381, 382, 362))
"""Upper and lower lid of the person's own right and left eye, outer corner first."""

_INNER_LIPS = (
    (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
    (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
)
_MOUTH_CORNERS = ((61, 78), (291, 308))
_CHIN = (17, 148, 152, 176, 377, 400)
_NOSE = (1, 2, 4, 6, 168)
_EYES = tuple(sorted({point for lid in (*RIGHT_EYE, *LEFT_EYE) for point in lid}))

_RING_SCALES = (1.22, 1.5, 1.9)
"""Size of each ring as a multiple of the face's outline."""
_RING_DEPTHS = (0.1, 0.12, 0.0)
"""Depth of each ring behind the outline, in face heights."""
_RING_TURN = (0.9, 0.45, 0.0)
_RING_FOLLOW = (0.63, 0.22, 0.0)
"""Share of the head's rotation and of the skin's motion that each ring follows."""

_RELIEF = 1.2
"""Factor on depths: FaceMesh flattens faces, and without it a turn of 25 degrees measures 15 to 23."""
_PIVOT_DEPTH = 0.15
"""Depth of the head's pivot behind the outline of the face, in face heights."""


def _triples(connections: Sequence[FaceLandmarksConnections.Connection]) -> Indices:
    """Vertices of each triangle; the tessellation lists a triangle as three edges."""
    starts = [connection.start for connection in connections]
    return np.array(starts, np.int64).reshape(-1, 3)


SKIN_TRIANGLES = _triples(FaceLandmarksConnections.FACE_LANDMARKS_TESSELATION)
"""MediaPipe's own topology, (852, 3), open at the eyes and between the lips: unlike a Delaunay
triangulation of the landmarks it never bridges two lips that touch."""

_OUTLINE: Indices = np.array([c.start for c in FaceLandmarksConnections.FACE_LANDMARKS_FACE_OVAL], np.int64)


class FaceRig:
    """The vertices of one portrait, built from its landmarks, (478, 3) in pixels."""

    def __init__(self, points: Points) -> None:
        skin = _raised(points[:SKIN_POINTS].astype(np.float64))
        self._right, self._up, self._forward, self.height = _axes(skin)
        self._pivot = skin[_OUTLINE].mean(axis=0) - self._forward * _PIVOT_DEPTH * self.height
        self._smile = self._smile_motion()
        self._jaw = self._jaw_motion()
        self._rest = np.vstack([skin, *self._rings(skin), skin[_inner_lips()]])
        self._turn_share = _per_vertex(_RING_TURN)
        self.triangles = FaceTriangles()

    @property
    def rest(self) -> Floats:
        """Positions of the vertices in the portrait, (n, 3)."""
        return self._rest

    def posed(self, expression: Expression) -> Floats:
        """Positions of the vertices with an expression, (n, 3); lids are painted, not moved."""
        moved = self._rest + self._motion(expression)
        turned = (moved - self._pivot) @ self._rotation(expression).T + self._pivot
        return np.asarray(moved + (turned - moved) * self._turn_share[:, np.newaxis])

    def _motion(self, expression: Expression) -> Floats:
        smile = self._smile * expression.smile
        skin = smile + self._jaw * expression.jaw
        rings = [skin[_OUTLINE] * share for share in _RING_FOLLOW]
        return np.vstack([skin, *rings, smile[_inner_lips()]])

    def _rotation(self, expression: Expression) -> Floats:
        """Rotation matrix: pitch about the head's own horizontal axis, then yaw about its vertical one."""
        yaw = _rotation_about(self._up, expression.yaw_deg)
        pitch = _rotation_about(self._right, -expression.pitch_deg)
        return yaw @ pitch

    def _rings(self, skin: Floats) -> list[Floats]:
        outline = skin[_OUTLINE]
        middle = outline.mean(axis=0)
        return [
            middle + (outline - middle) * scale - self._forward * depth * self.height
            for scale, depth in zip(_RING_SCALES, _RING_DEPTHS, strict=True)
        ]

    def _smile_motion(self) -> Floats:
        """Motion of a full smile, (468, 3): the mouth corners go out, up and back around the teeth."""
        still = (*_OUTLINE.tolist(), *_EYES, *_NOSE, 19, 98, 327, 0, 13, 14, 17)
        handles = {point: np.zeros(3) for point in still}
        for corner, side in zip(_MOUTH_CORNERS, (-1.0, 1.0), strict=True):
            motion = (side * 0.055 * self._right + 0.055 * self._up - 0.02 * self._forward) * self.height
            handles.update(dict.fromkeys(corner, motion))
        return _spread(handles)

    def _jaw_motion(self) -> Floats:
        """Motion of an open jaw, (468, 3): lower lip and chin go down and slightly back, the mouth corners follow."""
        upper, lower = (lip[1:-1] for lip in _INNER_LIPS)
        ears_and_brow = (10, 93, 127, 234, 323, 356, 454)
        down = -(0.22 * self._up + 0.03 * self._forward) * self.height
        handles = {point: np.zeros(3) for point in (*_EYES, *_NOSE, 0, *upper, *ears_and_brow)}
        handles.update(dict.fromkeys((*lower, *_CHIN), down))
        handles.update(dict.fromkeys([point for corner in _MOUTH_CORNERS for point in corner], down * 0.35))
        return _spread(handles)


class FaceTriangles:
    """Triangles by depth layer, as indices into a rig's vertices, (n, 3) each."""

    def __init__(self) -> None:
        ring_count, ring_size = len(_RING_SCALES), len(_OUTLINE)
        rings = [_OUTLINE, *(SKIN_POINTS + np.arange(ring_size) + ring * ring_size for ring in range(ring_count))]
        around = [_strip(np.append(inner, inner[0]), np.append(outer, outer[0])) for inner, outer in pairwise(rings)]
        behind_lips = SKIN_POINTS + ring_count * ring_size + np.arange(len(_inner_lips())).reshape(2, -1)
        self.surroundings = np.vstack(around)
        self.cavity = _strip(*(np.array(lip) for lip in _INNER_LIPS))
        self.teeth = _strip(*behind_lips)
        self.skin = np.vstack([SKIN_TRIANGLES, *(_strip(*map(np.array, eye)) for eye in (RIGHT_EYE, LEFT_EYE))])


def _raised(skin: Floats) -> Floats:
    outline_depth = skin[_OUTLINE, 2].mean()
    raised = skin.copy()
    raised[:, 2] = outline_depth + (skin[:, 2] - outline_depth) * _RELIEF
    return raised


def _axes(skin: Floats) -> tuple[Floats, Floats, Floats, float]:
    """Unit vectors to the right of the picture, up and to the camera, and the height of the face."""
    up = skin[10] - skin[152]
    height = float(np.linalg.norm(up))
    up = up / height
    right = skin[454] - skin[234]
    right = right - up * (right @ up)
    right = right / np.linalg.norm(right)
    return right, up, np.cross(up, right), height


def _rotation_about(axis: Floats, degrees: float) -> Floats:
    return np.asarray(cv2.Rodrigues(axis * np.radians(degrees))[0], np.float64)


def _per_vertex(ring_shares: Sequence[float]) -> Floats:
    rings = np.repeat(ring_shares, len(_OUTLINE))
    return np.concatenate([np.ones(SKIN_POINTS), rings, np.ones(len(_inner_lips()))])


def _inner_lips() -> list[int]:
    return [*_INNER_LIPS[0], *_INNER_LIPS[1]]


def _strip(first: Indices, second: Indices) -> Indices:
    """Triangles between two lines of equally many vertices."""
    a, b, c, d = first[:-1], first[1:], second[:-1], second[1:]
    return np.vstack([np.column_stack([a, b, c]), np.column_stack([c, b, d])])


def _spread(handles: dict[int, Floats]) -> Floats:
    """Motion of all skin points, (468, 3), from that of `handles`; harmonic, so the skin stretches evenly."""
    fixed = tuple(sorted(handles))
    return np.asarray(_influence(fixed) @ np.array([handles[point] for point in fixed]))


@cache
def _influence(fixed: tuple[int, ...]) -> Floats:
    """Solution of Laplace's equation on the mesh for each of k fixed points, (468, k)."""
    laplacian = _graph_laplacian()
    held = np.array(fixed)
    free = np.setdiff1d(np.arange(SKIN_POINTS), held)
    influence = np.zeros((SKIN_POINTS, len(fixed)))
    influence[held, np.arange(len(held))] = 1.0
    influence[free] = np.linalg.solve(laplacian[np.ix_(free, free)], -laplacian[np.ix_(free, held)])
    return influence


def _graph_laplacian() -> Floats:
    adjacency = np.zeros((SKIN_POINTS, SKIN_POINTS))
    for start, end in ((0, 1), (1, 2), (2, 0)):
        adjacency[SKIN_TRIANGLES[:, start], SKIN_TRIANGLES[:, end]] = 1.0
    adjacency = np.maximum(adjacency, adjacency.T)
    return np.asarray(np.diag(adjacency.sum(axis=1)) - adjacency)
