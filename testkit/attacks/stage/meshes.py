"""The FaceMesh of this process, for attacks that need the place of the eyes and the pose."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from core.face_mesh.mediapipe_mesh import MediaPipeFaceMesh
from core.types import Points, RgbImage
from testkit.attacks.people import Split, photograph, photographed

_MODEL = Path(__file__).resolve().parents[3] / "var" / "models" / "face_landmarker.task"
_FRONTAL_DEG = 12.0


@cache
def mesh() -> MediaPipeFaceMesh:
    return MediaPipeFaceMesh(_MODEL)


def landmarks(rgb: RgbImage) -> Points | None:
    """Landmarks of the largest face, (478, 3); None without a face."""
    faces = mesh().process(rgb)
    return faces[0].points if faces else None


def victim(split: Split, index: int) -> str:
    """The `index`-th photographed person with a picture that suits an attacker: one face, looking ahead."""
    known, more = _victims(split)
    while index >= len(known) and (person := next(more, None)) is not None:
        known.append(person)
    return known[index % len(known)]


@cache
def _victims(split: Split) -> tuple[list[str], Iterator[str]]:
    return [], (person for person in photographed(split) if _looks_ahead(photograph(person)))


def _looks_ahead(photo: RgbImage) -> bool:
    faces = mesh().process(photo)
    return len(faces) == 1 and max(abs(faces[0].pose.yaw), abs(faces[0].pose.pitch)) <= _FRONTAL_DEG
