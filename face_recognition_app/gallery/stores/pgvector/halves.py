"""Halfvec, pgvector's vector of float16, in the forms in which it is sent."""

from __future__ import annotations

import struct

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


def to_text(vector: Embedding) -> str:
    """Text form, for a vector that is part of a query."""
    return f"[{','.join(map(str, vector.tolist()))}]"
