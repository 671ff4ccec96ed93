"""Still photographs: sent as they are, and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from core.types import RgbImage
from testkit.attacks.people import PHOTO_FACE, Split, photograph
from testkit.attacks.stage.camera import Camera, Image
from testkit.attacks.stage.meshes import victim
from testkit.attacks.stage.scene import Hand, Sheet, glow, places, resized, room, shown, with_thumbs
from testkit.attacks.stage.stream import FPS, Frames, Stream, generator

SECONDS = 7.0
_PRINT_ROWS = 900


def printed(split: Split, index: int) -> Stream:
    """A colour print, held in front of the camera, moved, tilted and bent; matte or glossy."""
    person = victim(split, index)
    return Stream("print", person, index, lambda: _print_frames(person, index))


def _print_frames(person: str, index: int) -> Iterator[RgbImage]:
    rng = generator("print", person, index)
    sheet = _paper(photograph(person), rng)
    around, camera = room(rng), Camera.draw(rng)
    hand = Hand(rng, tilt_deg=float(rng.choice([2.0, 6.0, 14.0])), bend=float(rng.choice([0.0, 0.5, 1.2])))
    gloss = float(rng.choice([0.03, 0.15, 0.5])), float(rng.uniform(0.08, 0.2))
    lamp = rng.uniform(0.1, 0.9), rng.uniform(0.0, 0.5)
    slope = float(rng.normal(0.0, 0.25))
    for number in range(int(SECONDS * FPS)):
        hold = hand.at(number / FPS)
        at = places(hold, sheet)
        image, cover = shown(sheet, at)
        image = image * _shading(at[0], sheet, hold.bend, slope)
        spot = glow(lamp[0] + hold.yaw / 45, lamp[1] - hold.pitch / 45, gloss[1])
        image = image + (235.0 - image) * (gloss[0] * spot)
        yield camera.capture(around + (image - around) * cover, rng)


def _paper(photo: RgbImage, rng: np.random.Generator) -> Sheet:
    """Ink on paper: blacks that are grey, whites that are paper, dull colours, grain of ink and of fibres."""
    ink, white = inked(resized(photo, _PRINT_ROWS), rng)
    margin = int(_PRINT_ROWS * rng.choice([0.0, 0.04, 0.1]))
    paper = np.pad(ink, ((margin, margin), (margin, margin), (0, 0)), constant_values=white)
    fibres = 1.0 + _grain(paper.shape[:2], rng, 1.6)[:, :, :1] * rng.uniform(0.01, 0.03)
    return _held((paper * fibres).astype(np.float32), _zoom(rng), rng)


def inked(picture: RgbImage, rng: np.random.Generator) -> tuple[Image, float]:
    """The picture in ink, and the brightness of the bare paper, 0..255."""
    face = picture.astype(np.float32)
    black, white = rng.uniform(16, 44), float(rng.uniform(205, 245))
    grey = face.mean(axis=2, keepdims=True)
    dull = grey + (face - grey) * rng.uniform(0.6, 1.0)
    tint = 1.0 + rng.normal(0, 0.02, 3)
    ink = (black + (white - black) * (dull / 255.0) ** rng.uniform(0.9, 1.15)) * tint
    return np.asarray(ink + _grain(ink.shape[:2], rng, 0.7) * rng.uniform(4.0, 11.0), np.float32), white


def _held(paper: Image, zoom: float, rng: np.random.Generator) -> Sheet:
    """The paper on a transparent ground, with the thumbs of the person who holds it."""
    air = 70
    image = np.pad(paper, ((air, air), (air, air), (0, 0)), mode="edge")
    cover = np.pad(np.ones(paper.shape[:2], np.float32), air)
    if rng.uniform() < 0.6:
        with_thumbs(image, cover, rng)
    return Sheet(image, cover, image.shape[1] / 2, image.shape[0] / 2, zoom)


def _zoom(rng: np.random.Generator) -> float:
    """A zoom at which the face takes 0.36 to 0.6 of the frame's height, as the service asks of people."""
    return float(rng.uniform(0.36, 0.6)) * 480 / (PHOTO_FACE * _PRINT_ROWS)


def _grain(size: tuple[int, int], rng: np.random.Generator, radius: float) -> Image:
    """Unit noise of a given fineness, in sheet pixels."""
    noise = cv2.GaussianBlur(rng.standard_normal((*size, 3), np.float32), (0, 0), radius)
    return np.asarray(noise / max(float(noise.std()), 1e-6), np.float32)


def _shading(columns: npt.NDArray[np.float32], sheet: Sheet, bend: float, slope: float) -> npt.NDArray[np.float32]:
    """Shading, (height, width, 1): light from one side, less of it where bent paper turns away."""
    off = (columns - np.float32(sheet.middle_x)) / np.float32(sheet.image.shape[1])
    lit = 1.0 + slope * off * 0.5 - 0.35 * np.abs(bend) * off**2 + 0.25 * bend * off
    return np.asarray(np.clip(lit, 0.4, 1.3), np.float32)[:, :, np.newaxis]


def still(split: Split, index: int) -> Stream:
    """One picture file, sent repeatedly: byte for byte, or with sensor noise, small shifts and dimming."""
    person = victim(split, index)
    make = (_repeated, _noisy, _slid)[index % 3]
    return Stream("still", person, index, lambda: make(person, index), jpeg_quality=90)


def injected_photo(person: str, rng: np.random.Generator, *, filling: float = 0.5) -> RgbImage:
    """A 640x480 frame. With probability `filling` the picture fills it, so that the face is near; else the face has its
    usual size and the rest is out of focus."""
    photo = photograph(person)
    wide = resized(photo, round(640 * photo.shape[0] / photo.shape[1]))
    top = (wide.shape[0] - 480) // 2
    filled = wide[top : top + 480]
    if rng.uniform() < filling:
        return filled
    photo = resized(photo, round(float(rng.uniform(0.36, 0.52)) * 480 / PHOTO_FACE))
    behind = cv2.GaussianBlur(filled, (0, 0), 20).astype(np.float32)
    shift = (640 - photo.shape[1]) / 2, (480 - photo.shape[0]) / 2
    move = np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]]])
    placed = cv2.warpAffine(photo, move, (640, 480), borderMode=cv2.BORDER_REPLICATE)
    rim = np.zeros((480, 640), np.float32)
    inset = 18
    left, upper = max(0, int(shift[0])) + inset, int(shift[1]) + inset if shift[1] > 0 else 0
    rim[upper : 480 - upper, left : 640 - left] = 1.0
    sharp = cv2.GaussianBlur(rim, (0, 0), inset / 2.5, borderType=cv2.BORDER_REPLICATE)[:, :, np.newaxis]
    return np.asarray(behind + (placed - behind) * sharp, np.uint8)


def _repeated(person: str, index: int) -> Iterator[RgbImage]:
    photo = injected_photo(person, generator("still", person, index))
    return (photo for _ in range(int(SECONDS * FPS)))


def _noisy(person: str, index: int) -> Iterator[RgbImage]:
    rng = generator("still", person, index)
    photo, camera = injected_photo(person, rng), Camera.draw(rng)
    return (camera.capture(photo, rng) for _ in range(int(SECONDS * FPS)))


def _slid(person: str, index: int) -> Iterator[RgbImage]:
    """The photograph shifted, rotated and scaled in the plane, under flickering light."""
    rng = generator("still", person, index)
    photo, camera, hand = injected_photo(person, rng), Camera.draw(rng), Hand(rng, 0.0)
    for number in range(int(SECONDS * FPS)):
        hold = hand.at(number / FPS)
        turn = cv2.getRotationMatrix2D((320.0, 240.0), hold.roll, hold.nearness)
        turn[:, 2] += np.array([hold.shift_x, hold.shift_y]) * 640
        moved = cv2.warpAffine(photo, turn, (640, 480), borderMode=cv2.BORDER_REFLECT)
        lit = replace(camera, gain=camera.gain * (1.0 + 0.03 * np.sin(number * 0.9)))
        yield lit.capture(np.asarray(moved, np.uint8), rng)


def photo_frames(person: str, *identity: object) -> Frames:
    """A photograph before a real camera, for attacks that show one in passing."""

    def frames() -> Iterator[RgbImage]:
        rng = generator("photo", person, *identity)
        photo, camera = injected_photo(person, rng), Camera.draw(rng)
        return (camera.capture(photo, rng) for _ in range(int(SECONDS * FPS)))

    return frames
