"""An HNSW graph over the first rows of a row file, in a file that all processes map.

It compares the signs of vectors, 64 bytes each, by their Hamming distance: the secret rotation makes every sign as
likely as its opposite, and two vectors at an angle a differ in a share a/pi of them (M. S. Charikar, "Similarity
estimation techniques from rounding algorithms", STOC 2002). `usearch` keeps the signs in the graph's file, in front of
the links. What it finds are rows to compare exactly; so a graph may be missing or old, but it must not keep what was
erased: signs of removed rows are overwritten.
"""

from __future__ import annotations

import os
import re
import weakref
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.types import EMBEDDING_LENGTH, Embeddings
from gallery.stores import codes
from gallery.stores.base import Advance
from gallery.stores.hnsw import Hnsw
from gallery.stores.row_file import DamagedFile, RowFile, Rows

LINKS = 32
"""Links of a row to others, twice as many on the lowest level."""
EXPANSION_ADD = 128
EXPANSION_SEARCH = 1_024
FOUND = 256
"""Rows that a search of the graph yields for each probe."""
SIGN_BYTES = EMBEDDING_LENGTH // 8
ADDED_AT_ONCE = 2_000
SIGNED_AT_ONCE = 8_192
READ_AT_ONCE = 1 << 24

_NAME = re.compile(r"graph-([0-9a-f]{16})-([0-9]+)-([0-9a-f]{8})")
_MATRIX_PLACE = 8
"""Where the signs begin in a file of `usearch`, after their number and length, uint32 each."""


class Graph:
    """A graph over the first `count` rows. Raises DamagedFile for a file that is not whole."""

    def __init__(self, path: Path, file: RowFile) -> None:
        name = _NAME.fullmatch(path.name)
        if name is None or int(name[1], 16) != file.header.generation:
            raise DamagedFile("the graph is of another row file")
        self.path = path
        self.count = int(name[2])
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._descriptor)
        self._size = os.fstat(self._descriptor).st_size
        self._check(file, int(name[3], 16))
        found = Hnsw.restore(path, view=True, expansion_search=EXPANSION_SEARCH)
        if found is None or len(found) > self.count:
            raise DamagedFile("the graph cannot be read")
        self._hnsw = found

    @property
    def is_whole(self) -> bool:
        """Whether the file has the size that it had when it was opened."""
        return os.fstat(self._descriptor).st_size == self._size

    def nearest(self, probes: Embeddings) -> Rows:
        """Rows that are similar to any of the probes."""
        signs = codes.signs(codes.encode(probes).codes)
        found = [self._hnsw.search(probe, FOUND, threads=1).keys for probe in signs]
        return np.unique(np.concatenate(found)).astype(np.intp)

    def forget(self, coded: codes.Codes) -> None:
        """Overwrite the signs of these codes, (n, dimension), with zeros."""
        for one in codes.signs(coded):
            for place in self._places_of(one):
                _overwrite(self._descriptor, int(place))

    def _places_of(self, signs: codes.Signs) -> npt.NDArray[np.intp]:
        matrix = self._matrix()
        alike = np.flatnonzero(matrix.view("<u8")[:, 0] == signs[:8].view("<u8")[0])
        same: npt.NDArray[np.bool_] = (matrix[alike] == signs).all(axis=1)
        return alike[same]

    def _matrix(self) -> codes.Signs:
        rows = int(np.fromfile(self.path, "<u4", 1)[0])
        return np.memmap(self.path, np.uint8, "r", _MATRIX_PLACE, (rows, SIGN_BYTES))

    def _check(self, file: RowFile, links_checksum: int) -> None:
        rows, length = np.frombuffer(os.pread(self._descriptor, 8, 0).ljust(8, b"\0"), "<u4")
        if length != SIGN_BYTES or rows > self.count or _links_place(int(rows)) >= self._size:
            raise DamagedFile("the graph's file is truncated or of another kind")
        if _checksum(self._descriptor, _links_place(int(rows))) != links_checksum:
            raise DamagedFile("the graph's links differ from their checksum")
        if _sum([self._matrix()]) != _sum(_signs_of(file.codes[: self.count])):
            raise DamagedFile("the graph's signs are not those of the rows")


def build(file: RowFile, count: int, path: Path, advance: Advance) -> Rows:
    """Write a graph over the first rows to the path; returns the row of each of its signs, in their order.

    It takes long, on one thread that lets others compute meanwhile.
    """
    hnsw = Hnsw(
        ndim=EMBEDDING_LENGTH,
        metric="hamming",
        dtype="b1",
        connectivity=LINKS,
        expansion_add=EXPANSION_ADD,
        enable_key_lookups=False,
    )
    added = [np.empty(0, np.intp)]
    for begin in range(0, count, ADDED_AT_ONCE):
        part = np.arange(begin, min(begin + ADDED_AT_ONCE, count))
        kept = part[file.pks[part] != 0]
        if len(kept):
            hnsw.add(kept, codes.signs(file.codes[kept]), threads=1)
            added.append(kept)
        advance(int(part[-1]) + 1, count)
    path.unlink(missing_ok=True)
    path.touch(0o600)
    hnsw.save(path)
    return np.concatenate(added)


def publish(path: Path, file: RowFile, count: int, rows: Rows) -> None:
    """Give a graph that was built its name. The caller holds the lock: what was removed meanwhile is overwritten."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        for place in np.flatnonzero(file.pks[rows] == 0):
            _overwrite(descriptor, int(place))
        checksum = _checksum(descriptor, _links_place(len(rows)))
    finally:
        os.close(descriptor)
    path.replace(path.with_name(f"graph-{file.header.generation:016x}-{count}-{checksum:08x}"))


def _links_place(rows: int) -> int:
    return _MATRIX_PLACE + rows * SIGN_BYTES


def _overwrite(descriptor: int, place: int) -> None:
    os.pwrite(descriptor, bytes(SIGN_BYTES), _links_place(place))


def _checksum(descriptor: int, begin: int) -> int:
    found = 0
    while part := os.pread(descriptor, READ_AT_ONCE, begin):
        found = zlib.crc32(part, found)
        begin += len(part)
    return found


def _signs_of(coded: codes.Codes) -> Iterator[codes.Signs]:
    for begin in range(0, len(coded), SIGNED_AT_ONCE):
        yield codes.signs(coded[begin : begin + SIGNED_AT_ONCE])


def _sum(parts: Iterable[codes.Signs]) -> int:
    """A sum of all signs that does not depend on their order; those of removed rows, which are zeros, add nothing."""
    return sum(int((part.view("<u8") @ _WEIGHTS).sum(dtype=np.uint64)) for part in parts) % 2**64


_WEIGHTS = np.random.default_rng(2).integers(0, 2**63, SIGN_BYTES // 8, np.uint64) | np.uint64(1)
