"""A photograph whose eyes and mouth are squeezed, so that it seems to blink and talk; nothing is painted.

Half of the tries are injected into the stream, half are played on a display before the camera.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from core.types import Points, RgbImage
from testkit.attacks.people import Split
from testkit.attacks.screens import replayed
from testkit.attacks.sheets import SECONDS, injected_photo
from testkit.attacks.stage.camera import Camera, Wander
from testkit.attacks.stage.meshes import landmarks, victim
from testkit.attacks.stage.stream import FPS, Stream, generator

_EYES = ((33, 133, 159, 145), (362, 263, 386, 374))
_MOUTH = (61, 291, 13, 14)
_REACH = 1.1
"""Radius of a squeeze in widths of the eye or mouth; beyond it nothing moves."""


@dataclass(frozen=True, slots=True)
class Squeeze:
    """Factors by which the eyes and the mouth are flattened; 1: unchanged, below 1: opened."""

    eyes: float
    mouth: float


def warped_photo(split: Split, index: int) -> Stream:
    person, photo, points = _victim(split, index)
    rng = generator("warped_photo", person, index)
    acts = _acts(rng)
    sway = Wander(rng, 0.008), Wander(rng, 0.006)

    def picture(number: int) -> RgbImage:
        squeezed = squeeze(photo, points, acts[number])
        move = np.array([[1.0, 0.0, 640 * sway[0].at(number / FPS)], [0.0, 1.0, 640 * sway[1].at(number / FPS)]])
        return np.asarray(cv2.warpAffine(squeezed, move, (640, 480), borderMode=cv2.BORDER_REPLICATE), np.uint8)

    def injected() -> Iterator[RgbImage]:
        noise = generator("warped_photo", person, index, "noise")
        camera = Camera.draw(noise)
        return (camera.capture(picture(number), noise) for number in range(len(acts)))

    def played() -> Iterator[RgbImage]:
        return replayed(picture, (0.5, 0.5), _face_height(points), "warped_photo", person, index)

    return Stream("warped_photo", person, index, played if index % 2 else injected)


def _victim(split: Split, index: int) -> tuple[str, RgbImage, Points]:
    person = victim(split, index)
    photo = injected_photo(person, generator("warped_photo", person, index, "photo"))
    points = landmarks(photo)
    if points is None:
        raise ValueError(f"no face in the framed photograph of {person}")
    return person, photo, points[:, :2]


def _face_height(points: Points) -> float:
    """Height of the face as a share of the picture's."""
    return float(np.ptp(points[:, 1])) / 480


def _acts(rng: np.random.Generator) -> list[Squeeze]:
    """A blink of 0.2 to 0.5 s every one to three seconds, and bursts of speech."""
    seconds = np.arange(int(SECONDS * FPS)) / FPS
    eyes, mouth = np.ones_like(seconds), np.ones_like(seconds)
    at = float(rng.uniform(0.8, 1.6))
    closed = float(rng.uniform(2.0, 5.0))
    while at < SECONDS:
        half = rng.uniform(0.1, 0.25)
        eyes = np.maximum(eyes, 1 + (closed - 1) * np.clip(1.6 - np.abs(seconds - at) / half, 0, 1))
        at += rng.uniform(1.0, 3.0)
    speed, loudness = rng.uniform(1.0, 2.5), rng.uniform(0.0, 0.5)
    speaks = np.sin(2 * np.pi * 0.25 * seconds + rng.uniform(0, 6)) > -0.2
    mouth = 1.0 - loudness * speaks * (0.5 - 0.5 * np.cos(2 * np.pi * speed * seconds))
    return [Squeeze(float(eye), float(lip)) for eye, lip in zip(eyes, mouth, strict=True)]


def squeeze(photo: RgbImage, points: Points, by: Squeeze) -> RgbImage:
    squeezed = photo.copy()
    for place, factor in [(eye, by.eyes) for eye in _EYES] + [(_MOUTH, by.mouth)]:
        if factor != 1.0:
            _squeeze_one(squeezed, photo, points[list(place)], factor)
    return squeezed


def _squeeze_one(squeezed: RgbImage, photo: RgbImage, around: Points, factor: float) -> None:
    """Squeeze the picture about one eye or the mouth; `around`: its left and right corner, its top and bottom."""
    left, right, top, bottom = around
    width = float(np.hypot(*(right - left)))
    x, y = (left + right) / 2 * 0.5 + (top + bottom) / 2 * 0.5
    reach = int(_REACH * width) + 1
    upper, lower = max(0, int(y) - reach), min(photo.shape[0], int(y) + reach)
    first, last = max(0, int(x) - reach), min(photo.shape[1], int(x) + reach)
    rows, columns = np.mgrid[upper:lower, first:last].astype(np.float32)
    near = np.exp(-(((columns - x) / (0.62 * width)) ** 4) - ((rows - y) / (0.42 * width)) ** 2)
    source = rows + (rows - y) * near * np.float32(factor - 1.0)
    part = cv2.remap(photo, columns, source, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    squeezed[upper:lower, first:last] = part
