"""JPEG: segments, and scans of entropy-coded data between them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from core.errors import ImageTooComplex, InvalidImage, UnsupportedFormat
from core.imaging.containers.exif import ExifBudget
from core.imaging.containers.header import ContainerHeader
from core.imaging.containers.orientation import EXIF_PREFIX, Orientation

SIGNATURE = b"\xff\xd8\xff"

MAX_SEGMENTS = 512
"""A colour profile takes up to 255 segments, a few megabytes of XMP some 50, each progressive scan 2."""
MAX_TABLE_BYTES = 1 << 17
"""Huffman and quantisation tables: an ordinary picture has 1 kB, one with 64 scans and tables for each some 30 kB."""
MAX_FILL_BYTES = 1 << 16
MAX_SCAN_BYTES_PER_PIXEL = 6
"""Noise at the best quality takes 3."""
SPARE_SCAN_BYTES = 1 << 16

MAX_WORK = 1_600
"""Coefficients, over all components and scans, that may be visited for each 8x8 pixels. libjpeg's progressive scans
visit 360 with halved chroma, 560 with full chroma and 960 in CMYK; mozjpeg's with full chroma some 800."""
BLOCK_OVERHEAD = 8
"""Fixed cost of visiting a block, in coefficients."""

_SEQUENTIAL = (0xC0, 0xC1)
_PROGRESSIVE = 0xC2
_OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
"""Lossless, hierarchical and arithmetic-coded pictures: no camera or browser makes them."""
_TABLES = {0xC4, 0xCC, 0xDB}
_ALONE = {0x01, *range(0xD0, 0xD8)}
"""Markers without a segment."""
_START, _END, _SCAN, _APP1 = 0xD8, 0xD9, 0xDA, 0xE1
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"

_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
"""The marker that ends the data of a scan: not a stuffed byte, a restart or a fill byte."""
_FILL = re.compile(rb"\xff+")
_WINDOW = 1 << 18
"""Bytes searched in one call, which holds the interpreter's lock for at most 2 ms."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """Header of a frame. `blocks`: number of 8x8 blocks by component id; `areas`: number of 8x8 pixel areas."""

    size: tuple[int, int]
    progressive: bool
    blocks: dict[int, int]
    areas: int

    @classmethod
    def read(cls, marker: int, body: bytes) -> Self:
        count = body[5] if len(body) > 5 else 0
        if len(body) != 6 + 3 * count or not 1 <= count <= 4:
            raise InvalidImage("the picture's header is damaged")
        if body[0] != 8:
            raise UnsupportedFormat("JPEG with other than 8 bits is not supported")
        height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
        factors = {body[at]: (body[at + 1] >> 4, body[at + 1] & 15) for at in range(6, len(body), 3)}
        if not width or not height or len(factors) != count:
            raise InvalidImage("the picture's header is damaged")
        if not all(1 <= factor <= 4 for pair in factors.values() for factor in pair):
            raise InvalidImage("the picture's header is damaged")
        across, down = (8 * max(pair[axis] for pair in factors.values()) for axis in (0, 1))
        blocks = {name: _ceil(width * h, across) * _ceil(height * v, down) for name, (h, v) in factors.items()}
        return cls((width, height), marker == _PROGRESSIVE, blocks, _ceil(width, 8) * _ceil(height, 8))


def _ceil(number: int, divisor: int) -> int:
    return -(-number // divisor)


class _Walk:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._frame: _Frame | None = None
        self._exif = ExifBudget()
        self._orientation = Orientation()
        self._segments = 0
        self._fill_bytes = 0
        self._table_bytes = 0
        self._scan_bytes = 0
        self._work = 0
        self._coded: set[int] = set()
        """Ids of the components coded so far by the scans of a sequential picture."""

    def header(self) -> ContainerHeader:
        at = 2
        while True:
            at, marker = self._marker(at)
            if marker == _END:
                break
            if marker not in _ALONE:
                at = self._segment(at, marker)
        if self._frame is None or not self._work:
            raise InvalidImage("the picture has no pixels")
        return ContainerHeader(self._frame.size, self._orientation.value)

    def _marker(self, at: int) -> tuple[int, int]:
        """Return the position behind the marker at `at`, and the marker."""
        self._segments += 1
        if self._segments > MAX_SEGMENTS:
            raise ImageTooComplex("the picture has too many segments")
        fill = _FILL.match(self._data, at, at + MAX_FILL_BYTES + 2)
        if fill is None:
            raise InvalidImage("the picture is damaged or broken off")
        self._fill_bytes += fill.end() - at - 1
        if self._fill_bytes > MAX_FILL_BYTES:
            raise ImageTooComplex("the picture has too many fill bytes")
        if fill.end() >= len(self._data):
            raise InvalidImage("the picture is broken off")
        marker = self._data[fill.end()]
        if marker == 0 or marker == _START or 1 < marker < _SEQUENTIAL[0]:
            raise InvalidImage("the picture is damaged or broken off")
        return fill.end() + 1, marker

    def _segment(self, at: int, marker: int) -> int:
        """Check the segment that begins at `at`; return the position of the next marker."""
        length = int.from_bytes(self._data[at : at + 2], "big")
        end = at + length
        if length < 2 or end > len(self._data):
            raise InvalidImage("the picture is damaged or broken off")
        body = self._data[at + 2 : end]
        if marker in _OTHER_FRAMES:
            raise UnsupportedFormat("this kind of JPEG is not supported; send a baseline or a progressive one")
        if marker in (*_SEQUENTIAL, _PROGRESSIVE):
            if self._frame is not None:
                raise InvalidImage("the picture has two headers")
            self._frame = _Frame.read(marker, body)
        elif marker in _TABLES:
            self._table_bytes += length
            if self._table_bytes > MAX_TABLE_BYTES:
                raise ImageTooComplex("the picture has too many tables")
        elif marker == _APP1:
            self._metadata(body)
        elif marker == _SCAN:
            end = self._scan(body, end)
        return end

    def _metadata(self, body: bytes) -> None:
        self._exif.spend(body[6:])  # OpenCV takes any of these segments for EXIF.
        if body.startswith(EXIF_PREFIX):
            self._orientation.read_exif(body)
        elif body.startswith(_XMP_PREFIX):
            self._orientation.read_xmp(body)

    def _scan(self, body: bytes, at: int) -> int:
        """Charge the cost of a scan whose header is `body`; return the position where its data, from `at` on, ends."""
        frame, count = self._frame, body[0] if body else 0
        names = body[1 : 1 + 2 * count : 2]
        if frame is None or not count or len(body) != 4 + 2 * count or not frame.blocks.keys() >= set(names):
            raise InvalidImage("a scan of the picture is damaged")
        first, last = (body[-3], body[-2]) if frame.progressive else (0, 63)
        if not first <= last <= 63:
            raise InvalidImage("a scan of the picture is damaged")
        if not frame.progressive:
            if len(set(names)) != count or not self._coded.isdisjoint(names):
                raise InvalidImage("the picture codes a component twice")
            self._coded.update(names)
        self._work += sum(frame.blocks[name] for name in names) * (last - first + 1 + BLOCK_OVERHEAD)
        if self._work > MAX_WORK * frame.areas:
            raise ImageTooComplex("the picture has too many scans")
        return self._end_of_scan(frame, at)

    def _end_of_scan(self, frame: _Frame, at: int) -> int:
        width, height = frame.size
        allowed = MAX_SCAN_BYTES_PER_PIXEL * width * height + SPARE_SCAN_BYTES - self._scan_bytes
        stop = min(at + allowed, len(self._data))
        for start in range(at, stop, _WINDOW):
            found = _MARKER.search(self._data, start, start + _WINDOW + 1)
            if found is not None:
                self._scan_bytes += found.start() - at
                return found.start()
        if stop == len(self._data):
            raise InvalidImage("the picture is broken off")
        raise ImageTooComplex("the picture has too much data for its size")


def read_header(data: bytes) -> ContainerHeader:
    """Header of a still JPEG, baseline or progressive. Refuses a truncated one: libjpeg fills it with grey.

    Raises InvalidImage, UnsupportedFormat or ImageTooComplex.
    """
    return _Walk(data).header()
