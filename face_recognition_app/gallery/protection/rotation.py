"""Secret rotation of embeddings: whoever does not know it cannot compare them with others, and cosines are kept."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from core.types import EMBEDDING_LENGTH, Embeddings

ROUNDS = 3
MATRIX_PAYS = 256
"""Rows from which one product with the whole matrix, once made, is faster than the rounds."""
MATRICES_KEPT = 8
"""1 MiB each."""
_SIGN_BYTES = EMBEDDING_LENGTH // 8
_ORDER_BYTES = EMBEDDING_LENGTH * 8


def _hadamard() -> npt.NDArray[np.float32]:
    """Walsh-Hadamard matrix, symmetric, of ones and minus ones."""
    matrix = np.ones((1, 1), np.float32)
    while len(matrix) < EMBEDDING_LENGTH:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


_HADAMARD = _hadamard()
_SCALE = np.float32(EMBEDDING_LENGTH**-0.5)


class Rotation:
    """An orthonormal map of 512 dimensions, chosen by a secret seed.

    Each of three rounds flips signs, permutes, and applies the Walsh-Hadamard matrix. All choices are bits of
    SHAKE-256 of the seed, so that every machine makes the same map. It takes 19 KiB.
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        stream = hashlib.shake_256(seed).digest(ROUNDS * (_SIGN_BYTES + _ORDER_BYTES))
        parts = [stream[begin:] for begin in range(0, len(stream), _SIGN_BYTES + _ORDER_BYTES)]
        self._rounds = [(_signs(part), _order(part[_SIGN_BYTES:])) for part in parts]

    def turn(self, embeddings: Embeddings) -> Embeddings:
        """Turn each row of (n, 512)."""
        return self.step_by_step(embeddings) if len(embeddings) < MATRIX_PAYS else embeddings @ _matrix(self._seed)

    def turn_back(self, turned: Embeddings) -> Embeddings:
        if len(turned) >= MATRIX_PAYS:
            return turned @ _matrix(self._seed).T
        for signs, order in reversed(self._rounds):
            mixed = turned @ _HADAMARD
            turned = np.empty_like(mixed)
            turned[:, order] = mixed
            turned *= signs * _SCALE
        return turned

    def step_by_step(self, embeddings: Embeddings) -> Embeddings:
        for signs, order in self._rounds:
            embeddings = (embeddings * (signs * _SCALE))[:, order] @ _HADAMARD
        return embeddings


def forget_matrices() -> None:
    """Drop what was made of seeds, among which there may be one of a deleted secret."""
    _matrix.cache_clear()


@lru_cache(maxsize=MATRICES_KEPT)
def _matrix(seed: bytes) -> Embeddings:
    return Rotation(seed).step_by_step(np.eye(EMBEDDING_LENGTH, dtype=np.float32))


def _signs(part: bytes) -> npt.NDArray[np.float32]:
    bits = np.unpackbits(np.frombuffer(part[:_SIGN_BYTES], np.uint8))
    return (1 - 2 * bits.astype(np.float32)).astype(np.float32)


def _order(part: bytes) -> npt.NDArray[np.intp]:
    """A permutation: the order of 512 random numbers of 64 bits."""
    return np.argsort(np.frombuffer(part[:_ORDER_BYTES], "<u8"), kind="stable")
