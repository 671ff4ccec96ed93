"""What the engine says of pictures of Labeled Faces in the Wild, and of the same in more and in less light."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from bench.lfw import LIMITS
from bench.verification.progress import Progress
from core.face_recognition_engine import FaceRecognitionEngine, FrameView
from core.types import Embedding, RgbImage
from testkit.clips import encode_jpeg, read_image
from testkit.faces.light import exposed
from vocabulary.faces import Issue

LIGHTS = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 2.0, 4.0, 8.0)
OF_LIGHT = frozenset({Issue.TOO_DARK, Issue.TOO_BRIGHT})
_JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Lit:
    """One picture in some light: whether it is refused for the light, and its similarity to another picture of the
    person, None where no face is recognised."""

    light: float
    refused: bool
    similarity: float | None


@dataclass(frozen=True, slots=True)
class Picture:
    """`lightness` of the cheeks, CIELAB. `width`: of the face, pixels. `bridge`: edge across the bridge of the nose,
    over the contrast of the face; the twentieth with the largest nearly all wear glasses."""

    person: str
    lightness: float
    width: float
    bridge: float
    issues: frozenset[Issue]
    live_score: float
    embedding: Embedding | None
    lit: Sequence[Lit]

    @property
    def is_good(self) -> bool:
        return not self.issues


def looked_at(engine: FaceRecognitionEngine, images: Path, names: Sequence[str]) -> Iterator[Picture]:
    """Pictures with a face; a good one after another good one of the person also in every light."""
    progress = Progress(len(names), "pictures")
    last: Picture | None = None
    for name in names:
        rgb = read_image(images / name)
        view = engine.analyse_still((images / name).read_bytes(), LIMITS)
        progress.step()
        if view.face is None:
            continue
        person = name.split("/")[0]
        other = last.embedding if last is not None and last.person == person and last.is_good else None
        lit = [*_in_every_light(engine, rgb, other)] if other is not None and not view.quality.issues else []
        last = _picture(engine, person, view, lit)
        yield last


def _in_every_light(engine: FaceRecognitionEngine, rgb: RgbImage, other: Embedding) -> Iterator[Lit]:
    for light in LIGHTS:
        view = engine.analyse_still(encode_jpeg(exposed(rgb, light), _JPEG_QUALITY), LIMITS)
        found = engine.embed(view) if view.face is not None else None
        similarity = None if found is None else float(found @ other)
        yield Lit(light, bool(OF_LIGHT & set(view.quality.issues)), similarity)


def _picture(engine: FaceRecognitionEngine, person: str, view: FrameView, lit: Sequence[Lit]) -> Picture:
    assert view.aligned is not None
    crop = view.aligned.crop
    cheeks = np.concatenate([crop[66:80, 24:40].reshape(-1, 3), crop[66:80, 72:88].reshape(-1, 3)])
    skin = np.median(cheeks, axis=0).reshape(1, 1, 3).astype(np.float32) / 255
    return Picture(
        person,
        lightness=float(cv2.cvtColor(skin, cv2.COLOR_RGB2Lab)[0, 0, 0]),
        width=view.boxes[0].width * view.picture.size[0],
        bridge=_bridge(crop),
        issues=frozenset(view.quality.issues),
        live_score=engine.live_score(view),
        embedding=engine.embed(view),
        lit=lit,
    )


def _bridge(crop: RgbImage) -> float:
    grey = cv2.GaussianBlur(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 0.8)
    edges = np.abs(grey[2:] - grey[:-2])[44:62, 52:60].max(axis=0).mean()
    return float(edges / (grey[30:100, 25:87].std() + 5.0))
