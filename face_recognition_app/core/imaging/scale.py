"""Reduction at which a picture is decoded: at a half, a quarter or an eighth it takes a fraction of the time."""

from __future__ import annotations

import math

from core.face_mesh import Tracking
from core.imaging.frames import REDUCTIONS, Header

_REGION_PX = 256
"""Least side of a face's region after reduction: the input size of the larger mesh network, which sees new faces. The
embedding's crop needs less than half of that scale."""
_SMALLEST_REGION = 0.135
"""Region of the smallest face that the detector finds, as a share of the picture's larger side. It found 23 of 52
faces that measure a tenth of that side, and none that are smaller."""


_SMALLEST_FOUND = 0.15
"""Width of a face that the detector hardly ever misses, as a share of the picture's larger side."""


def reduction_for_tracked(tracking: Tracking) -> int:
    """Largest reduction for a LIGHT analysis that keeps every tracked face at the mesh network's input size."""
    return _reduction(min((face.region.side for face in tracking.faces), default=0.0))


def reduction_for_still(header: Header) -> int:
    """Largest reduction for a single picture that keeps every face that the detector can find."""
    return _reduction(_SMALLEST_REGION * max(header.size))


def closer_looks_at_still(size: tuple[int, int], smallest_px: float) -> int:
    """Times that the scale at which faces are looked for must be doubled to find one of that width."""
    return max(0, math.ceil(math.log2(_SMALLEST_FOUND * max(size) / smallest_px)))


def _reduction(side_px: float) -> int:
    return max(reduction for reduction in REDUCTIONS if reduction == 1 or side_px / reduction >= _REGION_PX)
