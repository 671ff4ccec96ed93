"""Piecewise-affine warping: an image drawn through a mesh of triangles that may overlap."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from core.types import RgbImage

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Places = npt.NDArray[np.float32]
"""(height, width, 2): the place in the source that each pixel comes from, x then y."""

_SEAM = 2.0
"""An edge runs between neighbouring pixels whose places differ by more than this many pixels."""


def rasterise(points: Floats, triangles: Indices, size: tuple[int, int]) -> npt.NDArray[np.int32]:
    """Index of the triangle that covers each pixel of a (height, width) image, -1 for none; the last one wins."""
    covered = np.full(size, -1, np.int32)
    corners = np.round(points[triangles] * 256).astype(np.int32)
    for index, corner in enumerate(corners):
        cv2.fillConvexPoly(covered, corner, (index,), shift=8)
    return covered


def sampling_places(covered: npt.NDArray[np.int32], source: Floats, target: Floats, triangles: Indices) -> Places:
    """Each pixel's place in the source; an uncovered pixel stays where it is."""
    rows, columns = np.mgrid[: covered.shape[0], : covered.shape[1]].astype(np.float32)
    places = np.dstack([columns, rows])
    inside = covered >= 0
    owner = covered[inside]
    pixels = np.column_stack([columns[inside], rows[inside], np.ones(len(owner), np.float32)])
    shares = np.einsum("ni,nij->nj", pixels, _barycentric(target[triangles]).astype(np.float32)[owner])
    # Rounding draws pixels just outside a triangle; in a thin one they would extrapolate far away.
    shares = np.clip(shares, 0.0, 1.0)
    shares /= np.maximum(shares @ np.ones((3, 1), np.float32), 1e-6)
    places[inside] = np.einsum("nj,njk->nk", shares, source[triangles].astype(np.float32)[owner])
    return places


def _barycentric(corners: Floats) -> Floats:
    """(n, 3, 3) matrices that take (x, y, 1) to shares of the three corners; least squares where a triangle is flat."""
    return np.linalg.pinv(np.dstack([corners, np.ones((*corners.shape[:2], 1))]))


def sample(rgb: RgbImage, places: Places) -> RgbImage:
    """Sample the source at `places`; beyond its border the last pixels repeat."""
    image = cv2.remap(rgb, places, np.empty(0, np.float32), cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(image, np.uint8)


def soften_seams(image: RgbImage, places: Places) -> RgbImage:
    """Blur along occlusion edges, which the mesh leaves jagged."""
    seams = cv2.GaussianBlur(_jumps(places).astype(np.float32), (3, 3), 0)[:, :, np.newaxis]
    smooth = cv2.GaussianBlur(image, (3, 3), 0).astype(np.float32)
    return np.asarray(image + (smooth - image) * np.minimum(2 * seams, 1.0), np.uint8)


def _jumps(places: Places) -> npt.NDArray[np.bool_]:
    jumps = np.zeros(places.shape[:2], bool)
    across = _far_apart(places[:, :-1], places[:, 1:])
    down = _far_apart(places[:-1], places[1:])
    jumps[:, :-1] |= across
    jumps[:, 1:] |= across
    jumps[:-1] |= down
    jumps[1:] |= down
    return jumps


def _far_apart(one: Places, other: Places) -> npt.NDArray[np.bool_]:
    far = np.abs(one - other) > _SEAM
    return np.asarray(far[:, :, 0] | far[:, :, 1])
