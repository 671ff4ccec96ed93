"""The grid of a display, as a sensor samples it: regular, where skin is not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.types import MeshFace, RgbImage

_SIDE = 128
_LOWEST, _HIGHEST = 0.12, 0.49
"""Cycles per pixel. Below are the features of a face; at the top is what JPEG and demosaicing leave."""

Spectrum = npt.NDArray[np.float64]

_WINDOW = np.outer(np.hanning(_SIDE), np.hanning(_SIDE)).astype(np.float32)
_FREQUENCY: Spectrum = np.hypot(np.fft.fftfreq(_SIDE)[:, np.newaxis], np.fft.rfftfreq(_SIDE)[np.newaxis])
_BAND = (_FREQUENCY >= _LOWEST) & (_FREQUENCY <= _HIGHEST)
_RING = (_FREQUENCY * _SIDE / 2).astype(int)
_PLACES_OF_RING = [np.flatnonzero(number == _RING) for number in range(int(_RING.max()) + 1)]


def moire_peak(rgb: RgbImage, face: MeshFace) -> float | None:
    """How far the strongest regular pattern in the face stands out of its surroundings, decades of power.

    The larger of brightness and colour (red less blue); None where the frame is smaller than the patch.
    The frame's own pixels are looked at: a scaled picture has no grid any more.
    """
    patch = _patch(rgb, face)
    if patch is None:
        return None
    planes = patch.astype(np.float32)
    return max(_peak(planes.mean(axis=2)), _peak(planes[:, :, 0] - planes[:, :, 2]))


def _patch(rgb: RgbImage, face: MeshFace) -> RgbImage | None:
    height, width = rgb.shape[:2]
    if min(height, width) < _SIDE:
        return None
    middle = face.points[:, :2].mean(axis=0)
    left = int(np.clip(middle[0] - _SIDE / 2, 0, width - _SIDE))
    top = int(np.clip(middle[1] - _SIDE / 2, 0, height - _SIDE))
    return rgb[top : top + _SIDE, left : left + _SIDE]


def _peak(plane: npt.NDArray[np.float32]) -> float:
    spectrum = np.abs(np.fft.rfft2((plane - plane.mean()) * _WINDOW)) ** 2
    around = np.array([np.median(spectrum.flat[places]) for places in _PLACES_OF_RING])
    return float(np.log10((spectrum[_BAND] / (around[_RING[_BAND]] + 1e-3)).max() + 1e-9))
