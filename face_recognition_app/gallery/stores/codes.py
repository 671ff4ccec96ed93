"""Vectors in eight bits a component, for a first comparison with many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.types import EMBEDDING_LENGTH

LARGEST = 127
STEP = 5.0 / (LARGEST * EMBEDDING_LENGTH**0.5)
"""One unit of a code. A component of a unit vector is about 1/sqrt(dimension); five times that is still told apart."""

HALF = 2.0**-11
"""What float16 loses at most of a component, against its size."""

Codes = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Coded:
    """Codes of vectors, (n, dimension). `residual`: the greatest length of vector minus code times STEP, also of the
    vector's float16 form; `reach`: the greatest length of code times STEP.
    """

    codes: Codes
    residual: float
    reach: float


def encode(vectors: npt.NDArray[np.float32]) -> Coded:
    coded = np.rint(vectors * np.float32(1 / STEP))
    np.clip(coded, -LARGEST, LARGEST, out=coded)
    codes = coded.astype(np.int8)
    coded *= np.float32(STEP)
    reach = _longest(coded)
    residual = _longest(np.subtract(vectors, coded, out=coded))
    return Coded(codes, residual + HALF * (reach + residual), reach)


def _longest(vectors: npt.NDArray[np.float32]) -> float:
    return float(np.sqrt(np.einsum("ij,ij->i", vectors, vectors).max(initial=0.0)))
