"""Another embedding network, for tests: the pinned one, with its outputs in another order.

It recognises as well as the pinned one, and its vectors have nothing in common with the vectors of that.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from core.features.embedder.profile import PINNED, write_profile
from core.types import EMBEDDING_LENGTH
from weights.catalogue import digest_of

_OUTPUT, _BEFORE = b"output", b"former"
_PRODUCED = bytes([0x12, len(_OUTPUT)])
"""Beginning of the field of a node that names its output."""


def write_other_network(pinned: Path, path: Path, seed: int = 1) -> Path:
    """Write the network and its profile. `seed`: of the order. Returns `path`."""
    network = pinned.read_bytes()
    assert network.count(_PRODUCED + _OUTPUT) == 1
    renamed = network.replace(_PRODUCED + _OUTPUT, _PRODUCED + _BEFORE)
    # A second part of the graph is merged with the first.
    path.write_bytes(renamed + _field(7, _node() + _order(seed)))
    write_profile(path, replace(PINNED, sha256=digest_of(path)))
    return path


def _node() -> bytes:
    axis = _field(5, _field(1, b"axis") + _number(3, 1) + _number(20, 2))
    return _field(1, _field(1, _BEFORE) + _field(1, b"order") + _field(2, _OUTPUT) + _field(4, b"Gather") + axis)


def _order(seed: int) -> bytes:
    order = np.random.default_rng(seed).permutation(EMBEDDING_LENGTH).astype("<i8")
    return _field(5, _number(1, EMBEDDING_LENGTH) + _number(2, 7) + _field(8, b"order") + _field(9, order.tobytes()))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
