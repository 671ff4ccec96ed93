"""Detection of moire: a camera that films a display records its pixel grid as a regular pattern, which skin lacks."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from core.types import MeshFace, RgbImage

_SIDE = 128
_LOWEST = 0.12
"""Lowest frequency searched, cycles per pixel. The features of a face lie below."""
_AROUND, _OWN = 5, 2
"""Half sides of two squares of the spectrum about a peak: it is compared with the outer square without the inner."""
_CODEC = 1.3
"""Decades by which an exactly horizontal or vertical pattern must be stronger: codecs leave their blocks and their
halved colour there, up to 1.2 above the limit in clips and press photographs."""

Spectrum = npt.NDArray[np.float32]
"""(_SIDE, _SIDE // 2 + 1)."""

_THIRD = np.float32(1 / 3)
_FLOOR = np.float32(1e-3)
_DECADES = np.float32(1 / np.log(10))
_WINDOW = np.outer(np.hanning(_SIDE), np.hanning(_SIDE)).astype(np.float32)
_DOWN, _ACROSS = np.abs(np.fft.fftfreq(_SIDE))[:, np.newaxis], np.fft.rfftfreq(_SIDE)[np.newaxis]
_IN_BAND = np.hypot(_DOWN, _ACROSS) >= _LOWEST


def _handicap() -> Spectrum:
    edge = 1.6 / _SIDE
    upright = [(plane < edge) | (plane > 0.5 - edge) for plane in (_DOWN, _ACROSS)]
    return np.where(upright[0] | upright[1], np.float32(_CODEC), np.float32(0.0)).astype(np.float32)


_HANDICAP = _handicap()


def moire_peak(rgb: RgbImage, face: MeshFace) -> float | None:
    """Height of the strongest regular pattern in the face above its surroundings in the spectrum, decades of power.

    The larger of brightness and colour (red less blue); None when the frame is smaller than the patch. `rgb` must be
    at full scale: scaling removes the pixel grid.
    """
    spectra = standing_out(rgb, face)
    return None if spectra is None else max(float(spectrum.max()) for spectrum in spectra)


def standing_out(rgb: RgbImage, face: MeshFace) -> tuple[Spectrum, Spectrum] | None:
    """Spectra of brightness and colour relative to their surroundings, decades; -inf outside the searched band."""
    patch = _patch(rgb, face)
    if patch is None:
        return None
    red, green, blue = cv2.split(patch.astype(np.float32))
    return _stands_out((red + green + blue) * _THIRD), _stands_out(red - blue)


def _patch(rgb: RgbImage, face: MeshFace) -> RgbImage | None:
    height, width = rgb.shape[:2]
    if min(height, width) < _SIDE:
        return None
    middle = face.points[:, :2].mean(axis=0)
    left = int(np.clip(middle[0] - _SIDE / 2, 0, width - _SIDE))
    top = int(np.clip(middle[1] - _SIDE / 2, 0, height - _SIDE))
    return rgb[top : top + _SIDE, left : left + _SIDE]


def _stands_out(plane: npt.NDArray[np.float32]) -> Spectrum:
    spectrum = cv2.dft((plane - plane.mean()) * _WINDOW, flags=cv2.DFT_COMPLEX_OUTPUT)[:, : _SIDE // 2 + 1]
    decades = cv2.log(spectrum[:, :, 0] ** 2 + spectrum[:, :, 1] ** 2 + _FLOOR) * _DECADES
    return np.where(_IN_BAND, decades - _around(decades) - _HANDICAP, np.float32(-np.inf))


def _around(decades: Spectrum) -> Spectrum:
    """Mean of each frequency's neighbours. Rows wrap around; columns are mirrored, since the spectrum is halved."""
    rows = np.concatenate([decades[-_AROUND:], decades, decades[:_AROUND]])
    padded = cv2.copyMakeBorder(rows, 0, 0, _AROUND, _AROUND, cv2.BORDER_REFLECT_101)
    wide, own = (cv2.boxFilter(padded, -1, (2 * n + 1, 2 * n + 1), normalize=False) for n in (_AROUND, _OWN))
    count = (2 * _AROUND + 1) ** 2 - (2 * _OWN + 1) ** 2
    return np.asarray((wide - own)[_AROUND:-_AROUND, _AROUND:-_AROUND] / np.float32(count), np.float32)
