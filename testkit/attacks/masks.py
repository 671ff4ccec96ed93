"""A printed face with holes for the eyes, worn over a living one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from core.geometry import Matrix, similarity_transform
from core.types import Points, RgbImage
from testkit.attacks.people import Split, frames_of, movers, photograph
from testkit.attacks.sheets import SECONDS, inked
from testkit.attacks.stage.camera import Camera, Image, Wander
from testkit.attacks.stage.footage import Framing, window
from testkit.attacks.stage.meshes import landmarks, victim
from testkit.attacks.stage.scene import resized
from testkit.attacks.stage.stream import FPS, Stream, generator

_EYES = ((33, 133), (362, 263))
_CORNERS = [33, 133, 362, 263]
_OVAL = [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377]
_OVAL += [152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]
_ROWS = 640
_FOLLOWS = 0.7
"""Share of its distance to the head that the mask moves in each frame: paper slips a little."""


@dataclass(frozen=True, slots=True)
class Mask:
    """A paper mask: the printed `image`, `cover` (1 where there is paper), and the corners of its eyes, (4, 2)."""

    image: Image
    cover: npt.NDArray[np.float32]
    corners: Points


def cutout(split: Split, index: int) -> Stream:
    """An attack on the photographed person: a living one looks through the holes of the print."""
    person, mask = _victim(split, index)
    wearers = movers(split)
    wearer = wearers[index % len(wearers)]
    clip = wearer.actor
    start = float(generator("cutout", person, index, "start").uniform(0, clip.seconds))
    indices = window(clip, start, SECONDS, around=True)

    def frames() -> Iterator[RgbImage]:
        rng = generator("cutout", person, index)
        pictures = frames_of(clip, indices)
        framing = Framing.draw(rng, clip, pictures[0])
        return _worn(mask, [framing.apply(picture) for picture in pictures], rng)

    return Stream("cutout", person, index, frames)


def _victim(split: Split, index: int) -> tuple[str, Mask]:
    person = victim(split, index)
    photo = resized(photograph(person), _ROWS)
    points = landmarks(photo)
    if points is None:
        raise ValueError(f"no face in the enlarged photograph of {person}")
    return person, _cut(photo, points[:, :2], generator("mask", person, index))


def _cut(photo: RgbImage, points: Points, rng: np.random.Generator) -> Mask:
    """Cut the print round the head or leave it a sheet; cut the holes as exactly as scissors do."""
    image, _ = inked(photo, rng)
    cover = np.ones(photo.shape[:2], np.float32)
    if rng.uniform() < 0.6:
        middle = points[_OVAL].mean(axis=0)
        outline = (points[_OVAL] - middle) * rng.uniform(1.1, 1.35) + middle
        cover[:] = 0.0
        cv2.fillPoly(cover, [np.round(outline).astype(np.int32)], (1.0,), cv2.LINE_AA)
    grow = rng.uniform(1.0, 1.4)
    for one, other in _EYES:
        along = points[other] - points[one]
        width = float(np.hypot(*along))
        middle = (points[one] + points[other]) / 2
        axes = int(0.58 * width * grow), int(0.3 * width * grow)
        lean = float(np.degrees(np.arctan2(along[1], along[0])))
        cv2.ellipse(cover, (int(middle[0]), int(middle[1])), axes, lean, 0, 360, (0.0,), -1, cv2.LINE_AA)
    return Mask(image, cover, points[_CORNERS])


def _worn(mask: Mask, pictures: list[RgbImage], rng: np.random.Generator) -> Iterator[RgbImage]:
    camera = Camera.draw(rng)
    slip_x, slip_y = Wander(rng, 1.2, 0.3), Wander(rng, 1.2, 0.3)
    place: Matrix | None = None
    for number, picture in enumerate(pictures):
        points = landmarks(picture)
        if points is not None:
            found = similarity_transform(mask.corners, points[_CORNERS, :2])
            place = found if place is None else place + _FOLLOWS * (found - place)
        if place is None:
            continue
        slipped = place + np.array([[0, 0, slip_x.at(number / FPS)], [0, 0, slip_y.at(number / FPS)]])
        yield camera.capture(_over(picture, mask, slipped), rng)


def _over(picture: RgbImage, mask: Mask, place: Matrix) -> Image:
    """Lay the mask over the picture; the edge of the paper throws a soft shadow on the face behind it."""
    size = picture.shape[1], picture.shape[0]
    # Soften a sheet much larger than its place in the frame, as a lens does: it would alias.
    shrink = max(0.0, 1.0 / float(np.hypot(place[0, 0], place[1, 0])) - 1.0)
    image = cv2.GaussianBlur(mask.image, (0, 0), 0.45 * shrink) if shrink > 0.2 else mask.image
    ink = cv2.warpAffine(image, place, size, flags=cv2.INTER_LINEAR)
    cover = cv2.warpAffine(mask.cover, place, size, flags=cv2.INTER_LINEAR)[:, :, np.newaxis]
    shadow = cv2.GaussianBlur(cover, (0, 0), 3.0)[:, :, np.newaxis]
    behind = picture * (1.0 - 0.45 * shadow)
    return np.asarray(behind + (ink - behind) * cover, np.float32)
