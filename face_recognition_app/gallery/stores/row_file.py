"""One file with the templates of a gallery, mapped by every process that searches them.

Rows are appended to spare room and become part of the gallery when a new state is published. A removed row becomes a
tombstone: its id is 0, and the rest of it is overwritten with zeros. Rows never move; a new file replaces the old one.

One process writes at a time, which the caller's lock ensures. Readers take no lock. They see a removed row either whole
or with the id 0, because the id is overwritten first and read last. Writing is by `pwrite`: a full disk raises OSError,
where a write to mapped memory would kill the process.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import secrets
import struct
import weakref
import zlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.types import EMBEDDING_LENGTH, Embeddings
from gallery.changes import Point
from gallery.stores import codes

FORMAT = b"FACEROW3"
PAGE_BYTES = 4_096
SUBJECT_BYTES = 128
VERIFIED_AT_ONCE = 2_048
"""Rows that are read and compared with their checksums at once: 3.6 MB."""
SIGNS = [f"signs {number}" for number in range(codes.SIGN_WORDS)]
"""Each word of the signs is a column of its own: a search reads some of them, one after the other."""

_HEADER = struct.Struct("<8sIQQqq64s")
"""Format, dimension, capacity, generation, epoch, tenant, model."""
_STATE = struct.Struct("<QqQQQdd")
"""Number of the state, revision, mark, count, removed, residual, reach."""
_CHECKSUM = struct.Struct("<I")
_STATE_PLACES = (1_024, 2_048)
_UNFINISHED_PLACE = 3_072
_REMOVALS_PLACE = 3_080

_pread = ctypes.PyDLL(None, use_errno=True).pread
"""Reads without giving the interpreter's lock up, unlike `os.pread`: a search reads a hundred rows, and would wait for
the lock as often."""
_pread.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64]
_pread.restype = ctypes.c_ssize_t

Rows = npt.NDArray[np.intp]
Array = npt.NDArray[Any]


class DamagedFile(Exception):
    """The file cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The gallery that a file is of: when its tenant was created, in microseconds, and the model of its templates."""

    tenant_created_us: int
    model_id: str


@dataclass(frozen=True, slots=True)
class State:
    """What is published of a file: `count` rows, tombstones included, are the gallery at `point`.

    `residual` and `reach` are the largest of all rows, see `codes.Coded`.
    """

    point: Point
    count: int
    removed: int
    residual: float
    reach: float


@dataclass(frozen=True, slots=True)
class Page:
    """Some templates, row by row."""

    pks: npt.NDArray[np.int64]
    subjects: Array
    coded: codes.Coded
    signs: codes.Signs

    @classmethod
    def of(cls, pks: Sequence[int], subjects: Sequence[str], vectors: Embeddings) -> Page:
        names = np.array([name.encode() for name in subjects], f"S{SUBJECT_BYTES}")
        return cls(np.array(pks, np.int64), names, codes.encode(vectors), codes.signs(vectors))


@dataclass(frozen=True, slots=True)
class Header:
    """What a file is made with. `generation` is a random number that no other file has."""

    identity: Identity
    epoch: int
    capacity: int
    generation: int

    @classmethod
    def parse(cls, content: bytes) -> Header:
        kind, dimension, capacity, generation, epoch, created_us, model = _parse(_HEADER, content)
        if kind != FORMAT or dimension != EMBEDDING_LENGTH:
            raise DamagedFile("it has another format")
        return cls(Identity(created_us, model.rstrip(b"\0").decode()), epoch, capacity, generation)

    def packed(self) -> bytes:
        created_us, model = self.identity.tenant_created_us, self.identity.model_id.encode()
        return _with_checksum(
            _HEADER.pack(FORMAT, EMBEDDING_LENGTH, self.capacity, self.generation, self.epoch, created_us, model)
        )


@dataclass(frozen=True, slots=True)
class _Column:
    offset: int
    width: int

    def view(self, mapping: mmap.mmap, capacity: int, dtype: str, columns: int = 0) -> Array:
        shape = (capacity, columns) if columns else (capacity,)
        return np.ndarray(shape, dtype, buffer=mapping, offset=self.offset)


class RowFile:
    """An open row file. Its arrays have a row for each template there is room for, and are read-only."""

    def __init__(self, path: Path, descriptor: int) -> None:
        weakref.finalize(self, os.close, descriptor)
        self.path = path
        self._descriptor = descriptor
        found = os.fstat(descriptor)
        self.inode = (found.st_dev, found.st_ino)
        content = os.pread(descriptor, PAGE_BYTES, 0)
        self.header = Header.parse(content)
        self._packed_header = content[: _HEADER.size]
        self.capacity = self.header.capacity
        columns, size = _columns(self.capacity)
        if found.st_size != size:
            raise DamagedFile(f"it has {found.st_size} bytes in place of {size}")
        self.size = size
        self._columns = columns
        mapping = mmap.mmap(descriptor, size, prot=mmap.PROT_READ)
        self.pks = columns["pks"].view(mapping, self.capacity, "<i8")
        self.codes = columns["codes"].view(mapping, self.capacity, "i1", EMBEDDING_LENGTH)
        self.signs = [columns[name].view(mapping, self.capacity, "<u8") for name in SIGNS]
        self._mapping = mapping

    @classmethod
    def create(cls, path: Path, identity: Identity, epoch: int, capacity: int) -> RowFile:
        """Make an empty file in place of what is at the path. Unwritten rows take no room on the disk."""
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, _columns(capacity)[1])
            _write(descriptor, Header(identity, epoch, capacity, secrets.randbits(64)).packed(), 0)
            for place in _STATE_PLACES:
                _write(descriptor, _packed(State(Point(-1), 0, 0, 0.0, 0.0), 0), place)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor)

    @classmethod
    def open(cls, path: Path, identity: Identity) -> RowFile:
        """Raises FileNotFoundError, and DamagedFile for a file that is of another gallery, truncated or corrupt."""
        file = cls(path, os.open(path, os.O_RDWR | os.O_CLOEXEC))
        if file.header.identity != identity:
            raise DamagedFile("it is of another gallery")
        file._verify(file.state())
        return file

    def state(self) -> State:
        """The state that was published last. Raises DamagedFile when there is none."""
        return self._numbered_state()[1]

    def check(self) -> None:
        """Raises DamagedFile when another file was written over this one, or a part was cut off: reading beyond the end
        of a mapped file kills the process."""
        found = os.fstat(self._descriptor).st_size
        if found != self.size:
            raise DamagedFile(f"it has {found} bytes in place of {self.size}")
        if self._mapping[: _HEADER.size] != self._packed_header:
            raise DamagedFile("another one was written over it")

    @property
    def removals(self) -> int:
        """Number of changes that have removed rows, also of one that has just begun with it."""
        return int.from_bytes(self._mapping[_REMOVALS_PLACE : _REMOVALS_PLACE + 8], "little")

    def picked(self, name: str, rows: Rows) -> Array:
        """These rows of a column, (n, width) bytes. Raises DamagedFile when the file was cut off meanwhile.

        They are read from the file: of what is read through the mapping up to 2 MiB around each row become resident.
        """
        column = self._columns[name]
        found = np.empty((len(rows), column.width), "u1")
        begins = np.flatnonzero(np.diff(rows, prepend=-2) != 1)  # Of rows that follow each other.
        sizes = np.diff(begins, append=len(rows)) * column.width
        addresses = found.ctypes.data + begins * column.width
        offsets = column.offset + rows[begins] * column.width
        for address, size, offset in zip(addresses.tolist(), sizes.tolist(), offsets.tolist(), strict=True):
            done = _pread(self._descriptor, address, size, offset)
            if done < 0:
                raise OSError(ctypes.get_errno(), f"{self.path} cannot be read")
            if done != size:
                raise DamagedFile("it ends too early")
        return found

    def room(self, state: State) -> int:
        return self.capacity - state.count

    def rows_of(self, pks: Collection[int], count: int) -> Rows:
        """The rows, of the first `count`, with these ids."""
        wanted = np.fromiter(pks, np.int64, len(pks))
        return np.flatnonzero(np.isin(self.pks[:count], wanted)) if len(wanted) else np.empty(0, np.intp)

    def begin(self) -> State:
        """Begin a change; first clean up after a process that ended in the middle of one."""
        state = self.state()
        if self._mapping[_UNFINISHED_PLACE]:
            self._blank(np.flatnonzero(self.pks[: state.count] == 0))
            self._blank(state.count + np.flatnonzero(self._pks_after(state.count)))
        _write(self._descriptor, b"\1", _UNFINISHED_PLACE)
        return state

    def append(self, page: Page, state: State) -> State:
        """Write rows after those of `state`; returns the state to publish."""
        begin, end = state.count, state.count + len(page.pks)
        if end > self.capacity:
            raise OverflowError(f"{self.path} has no room for {end} rows")
        coded = page.coded
        self._put("pks", begin, page.pks)
        self._put("subjects", begin, page.subjects)
        self._put("remainders", begin, coded.remainders)
        self._put("codes", begin, coded.codes)
        for name, words in zip(SIGNS, page.signs.T, strict=True):
            self._put(name, begin, words)
        columns = [page.pks, page.subjects, coded.remainders, coded.codes, page.signs]
        self._put("checksums", begin, _checksums(columns))
        reach, residual = max(state.reach, coded.reach), max(state.residual, coded.residual)
        return State(state.point, end, state.removed, residual, reach)

    def remove(self, rows: Rows, state: State) -> State:
        """Make these rows tombstones; returns the state to publish."""
        if len(rows):
            _write(self._descriptor, (self.removals + 1).to_bytes(8, "little"), _REMOVALS_PLACE)
        self._blank(rows)
        removed = int(np.count_nonzero(self.pks[: state.count] == 0))
        return State(state.point, state.count, removed, state.residual, state.reach)

    def publish(self, state: State) -> None:
        """End the change. The older of the two states is overwritten, so that one is whole at any moment."""
        number = self._numbered_state()[0] + 1
        _write(self._descriptor, _packed(state, number), _STATE_PLACES[number % 2])
        _write(self._descriptor, b"\0", _UNFINISHED_PLACE)

    def _numbered_state(self) -> tuple[int, State]:
        return _last_state(self._mapping[:PAGE_BYTES])

    def _verify(self, state: State) -> None:
        """Compare the rows with their checksums. A row that is removed meanwhile has lost its id by then.

        They are read from the file: what is read through the mapping becomes part of this process's resident memory,
        also the columns of which a search needs a few rows.
        """
        if state.count > self.capacity or state.point.revision < 0:
            raise DamagedFile("its state is none")
        buffers = {name: np.empty((VERIFIED_AT_ONCE, one.width), "u1") for name, one in self._columns.items()}
        removed = 0
        for begin in range(0, state.count, VERIFIED_AT_ONCE):
            number = min(VERIFIED_AT_ONCE, state.count - begin)
            parts = {name: self._read(name, begin, buffer[:number]) for name, buffer in buffers.items()}
            differ = _checksums([parts[name] for name in _CHECKED]) != parts["checksums"].view("<u8")[:, 0]
            gone = self._read("pks", begin, buffers["pks"][:number]).view("<u8")[:, 0] == 0
            if np.any(differ & ~gone):
                raise DamagedFile("its rows differ from their checksums")
            removed += int(np.count_nonzero(gone))
        if removed < state.removed:
            raise DamagedFile("rows are in it that were removed")

    def _read(self, name: str, begin: int, buffer: Array) -> Array:
        """Fill the buffer, (rows, width), with the rows of a column from `begin` on."""
        offset = self._columns[name].offset + begin * self._columns[name].width
        if os.preadv(self._descriptor, [buffer.data], offset) != buffer.nbytes:
            raise DamagedFile("it ends too early")
        return buffer

    def _pks_after(self, count: int) -> Array:
        """The ids of the spare rows, read from the file: a mapping of what was never written takes room on some file
        systems, and without it the process gets SIGBUS."""
        column = self._columns["pks"]
        content = os.pread(
            self._descriptor, (self.capacity - count) * column.width, column.offset + count * column.width
        )
        return np.frombuffer(content, "<i8")

    def _blank(self, rows: Rows) -> None:
        for row in rows:
            for column in self._columns.values():
                _write(self._descriptor, bytes(column.width), column.offset + int(row) * column.width)

    def _put(self, name: str, begin: int, values: Array) -> None:
        column = self._columns[name]
        content = np.ascontiguousarray(values).reshape(-1).view("u1").data
        _write(self._descriptor, content, column.offset + begin * column.width)


def summary(path: Path) -> tuple[Header, State]:
    """What the file at the path says of itself, without mapping it. Raises FileNotFoundError and DamagedFile."""
    with path.open("rb") as file:
        content = file.read(PAGE_BYTES)
    return Header.parse(content), _last_state(content)[1]


def _last_state(content: bytes) -> tuple[int, State]:
    """The state that was published last, and its number."""
    found = []
    for place in _STATE_PLACES:
        with suppress(DamagedFile):
            number, revision, mark, *rest = _parse(_STATE, content[place : place + 256])
            found.append((number, State(Point(revision, mark), *rest)))
    if not found:
        raise DamagedFile("its state cannot be read")
    return max(found, key=lambda one: one[0])


def _columns(capacity: int) -> tuple[dict[str, _Column], int]:
    """The columns of a file, ids first, each beginning with a memory page, and the file's size."""
    widths = {
        "pks": 8,
        "checksums": 8,
        "subjects": SUBJECT_BYTES,
        "codes": EMBEDDING_LENGTH,
        "remainders": 2 * EMBEDDING_LENGTH,
        **dict.fromkeys(SIGNS, 8),
    }
    columns, offset = {}, PAGE_BYTES
    for name, width in widths.items():
        columns[name] = _Column(offset, width)
        offset += -(-capacity * width // PAGE_BYTES) * PAGE_BYTES
    return columns, offset


def _checksums(columns: Sequence[Array]) -> npt.NDArray[np.uint64]:
    """A checksum of each row: its words, each times an odd number of its own, modulo 2**64. Zero of zeros."""
    total, taken = np.zeros(len(columns[0]), np.uint64), 0
    for column in columns:
        words = np.ascontiguousarray(column).view("<u8").reshape(len(total), -1)
        total += words @ _WEIGHTS[taken : taken + words.shape[1]]
        taken += words.shape[1]
    return total


_CHECKED = ("pks", "subjects", "remainders", "codes", *SIGNS)
"""Columns in the order in which `_checksums` takes them."""
_WEIGHTS = np.random.default_rng(1).integers(0, 2**63, 512, np.uint64) | np.uint64(1)


def _packed(state: State, number: int) -> bytes:
    point = state.point
    return _with_checksum(
        _STATE.pack(number, point.revision, point.mark, state.count, state.removed, state.residual, state.reach)
    )


def _with_checksum(content: bytes) -> bytes:
    return content + _CHECKSUM.pack(zlib.crc32(content))


def _parse(kind: struct.Struct, content: bytes) -> tuple[Any, ...]:
    """Raises DamagedFile when the checksum after the content is another one."""
    end = kind.size + _CHECKSUM.size
    if len(content) < end or _with_checksum(content[: kind.size]) != content[:end]:
        raise DamagedFile("its header is incomplete or was changed")
    return kind.unpack(content[: kind.size])


def _write(descriptor: int, content: bytes | memoryview, offset: int) -> None:
    left = memoryview(content)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written
