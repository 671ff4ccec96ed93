"""Vectors in eight bits a component, for a first comparison with many, and what that leaves, for the exact one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numkong
import numpy as np
import numpy.typing as npt

from core.types import EMBEDDING_LENGTH

LARGEST = 127
STEP = 5.0 / (LARGEST * EMBEDDING_LENGTH**0.5)
"""One unit of a code. A component of a unit vector is about 1/sqrt(dimension); five times that is still told apart."""

HALF = 2.0**-11
"""What float16 loses at most of a component, against its size."""

Codes = npt.NDArray[np.int8]
Remainders = npt.NDArray[np.float16]
Signs = npt.NDArray[np.uint64]

SIGN_WORDS = EMBEDDING_LENGTH // 64


@dataclass(frozen=True, slots=True)
class Coded:
    """Codes of vectors, and their remainders: what a vector is more than its code times STEP; each (n, dimension).
    `residual`: the greatest length of a remainder, and `reach` of a code times STEP.

    Float16 is enough for a remainder: it is so small that a similarity loses 1e-7 by it.
    """

    codes: Codes
    remainders: Remainders
    residual: float
    reach: float


def encode(vectors: npt.NDArray[np.float32]) -> Coded:
    coded = np.rint(vectors * np.float32(1 / STEP))
    np.clip(coded, -LARGEST, LARGEST, out=coded)
    codes = coded.astype(np.int8)
    coded *= np.float32(STEP)
    reach = _longest(coded)
    remainders = np.subtract(vectors, coded, out=coded)
    return Coded(codes, _cast(remainders, "float16"), (1 + HALF) * _longest(remainders), reach)


def decode(codes: Codes, remainders: Remainders) -> npt.NDArray[np.float32]:
    """The vectors again, as float32."""
    vectors = codes.astype(np.float32)
    vectors *= np.float32(STEP)
    vectors += _cast(remainders, "float32")
    return vectors


def signs(vectors: npt.NDArray[np.float32]) -> Signs:
    """One bit of each component, whether it is positive: (n, SIGN_WORDS)."""
    return np.packbits(vectors > 0, axis=1).view("<u8")


def _cast(values: npt.NDArray[Any], dtype: Literal["float16", "float32"]) -> npt.NDArray[Any]:
    """Do as `astype`, which takes 15 ns for a float16 below its normal range, as most of a remainder's are."""
    return np.asarray(numkong.astype(values, dtype))


def _longest(vectors: npt.NDArray[np.float32]) -> float:
    return float(np.sqrt(np.einsum("ij,ij->i", vectors, vectors).max(initial=0.0)))
