"""Closes the eyes of a portrait by painting the upper lid over the eyeball."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from core.types import Points, RgbImage

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]

_MIN_WIDTH = 6.0
"""Smallest eye that can be painted, in pixels from corner to corner."""

_SAMPLES = 25
"""Points along a lid's edge, outer corner first."""

# Lengths are in widths of the eye. Above the eye the lid also covers the crease and the lashes of the
# open lid: left behind, they are a dark arc that the FaceMesh takes for an open eye.
_COVER_ABOVE = 0.2
_COVER_OUTSIDE = 0.04
_COVER_BELOW = 0.06
_SOFT_EDGE = 0.045
_DROP = 0.07
_SAG = 0.12
"""Distance of a closed eye's lashes below the lower lid: at its corners, and more at its middle."""
_LASH_THICKNESS = 0.06

_SKIN_REACH = 0.15
"""Blur radius of the skin around the eye, from which the lid takes its colour."""
_TEXTURE_BELOW = 0.8
_TEXTURE = 0.6
"""Strength of the lid's grain, and distance below the eye of the skin that it comes from."""
_LID_SHADE = 0.86
_LID_GLOSS = 0.22
"""Gloss where the lid bulges; the lid is a little darker than the skin around."""
_FINE = 4
"""Lashes are drawn this many times larger, then reduced."""


class Eyelid:
    """One eye. `upper` and `lower` are its lids' landmarks, (n, 2) pixels, outer corner first.

    Raises ValueError for an eye that is too small to paint or cut off by the picture's edge.
    """

    def __init__(self, rgb: RgbImage, upper: Points, lower: Points) -> None:
        self._upper, self._lower = _curve(upper, 4), _curve(lower, 2)
        self._width = float(np.linalg.norm(self._upper[-1] - self._upper[0]))
        self._check(rgb)
        along = (self._upper[-1] - self._upper[0]) / self._width
        self._above = np.array([along[1], -along[0]]) * (1.0 if along[0] > 0 else -1.0)
        self._bulge = np.sin(np.linspace(0.0, np.pi, _SAMPLES))[:, np.newaxis]
        self._outwards = -along * np.linspace(1.0, 0.0, _SAMPLES)[:, np.newaxis] ** 3 * _COVER_OUTSIDE * self._width
        self._window = self._place_window(rgb)
        self._move_into_window()
        self._skin, self._lash_colour = self._materials(rgb[self._window].astype(np.float32))

    def paint(self, rgb: RgbImage, closed: float) -> None:
        """Close the eye in place; `closed` is 0 (as in the portrait) to 1."""
        if closed <= 0.0:
            return
        image = rgb[self._window].astype(np.float32)
        edge = self._edge(closed)
        # Both fade in, so that the first frame of a blink does not jump.
        lid = self._lid_mask(edge) * min(1.0, 4.0 * closed)
        lashes = self._lash_mask(edge) * min(1.0, 2.0 * closed)
        image += (self._skin - image) * lid[:, :, np.newaxis]
        image += (self._lash_colour - image) * lashes[:, :, np.newaxis]
        rgb[self._window] = np.clip(image, 0, 255).astype(np.uint8)

    def _check(self, rgb: RgbImage) -> None:
        low, high = self._upper.min(axis=0), self._lower.max(axis=0)
        if self._width < _MIN_WIDTH or low.min() < 0 or high[0] >= rgb.shape[1] or high[1] >= rgb.shape[0]:
            raise ValueError("an eye is too small, or cut off by the edge of the picture")

    def _place_window(self, rgb: RgbImage) -> tuple[slice, slice]:
        middle = (self._upper + self._lower).mean(axis=0) / 2
        low = np.clip(np.floor(middle - 1.2 * self._width), 0, None).astype(int)
        high = np.ceil(middle + 1.2 * self._width).astype(int)
        return slice(low[1], min(high[1], rgb.shape[0])), slice(low[0], min(high[0], rgb.shape[1]))

    def _move_into_window(self) -> None:
        rows, columns = self._window
        corner = np.array([columns.start, rows.start], np.float64)
        self._upper, self._lower = self._upper - corner, self._lower - corner
        self._shape = rows.stop - rows.start, columns.stop - columns.start

    def _edge(self, closed: float) -> Floats:
        sag = self._above * (self._bulge * _SAG + _DROP) * self._width * closed
        return np.asarray(self._upper + (self._lower - self._upper) * closed - sag)

    def _crease(self) -> Floats:
        return np.asarray(self._upper + self._above * self._bulge**0.6 * _COVER_ABOVE * self._width + self._outwards)

    def _lid_mask(self, edge: Floats) -> Image:
        mask = _filled(self._shape, np.vstack([self._crease(), (edge + self._outwards)[::-1]]))
        soft = cv2.GaussianBlur(mask, (0, 0), max(0.6, _SOFT_EDGE * self._width))
        return np.asarray(np.minimum(1.25 * soft, 1.0), np.float32)

    def _lash_mask(self, edge: Floats) -> Image:
        height, width = self._shape
        canvas = np.zeros((height * _FINE, width * _FINE), np.uint8)
        points = np.round((edge + 0.5) * _FINE * 16).astype(int)
        thickness = _LASH_THICKNESS * self._width * _FINE * (0.35 + 0.65 * self._bulge[:, 0])
        for start, end, pixels in zip(points[:-1].tolist(), points[1:].tolist(), thickness.tolist(), strict=False):
            cv2.line(canvas, start, end, (255,), max(1, round(pixels)), cv2.LINE_AA, shift=4)
        mask = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.5), np.float32)

    def _materials(self, image: Image) -> tuple[Image, Image]:
        """The lid's skin, as large as the window, and the colour of the lashes."""
        below = self._lower - self._above * self._bulge**0.6 * _COVER_BELOW * self._width + self._outwards
        eye = _filled(self._shape, np.vstack([self._crease(), below[::-1]]))
        brightness = image.mean(axis=2)
        around = (eye < 0.1) & (self._distance() < 0.9 * self._width)
        # Brows, frames of glasses and highlights are not skin.
        low, high = np.percentile(brightness[around], (45, 92))
        skin = _smoothed(image, around & (brightness >= low) & (brightness <= high), _SKIN_REACH * self._width)
        dark = brightness <= np.percentile(brightness[eye > 0.5], 15)
        lashes = image[dark & (eye > 0.5)].mean(axis=0)
        return skin * self._shading()[:, :, np.newaxis] + self._texture(image), lashes.astype(np.float32)

    def _texture(self, image: Image) -> Image:
        grain = image - cv2.GaussianBlur(image, (0, 0), 0.06 * self._width)
        right, down = -self._above * _TEXTURE_BELOW * self._width
        take = np.array([[1.0, 0.0, right], [0.0, 1.0, down]])
        size = self._shape[1], self._shape[0]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved = cv2.warpAffine(grain, take, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
        return np.asarray(np.clip(moved, -25, 25) * _TEXTURE, np.float32)

    def _offsets(self) -> tuple[Floats, Floats]:
        """Offsets of the window's pixels from the middle of the eye, to the right and down."""
        middle = (self._upper + self._lower).mean(axis=0) / 2
        rows, columns = np.mgrid[: self._shape[0], : self._shape[1]]
        return columns - middle[0], rows - middle[1]

    def _distance(self) -> Floats:
        return np.asarray(np.hypot(*self._offsets()))

    def _shading(self) -> Image:
        right, down = self._offsets()
        height = (right * self._above[0] + down * self._above[1]) / self._width
        return np.asarray(_LID_SHADE + _LID_GLOSS * np.exp(-(((height - 0.05) / 0.12) ** 2)), np.float32)


def _curve(points: Points, degree: int) -> Floats:
    """A smooth line along landmarks, (_SAMPLES, 2)."""
    at = np.linspace(0.0, 1.0, len(points))
    samples = np.linspace(0.0, 1.0, _SAMPLES)
    return np.column_stack([np.polyval(np.polyfit(at, points[:, axis], degree), samples) for axis in (0, 1)])


def _filled(shape: tuple[int, int], polygon: Floats) -> Image:
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.round(polygon * 256).astype(np.int32)], (255,), cv2.LINE_AA, shift=8)
    return np.asarray(mask / 255, np.float32)


def _smoothed(image: Image, known: npt.NDArray[np.bool_], sigma: float) -> Image:
    """The image blurred from its known pixels only, filled in everywhere else."""
    weight = known.astype(np.float32)
    total = cv2.GaussianBlur(image * weight[:, :, np.newaxis], (0, 0), sigma)
    return np.asarray(total / np.maximum(cv2.GaussianBlur(weight, (0, 0), sigma), 1e-6)[:, :, np.newaxis], np.float32)
