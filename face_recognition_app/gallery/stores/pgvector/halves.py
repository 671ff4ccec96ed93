"""Halfvec, pgvector's vector of float16, in the forms in which it is sent and received."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from core.types import EMBEDDING_LENGTH, Embedding, Embeddings

Halves = npt.NDArray[np.float16]
"""Vectors as the database holds them, (n, dimension)."""

_HEAD = struct.pack(">HH", EMBEDDING_LENGTH, 0)
"""Beginning of the binary form: the dimension, and a field that is not used. Float16 numbers follow, big-endian."""


def halves_of(vectors: Embeddings) -> Halves:
    return vectors.astype(np.float16)


def to_binary(row: npt.NDArray[np.float16]) -> bytes:
    return _HEAD + row.astype(">f2").tobytes()


def from_binary(rows: Sequence[bytes]) -> Embeddings:
    """Vectors from their binary forms, as float32, (n, dimension). Raises ValueError for another dimension."""
    if any(len(row) != len(_HEAD) + 2 * EMBEDDING_LENGTH for row in rows):
        raise ValueError(f"a vector in the database has not {EMBEDDING_LENGTH} dimensions")
    numbers = np.frombuffer(b"".join(row[len(_HEAD) :] for row in rows), ">f2")
    return numbers.astype(np.float32).reshape(len(rows), EMBEDDING_LENGTH)


def to_text(vector: Embedding) -> str:
    """Text form, for a vector that is part of a query."""
    return f"[{','.join(map(str, vector.tolist()))}]"
