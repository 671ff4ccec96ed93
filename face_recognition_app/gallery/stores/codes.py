"""Vectors in eight bits a component, for a first comparison with many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.types import EMBEDDING_LENGTH

LARGEST = 127
STEP = 5.0 / (LARGEST * EMBEDDING_LENGTH**0.5)
"""One unit of a code. A component of a unit vector is about 1/sqrt(dimension); five times that is still told apart."""

Codes = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Coded:
    """Codes of vectors, (n, dimension). `residual`: the greatest length of vector minus code times STEP; `reach`: the
    greatest length of code times STEP.
    """

    codes: Codes
    residual: float
    reach: float


def encode(vectors: npt.NDArray[Any]) -> Coded:
    exact = vectors.astype(np.float32)
    coded = np.clip(np.rint(exact / STEP), -LARGEST, LARGEST)
    decoded = coded * np.float32(STEP)
    residual, reach = _longest(exact - decoded), _longest(decoded)
    return Coded(coded.astype(np.int8), residual, reach)


def _longest(vectors: npt.NDArray[np.float32]) -> float:
    return float(np.linalg.norm(vectors, axis=1).max(initial=0.0))
