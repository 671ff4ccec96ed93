"""Covers drawn over mouth and nose of real faces: masks, scarves, hands, cups and microphones of many colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from core.types import MeshFace, Points, RgbImage

Picture = npt.NDArray[np.float32]
"""(height, width, 3), RGB, 0..255 and beyond."""
Mask = npt.NDArray[np.uint8]
"""(height, width), 255 where the cover is."""

_JAW = (454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234)
_SKIN = (50, 280, 117, 346, 101, 330, 151, 9)
_CLOTHS = ((225, 228, 230), (150, 195, 220), (25, 25, 28), (120, 120, 122))
_BETWEEN_LIPS, _CHIN, _IRISES = 13, 152, (468, 473)


@dataclass(frozen=True, slots=True)
class _Face:
    """A face's own axes: `right` and `up`, each (2,), and `unit`, the distance of the irises in pixels."""

    points: Points
    right: Points
    up: Points
    unit: float
    skin: Points
    rng: np.random.Generator

    def at(self, right: float, up: float) -> Points:
        """A place beside the lips, in distances of the irises."""
        return np.asarray(self.points[_BETWEEN_LIPS] + self.unit * (right * self.right + up * self.up), np.float32)

    @property
    def light(self) -> float:
        """How bright a white cloth would be here, about 0.35 to 1.15."""
        return float(np.clip(self.skin.mean() / 170, 0.35, 1.15))

    def cloth(self) -> Points:
        colours = [*_CLOTHS, tuple(self.rng.uniform(0, 255, 3))]
        chosen = np.array(colours[self.rng.integers(len(colours))], np.float32)
        return np.asarray((chosen + self.rng.normal(0, 8, 3)) * self.light, np.float32)


def draw(kind: str, rgb: RgbImage, face: MeshFace, rng: np.random.Generator) -> RgbImage:
    """The picture with a cover of a kind of KINDS over the face."""
    points = face.points[:, :2]
    eyes = points[_IRISES[1]] - points[_IRISES[0]]
    up = (points[_IRISES[0]] + points[_IRISES[1]]) / 2 - points[_CHIN]
    up = up / np.linalg.norm(up)
    right = np.array([-up[1], up[0]], np.float32)
    height, width = rgb.shape[:2]
    x, y = np.clip(points[list(_SKIN)], 0, [width - 1, height - 1]).astype(int).T
    unit = float(np.linalg.norm(eyes))
    seen = _Face(points, right, up, unit, np.median(rgb[y, x], axis=0).astype(np.float32), rng)
    mask, cover = KINDS[kind](seen, np.zeros((height, width), np.uint8))
    share = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), max(0.5, unit / 60))[..., np.newaxis]
    return np.clip(rgb * (1 - share) + cover * share, 0, 255).astype(np.uint8)


def _mask(face: _Face, area: Mask) -> tuple[Mask, Picture]:
    top = [face.rng.choice(choice) for choice in ((116, 117, 118), (6, 197, 195), (345, 346, 347))]
    _fill(area, cv2.convexHull(face.points[[*_JAW, *top]].astype(np.int32)))
    return area, _textile(face, area, face.cloth(), ("plain", "plain", "pleats", "print"))


def _scarf(face: _Face, area: Mask) -> tuple[Mask, Picture]:
    top = face.points[face.rng.choice((195, 5, 4, 1))] + face.rng.normal(0, 0.05, 2) * face.unit
    left, right = top - 3 * face.unit * face.right, top + 3 * face.unit * face.right
    down = 5 * face.unit * face.up
    _fill(area, np.array([left, right, right - down, left - down]))
    return area, _textile(face, area, face.cloth(), ("knit", "plain", "print"))


def _hand(face: _Face, area: Mask) -> tuple[Mask, Picture]:
    """Three or four fingers of the face's own colour before the mouth, with dark lines between them."""
    colour = face.skin * face.rng.uniform(0.75, 1.1) + face.rng.normal(0, 5, 3).astype(np.float32)
    cover = _textile(face, area, colour, ("plain",))
    angle = face.rng.uniform(-0.6, 0.6)
    along = np.cos(angle) * face.right + np.sin(angle) * face.up
    beside = np.array([-along[1], along[0]])
    middle = face.at(face.rng.uniform(-0.1, 0.1), face.rng.uniform(-0.05, 0.25))
    fingers, thick = int(face.rng.integers(3, 5)), face.rng.uniform(0.2, 0.28) * face.unit
    for finger in range(fingers):
        place = middle + beside * (finger - (fingers - 1) / 2) * thick
        begin = place - along * face.rng.uniform(0.6, 1.4) * face.unit
        end = place + along * face.rng.uniform(0.5, 0.9) * face.unit
        _line(area, begin, end, (255,), 1.05 * thick)
        shadow = tuple(float(value) for value in 0.7 * colour)
        _line(cover, begin + beside * thick / 2, end + beside * thick / 2, shadow, 0.12 * thick)
    return area, cover


def _cup(face: _Face, area: Mask) -> tuple[Mask, Picture]:
    """A round or a tapering cup, drunk from."""
    radius, middle = face.rng.uniform(0.38, 0.7) * face.unit, face.at(face.rng.uniform(-0.12, 0.12), -0.06)
    middle = middle + face.rng.uniform(-0.19, 0.18) * face.unit * face.up
    if face.rng.random() < 0.5:
        cv2.circle(area, _pixel(middle), int(radius), (255,), -1)
    else:
        side, up = radius * face.right, radius * face.up
        _fill(
            area,
            np.array(
                [middle - side + up, middle + side + up, middle + 0.8 * side - 3 * up, middle - 0.8 * side - 3 * up]
            ),
        )
    return area, _textile(face, area, face.cloth(), ("plain",))


def _microphone(face: _Face, area: Mask) -> tuple[Mask, Picture]:
    radius = face.rng.uniform(0.26, 0.45) * face.unit
    middle = face.at(face.rng.uniform(-0.1, 0.1), face.rng.uniform(-0.15, 0.1))
    foam = np.full(3, 30 * face.light + face.rng.uniform(0, 40), np.float32)
    cv2.circle(area, _pixel(middle), int(radius), (255,), -1)
    grip = middle - 4 * face.unit * face.up + face.rng.uniform(-1, 1) * face.unit * face.right
    _line(area, middle, grip, (255,), 0.9 * radius)
    return area, _textile(face, area, foam, ("knit",))


KINDS: dict[str, Callable[[_Face, Mask], tuple[Mask, Picture]]] = {
    "mask": _mask,
    "scarf": _scarf,
    "hand": _hand,
    "cup": _cup,
    "microphone": _microphone,
}


def _textile(face: _Face, area: Mask, colour: Points, kinds: tuple[str, ...]) -> Picture:
    """A picture of a cloth with grain and folds, as large as `area`."""
    rng, (height, width) = face.rng, area.shape
    cloth = np.ones((height, width, 3), np.float32) * colour
    cloth += _waves(rng, (height, width), rng.uniform(0.6, 2)) * rng.uniform(1, 8)
    cloth *= 1 + 0.12 * _waves(rng, (height, width), width / 12)
    y, x = np.mgrid[:height, :width]
    match kinds[rng.integers(len(kinds))]:
        case "pleats":
            cloth += (np.sin(y / rng.uniform(2, 5)) * rng.uniform(2, 10))[..., np.newaxis]
        case "knit":
            rows, columns = np.sin(y / rng.uniform(1.2, 3)), np.sin(x / rng.uniform(1.2, 3))
            cloth += (rows * columns * rng.uniform(5, 25))[..., np.newaxis]
        case "print":
            for _ in range(int(rng.integers(10, 40))):
                place, radius = (
                    (int(rng.integers(width)), int(rng.integers(height))),
                    int(rng.integers(2, width // 12 + 3)),
                )
                cv2.circle(cloth, place, radius, tuple(rng.uniform(0, 255, 3).tolist()), -1)
    return np.asarray(cloth, np.float32)


def _waves(rng: np.random.Generator, size: tuple[int, int], length: float) -> Picture:
    """Noise of unit deviation that varies over some length."""
    noise = cv2.GaussianBlur(rng.normal(0, 1, size).astype(np.float32), (0, 0), length)
    return np.asarray(noise / (noise.std() + 1e-6), np.float32)[..., np.newaxis]


def _fill(area: Mask, corners: npt.NDArray[np.generic]) -> None:
    cv2.fillPoly(area, [corners.astype(np.int32)], (255,))


def _line(picture: Mask | Picture, begin: Points, end: Points, colour: tuple[float, ...], thick: float) -> None:
    cv2.line(picture, _pixel(begin), _pixel(end), colour, max(1, int(thick)))


def _pixel(place: Points) -> tuple[int, int]:
    return int(place[0]), int(place[1])
