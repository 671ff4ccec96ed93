"""Projection of a flat sheet held before a camera, and the room around it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from core.types import RgbImage
from testkit.attacks.stage.camera import Image, Wander

SIZE = (480, 640)
"""Height and width of every frame."""

_FOCAL = 1.1 * SIZE[1]
"""Focal length in pixels: a webcam with a horizontal angle of 49 degrees."""

Plane = npt.NDArray[np.float32]
"""(height, width): one coordinate on the sheet, for each pixel of the frame."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Position of a sheet. Shift in shares of its distance, angles in degrees; `bend`: its curvature about an axis
    at `bend_axis` degrees, in radians per distance from the camera."""

    shift_x: float = 0.0
    shift_y: float = 0.0
    nearness: float = 1.0
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    bend: float = 0.0
    bend_axis: float = 0.0


class Hand:
    """Draws positions of a sheet held by hand: tremor, and tilt and bend within the given ranges about rest."""

    def __init__(self, rng: np.random.Generator, tilt_deg: float, bend: float = 0.0) -> None:
        self._shift_x, self._shift_y = Wander(rng, 0.02, 0.0006), Wander(rng, 0.015, 0.0006)
        self._nearness, self._roll = Wander(rng, 0.03), Wander(rng, 3.0, 0.15)
        self._yaw, self._pitch = Wander(rng, tilt_deg, 0.2), Wander(rng, tilt_deg * 0.6, 0.2)
        self._bend = Wander(rng, bend * 0.5)
        self._rest = Hold(
            yaw=rng.normal(0.0, 4.0),
            pitch=rng.normal(0.0, 4.0),
            roll=rng.normal(0.0, 2.0),
            bend=rng.uniform(-bend, bend),
            bend_axis=rng.uniform(-35.0, 35.0),
        )

    def at(self, seconds: float) -> Hold:
        rest = self._rest
        return Hold(
            shift_x=self._shift_x.at(seconds),
            shift_y=self._shift_y.at(seconds),
            nearness=1.0 + self._nearness.at(seconds),
            yaw=rest.yaw + self._yaw.at(seconds),
            pitch=rest.pitch + self._pitch.at(seconds),
            roll=rest.roll + self._roll.at(seconds),
            bend=rest.bend + self._bend.at(seconds),
            bend_axis=rest.bend_axis,
        )


@dataclass(frozen=True, slots=True)
class Sheet:
    """A flat picture, with everything that is fixed to it.

    `image` and `cover` (0 clear .. 1 opaque) have the same size. Their point (`middle_x`, `middle_y`), in
    pixels, is held before the camera's middle; `zoom` is frame pixels per sheet pixel there.
    """

    image: Image
    cover: npt.NDArray[np.float32]
    middle_x: float
    middle_y: float
    zoom: float


def places(hold: Hold, sheet: Sheet) -> tuple[Plane, Plane]:
    """The sheet's column and row that each pixel of the frame sees: a pinhole camera, a plane, a bent sheet."""
    across, down = _on_plane(hold)
    if abs(hold.bend) > 1e-3:
        across, down = _unbent(across, down, hold)
    scale = np.float32(_FOCAL / sheet.zoom)
    return across * scale + np.float32(sheet.middle_x), down * scale + np.float32(sheet.middle_y)


def _on_plane(hold: Hold) -> tuple[Plane, Plane]:
    """Points where the rays of the pixels meet the plane, in units of the camera's distance from it."""
    yaw, pitch, roll = np.radians([hold.yaw, hold.pitch, hold.roll])
    turn = cv2.Rodrigues(np.array([0.0, yaw, 0.0]))[0] @ cv2.Rodrigues(np.array([pitch, 0.0, 0.0]))[0]
    turn = turn @ cv2.Rodrigues(np.array([0.0, 0.0, roll]))[0]
    centre = np.array([hold.shift_x, hold.shift_y, 1.0 / hold.nearness])
    lens = np.array([[_FOCAL, 0.0, SIZE[1] / 2], [0.0, _FOCAL, SIZE[0] / 2], [0.0, 0.0, 1.0]])
    back = np.linalg.inv(lens @ np.column_stack([turn[:, 0], turn[:, 1], centre])).astype(np.float32)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    depth = back[2, 0] * columns + back[2, 1] * rows + back[2, 2]
    across = (back[0, 0] * columns + back[0, 1] * rows + back[0, 2]) / depth
    down = (back[1, 0] * columns + back[1, 1] * rows + back[1, 2]) / depth
    return across, down


def _unbent(across: Plane, down: Plane, hold: Hold) -> tuple[Plane, Plane]:
    """Places along a sheet bent to part of a cylinder: a distance d from the axis is asin(k d) / k along the paper."""
    angle, curvature = np.radians(hold.bend_axis), hold.bend
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    off, along = cos * across + sin * down, -sin * across + cos * down
    lean = np.clip(curvature * off, -0.95, 0.95)
    depth = (1.0 - np.sqrt(1.0 - lean**2)) / curvature
    off, along = np.arcsin(lean) / curvature * (1.0 + depth), along * (1.0 + depth)
    return (cos * off - sin * along).astype(np.float32), (sin * off + cos * along).astype(np.float32)


def shown(sheet: Sheet, at: tuple[Plane, Plane]) -> tuple[Image, npt.NDArray[np.float32]]:
    """The sheet in the frame, and its coverage of each pixel, (height, width, 1)."""
    image = cv2.remap(sheet.image, at[0], at[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.remap(sheet.cover, at[0], at[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0,))
    return np.asarray(image, np.float32), np.asarray(cover, np.float32)[:, :, np.newaxis]


def room(rng: np.random.Generator) -> Image:
    """A room out of focus: a wall, uneven light, some dark and bright objects."""
    wall = rng.uniform(70, 190) * (1 + rng.normal(0, 0.06, 3))
    image = np.tile(wall.astype(np.float32), (*SIZE, 1))
    for _ in range(int(rng.integers(4, 10))):
        x, y = int(rng.integers(-80, SIZE[1])), int(rng.integers(-80, SIZE[0]))
        corner = x + int(rng.integers(40, 300)), y + int(rng.integers(40, 300))
        colour = rng.uniform(20, 230) * (1 + rng.normal(0, 0.15, 3))
        cv2.rectangle(image, (x, y), corner, colour.tolist(), -1)
    light = cv2.resize(rng.uniform(0.75, 1.15, (3, 4)).astype(np.float32), SIZE[::-1], interpolation=cv2.INTER_CUBIC)
    blurred = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(6, 16)))
    return np.asarray(np.clip(blurred * light[:, :, np.newaxis], 0, 255), np.float32)


def glow(at_x: float, at_y: float, radius: float) -> npt.NDArray[np.float32]:
    """A soft spot of light, (height, width, 1), 1 in the middle; place and radius in shares of the frame's width."""
    columns = (np.arange(SIZE[1], dtype=np.float32) / SIZE[1] - at_x) / radius
    rows = (np.arange(SIZE[0], dtype=np.float32) / SIZE[1] - at_y) / radius
    spot = np.exp(-0.5 * rows**2)[:, np.newaxis] * np.exp(-0.5 * columns**2)[np.newaxis]
    return np.asarray(spot, np.float32)[:, :, np.newaxis]


def with_thumbs(image: Image, cover: npt.NDArray[np.float32], rng: np.random.Generator) -> None:
    """Draw in place the thumbs that hold a sheet, over its lower left and right edges."""
    height, width = cover.shape
    inside = np.flatnonzero(cover[height // 2] > 0.5)
    skin = np.array([205, 150, 125], np.float32) * rng.uniform(0.45, 1.1)
    for edge, lean in ((int(inside[0]), 1), (int(inside[-1]), -1)):
        centre = edge + lean * int(0.01 * width), int(height * rng.uniform(0.62, 0.8))
        axes = int(0.07 * width), int(0.03 * width)
        for grow, shade in ((1.0, 0.8), (0.75, 0.95), (0.45, 1.05)):
            part = int(axes[0] * grow), int(axes[1] * grow)
            cv2.ellipse(image, centre, part, lean * -15.0, 0, 360, (skin * shade).tolist(), -1, cv2.LINE_AA)
        cv2.ellipse(cover, centre, axes, lean * -15.0, 0, 360, (1.0,), -1, cv2.LINE_AA)


def resized(rgb: RgbImage, height: int) -> RgbImage:
    """The picture, `height` pixels high."""
    width = round(rgb.shape[1] * height / rgb.shape[0])
    method = cv2.INTER_AREA if height < rgb.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=method), np.uint8)
