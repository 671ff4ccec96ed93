"""FaceMesh over MediaPipe's FaceLandmarker in its stateless image mode: it ignores tracking and never looks closer.

With a `detector`, a face that is found upside down is left out. To look for many faces takes longer.
"""

from __future__ import annotations

from pathlib import Path

import mediapipe as mp
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision

from core.face_mesh import regions
from core.face_mesh.base import IN_SESSION, MAX_FACES, Search, prominence
from core.face_mesh.tracking import UNTRACKED, Tracking
from core.face_mesh.upright import is_upright, lead
from core.geometry import pose_from_rotation
from core.networks import OpenVinoNetwork
from core.types import Detail, MeshFace, Points, RgbImage

_BLENDSHAPES = {
    "eyeBlinkLeft": "blink_left",
    "eyeBlinkRight": "blink_right",
    "mouthSmileLeft": "smile_left",
    "mouthSmileRight": "smile_right",
    "jawOpen": "jaw_open",
}


class MediaPipeFaceMesh:
    def __init__(self, model_path: Path, detector: OpenVinoNetwork | None = None, max_faces: int = MAX_FACES) -> None:
        self._detector = detector
        self._landmarker = vision.FaceLandmarker.create_from_options(
            vision.FaceLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=str(model_path)),
                num_faces=max_faces,
                output_face_blendshapes=True,
                output_facial_transformation_matrixes=True,
            )
        )

    def process(
        self,
        rgb: RgbImage,
        tracking: Tracking = UNTRACKED,
        detail: Detail = Detail.FULL,
        search: Search = IN_SESSION,
    ) -> list[MeshFace]:
        image = mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))
        result = self._landmarker.detect(image)
        height, width = rgb.shape[:2]
        scale = np.array([width, height, width], np.float32)
        faces = []
        for landmarks, shapes, matrix in zip(
            result.face_landmarks,
            result.face_blendshapes,
            result.facial_transformation_matrixes,
            strict=True,
        ):
            points = np.array([(p.x, p.y, p.z) for p in landmarks], np.float32) * scale
            if not self._is_upright(rgb, points):
                continue
            score = {_BLENDSHAPES[s.category_name]: s.score for s in shapes if s.category_name in _BLENDSHAPES}
            faces.append(
                MeshFace(
                    points=points,
                    pose=pose_from_rotation(matrix[:3, :3]),
                    blink_left=score["blink_left"],
                    blink_right=score["blink_right"],
                    smile=(score["smile_left"] + score["smile_right"]) / 2,
                    jaw_open=score["jaw_open"],
                )
            )
        return sorted(faces, key=lambda face: prominence(face, rgb), reverse=True)[: search.max_faces]

    def _is_upright(self, rgb: RgbImage, points: Points) -> bool:
        if self._detector is None:
            return True
        return is_upright(lead(self._detector, rgb, regions.around_points(points)), presence=0.0)

    def close(self) -> None:
        self._landmarker.close()
