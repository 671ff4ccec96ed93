"""Lower faces with and without covers, measured by the real engine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from bench.lfw import LIMITS
from bench.verification.progress import Progress
from core.face_recognition_engine import FaceRecognitionEngine, FrameView
from core.features.cover.measures import Measures, measures
from testkit.clips import encode_jpeg, read_image
from testkit.faces.covers import KINDS, draw
from testkit.faces.light import exposed

REAL_MASK = "real mask"
_JPEG_QUALITY = 90
_LIGHTS = (1 / 16, 4.0)
_LIGHTS_OF_COVERS = (1 / 16, 1 / 4, 4.0)


@dataclass(frozen=True, slots=True)
class Sample:
    """`cover`: its kind, None without one. `light`: over the picture's. `tuning`: whether the rule may be fitted to
    this person. `lightness` of the cheeks, `chin` against them and `lips` against the chin's redness: CIELAB."""

    person: str
    cover: str | None
    tuning: bool
    measured: Measures
    lightness: float
    chin: float
    lips: float
    light: float = 1.0


def is_tuning(person: str) -> bool:
    """Half of the people, always the same ones."""
    return hashlib.sha256(person.encode()).digest()[0] % 2 == 0


def lfw_samples(engine: FaceRecognitionEngine, images: Path, names: Sequence[str]) -> Iterator[Sample]:
    """Each picture that is good but for covers, without one and with one of each kind drawn over it."""
    progress = Progress(len(names), "pictures")
    for number, name in enumerate(names):
        rgb = read_image(images / name)
        view = engine.analyse_still(encode_jpeg(rgb, 95), LIMITS)
        person = name.split("/")[0]
        if view.face is not None and _is_good(view):
            yield _sample(person, None, view)
            yield from (_sample(person, None, view, light) for light in _LIGHTS)
            for kind in KINDS:
                covered = draw(kind, rgb, view.face, np.random.default_rng([number, *kind.encode()]))
                seen = engine.analyse_still(encode_jpeg(covered, _JPEG_QUALITY), LIMITS)
                if seen.face is not None:
                    yield _sample(person, kind, seen)
                    yield _sample(person, kind, seen, _LIGHTS_OF_COVERS[number % len(_LIGHTS_OF_COVERS)])
        progress.step()


def mask_samples(engine: FaceRecognitionEngine, folder: Path) -> Iterator[Sample]:
    """Pictures of masked people; one in which no face is found has no sample."""
    for path in sorted(folder.glob("*.jpg")):
        view = engine.analyse_still(path.read_bytes(), LIMITS)
        if view.face is not None:
            yield _sample(path.stem, REAL_MASK, view)


def _is_good(view: FrameView) -> bool:
    return not [issue for issue in view.quality.issues if issue != "face_covered"]


def _sample(person: str, cover: str | None, view: FrameView, light: float = 1.0) -> Sample:
    assert view.aligned is not None
    crop = exposed(view.aligned.crop, light)
    lab = cv2.cvtColor(crop.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    cheeks, chin = _mean(lab[60:70, 28:84]), _mean(lab[102:110, 46:66])
    return Sample(
        person,
        cover,
        is_tuning(person),
        measures(crop),
        lightness=float(cheeks[0]),
        chin=float(chin[0] - cheeks[0]),
        lips=float(_mean(lab[86:99, 44:68])[1] - chin[1]),
        light=light,
    )


def _mean(part: npt.NDArray[np.generic]) -> Measures:
    return np.asarray(part.reshape(-1, 3).mean(axis=0), np.float32)
