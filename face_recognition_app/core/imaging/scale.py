"""How much smaller than it is a picture may be decoded: a half, a quarter or an eighth takes a fraction of the time."""

from __future__ import annotations

from core.face_mesh import Tracking
from core.imaging.frames import REDUCTIONS, Header

_REGION_PX = 256
"""Least side of a face's region: of so many pixels the larger mesh, which looks at new faces, makes its picture. What
is compared has less than half of the scale."""
_SMALLEST_REGION = 0.135
"""Share of a picture's larger side: the region of the smallest face that the detector finds. Of 52 faces that take a
tenth of that side it found 23, of smaller ones none."""


def reduction_for_followed(tracking: Tracking) -> int:
    """For a LIGHT look at a frame of a session: every face that is followed is seen as well as in the whole frame."""
    return _reduction(min((face.region.side for face in tracking.faces), default=0.0))


def reduction_for_stranger(header: Header) -> int:
    """For a single picture: whatever face the detector can find in it."""
    return _reduction(_SMALLEST_REGION * max(header.size))


def _reduction(side_px: float) -> int:
    return max(reduction for reduction in REDUCTIONS if reduction == 1 or side_px / reduction >= _REGION_PX)
