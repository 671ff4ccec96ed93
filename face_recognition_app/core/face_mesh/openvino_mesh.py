"""FaceMesh that runs MediaPipe's networks itself and tracks faces from frame to frame.

The landmarks of one frame give the region to search in the next, so the detector runs only for faces that are not
tracked yet. Two networks find landmarks: one of 478 points, accurate enough at lids, lips and irises to detect blinks,
and an older one of 468 that takes a third of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from core.face_mesh import regions
from core.face_mesh.base import IN_SESSION, MeshModels, Search, prominence
from core.face_mesh.bundle import read_detector, unpacked
from core.face_mesh.detector import find_faces, is_too_close, look_again
from core.face_mesh.head_pose import ModelFace, head_pose
from core.face_mesh.tracking import UNTRACKED, Tracking
from core.face_mesh.upright import is_upright, lead, turned_about
from core.networks import OpenVinoNetwork, read_image_network, read_network
from core.types import Detail, MeshFace, Points, Region, RgbImage, TrackedFace

_MIN_PRESENCE = 0.0
"""Least logit of a landmark network's probability that there is a face: one half."""
_CANDIDATES = 4
"""Regions that are looked into, for each face that is wanted at most."""
_MIN_PRESENCE_OF_SMALL = 8.0
"""The same for small faces, which the detector sees in many things; of real ones 32 pixels wide it is 12 and more."""
_MAX_SHIFT = 0.05
"""Share of a region's side. A face that moved further since the last frame is detected again. With the region off by
0.1, one in twenty of 200 still faces had its landmarks off by 8 % of the distance of the irises or more; with 0.15, by
half of it."""
_SMALL = 0.3
"""Side of a region, over the larger side of the frame, below which the detector looks again from near."""
_SAME_FACE = 0.5
"""Distance of two regions' centres, as a share of the larger side, below which they are of one face."""
_SAME_LANDMARKS = 0.2
"""The same for regions around landmarks that were found."""

_LANDMARKS = """
    0 1 4 5 6 7 8 10 13 14 17 21 33 37 39 40 46 52 53 54 55 58 61 63 65 66 67 70 78 80 81 82 84 87 88 91 93 95 103 105
    107 109 127 132 133 136 144 145 146 148 149 150 152 153 154 155 157 158 159 160 161 162 163 168 172 173 176 178 181
    185 191 195 197 234 246 249 251 263 267 269 270 276 282 283 284 285 288 291 293 295 296 297 300 308 310 311 312 314
    317 318 321 323 324 332 334 336 338 356 361 362 365 373 374 375 377 378 379 380 381 382 384 385 386 387 388 389 390
    397 398 400 402 405 409 415 454 466 468 469 470 471 472 473 474 475 476 477
"""
_BLENDSHAPE_POINTS = np.array(_LANDMARKS.split(), np.int64)
"""Landmarks that the blendshape network takes, in its order."""
_BLINK_LEFT, _BLINK_RIGHT, _JAW_OPEN, _SMILE_LEFT, _SMILE_RIGHT = 9, 10, 25, 44, 45
"""Indices of the coefficients in its output."""

_EYES = np.array([[33, 133, 159, 145], [263, 362, 386, 374]])
"""Landmarks of corners and lids, first of the eye on the left of the picture, in the order of the irises."""
_IRIS_POINTS = 5


@dataclass(frozen=True, slots=True)
class MeshNetworks:
    """Networks shared by all instances, compiled when the process starts."""

    detector: OpenVinoNetwork
    full: OpenVinoNetwork
    light: OpenVinoNetwork
    blendshapes: OpenVinoNetwork
    model_face: ModelFace

    @classmethod
    def load(cls, models: MeshModels, threads: int = 1) -> Self:
        with unpacked(models.landmarker) as files:
            return cls(
                detector=read_detector(files, threads),
                full=read_image_network(files / "face_landmarks_detector.tflite", 0.0, 1.0, threads),
                light=read_image_network(models.light, 0.0, 1.0, threads),
                blendshapes=read_network(files / "face_blendshapes.tflite", threads),
                model_face=ModelFace.read((files / "geometry_pipeline_metadata_landmarks.binarypb").read_bytes()),
            )


class OpenVinoFaceMesh:
    def __init__(self, networks: MeshNetworks) -> None:
        self._networks = networks

    def process(
        self,
        rgb: RgbImage,
        tracking: Tracking = UNTRACKED,
        detail: Detail = Detail.FULL,
        search: Search = IN_SESSION,
    ) -> list[MeshFace]:
        faces: list[MeshFace] = []
        shifted: list[tuple[Points, TrackedFace]] = []
        for known in tracking.faces:
            # Two tracked regions may have moved onto one face, when the other face is gone.
            if _is_among(faces, known.region):
                continue
            points, presence = self._landmarks(rgb, known.region, detail)
            if not presence >= _MIN_PRESENCE:
                continue
            tracked = regions.track(points, known.framing)
            if regions.shift(known.region, tracked.region) > _MAX_SHIFT:
                shifted.append((points, tracked))
            else:
                faces.append(self._face(rgb, points, tracked, detail))
        if not faces or shifted or (tracking.detection_is_due and len(faces) < search.max_faces):
            faces.extend(self._new_faces(rgb, faces, search))
        for points, tracked in shifted:
            if len(faces) < search.max_faces and not _is_among(faces, tracked.region):
                faces.append(self._face(rgb, points, tracked, detail))  # The detector misses faces in profile.
        return sorted(faces, key=lambda face: prominence(face, rgb), reverse=True) if len(faces) > 1 else faces

    def close(self) -> None:
        """Do nothing: the networks are shared."""

    def _new_faces(self, rgb: RgbImage, known: Sequence[MeshFace], search: Search) -> list[MeshFace]:
        """Detect faces that are not `known`, always in FULL detail, because framings need its landmarks.

        Looks closer while there are none. Of too many, the largest are taken. In noise one face may be detected twice,
        a little beside itself.
        """
        faces = list(known)
        for look in range(1 if known else 1 + search.closer_looks):
            if len(faces) > len(known) or (look and is_too_close(rgb, look)):
                break
            found = [
                region for region in find_faces(self._networks.detector, rgb, look) if not _is_among(known, region)
            ]
            found.sort(key=lambda region: region.side, reverse=True)
            for region in found[: _CANDIDATES * search.max_faces]:
                if len(faces) == search.max_faces:
                    break
                face = self._new_face(rgb, region)
                if face is not None and not _is_among(faces, regions.around_points(face.points), _SAME_LANDMARKS):
                    faces.append(face)
        return faces[len(known) :]

    def _new_face(self, rgb: RgbImage, region: Region) -> MeshFace | None:
        """The face in a detected region; None where there is none after all."""
        least = _MIN_PRESENCE
        if region.side < _SMALL * max(rgb.shape):
            region, least = look_again(self._networks.detector, rgb, region), _MIN_PRESENCE_OF_SMALL
        points, presence = self._landmarks(rgb, region, Detail.FULL)
        if not is_upright(lead(self._networks.detector, rgb, region), presence):
            region = turned_about(region)
            points, presence = self._landmarks(rgb, region, Detail.FULL)
        if not presence >= least:
            return None
        return self._face(rgb, points, TrackedFace(region, regions.framing_of(region, points)), Detail.FULL)

    def _landmarks(self, rgb: RgbImage, region: Region, detail: Detail) -> tuple[Points, float]:
        """Landmarks (478, 3) in pixels of the frame, and the logit that there is a face in the region."""
        full = detail is Detail.FULL
        network = self._networks.full if full else self._networks.light
        with network.request() as request:
            cut = regions.cut(rgb, region, request.input[0])
            landmarks, presence, *_ = request.run()
            points = cut.to_frame(landmarks.reshape(-1, 3))
            logit = float(presence.ravel()[0])
        return points if full else _with_eye_centres(points), logit

    def _face(self, rgb: RgbImage, points: Points, tracked: TrackedFace, detail: Detail) -> MeshFace:
        pose = head_pose(self._networks.model_face, points, rgb.shape[1], rgb.shape[0])
        if detail is Detail.LIGHT:
            return MeshFace(points, pose, 0.0, 0.0, 0.0, 0.0, tracked, detail)
        coefficients = self._networks.blendshapes.run(points[np.newaxis, _BLENDSHAPE_POINTS, :2])
        return MeshFace(
            points=points,
            pose=pose,
            blink_left=float(coefficients[_BLINK_LEFT]),
            blink_right=float(coefficients[_BLINK_RIGHT]),
            smile=float(coefficients[_SMILE_LEFT] + coefficients[_SMILE_RIGHT]) / 2,
            jaw_open=float(coefficients[_JAW_OPEN]),
            tracked=tracked,
        )


def _with_eye_centres(points: Points) -> Points:
    """Extend landmarks (468, 3) to (478, 3), with the centres of the eyes for the irises."""
    middles = points[_EYES].mean(axis=1)
    return np.concatenate([points, np.repeat(middles, _IRIS_POINTS, axis=0)])


def _is_among(faces: Sequence[MeshFace], region: Region, nearer_than: float = _SAME_FACE) -> bool:
    return any(face.tracked is not None and _distance(region, face.tracked.region) < nearer_than for face in faces)


def _distance(region: Region, other: Region) -> float:
    """Distance of the centres, as a share of the larger region's side."""
    return regions.shift(*sorted((region, other), key=lambda one: one.side, reverse=True))
