"""PNG: a sequence of chunks. The IDAT chunks together hold the pixels as one zlib stream."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from core.errors import ImageTooComplex, InvalidImage, UnsupportedFormat
from core.imaging.containers.exif import ExifBudget
from core.imaging.containers.header import ContainerHeader
from core.imaging.containers.orientation import Orientation, without_prefix
from core.imaging.containers.png_text import KINDS as TEXTS
from core.imaging.containers.png_text import TextReader

SIGNATURE = b"\x89PNG\r\n\x1a\n"

SPARE_CHUNKS = 64
BYTES_PER_CHUNK = 2_048
"""Least average size of chunks beyond the spare ones; encoders write 4 kB (ffmpeg), 8 kB (libpng) or more."""
SPARE_BYTES = 1 << 16

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type."""
_ANIMATION = {b"acTL", b"fcTL", b"fdAT"}
_TRANSPARENCY = b"tRNS"
_WITH_ALPHA = {4, 6}
"""Colour types that have an alpha channel."""
_ONE_PASS = ((0, 0, 1, 1),)
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column, first row, column step and row step of each pass."""
_SLICE = 1 << 14
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class _Chunk:
    """One chunk. `start` and `end` enclose its length, type and checksum too; `data` is the payload."""

    kind: bytes
    start: int
    end: int
    data: memoryview


@dataclass(frozen=True, slots=True)
class _Header:
    """`bits`: of a pixel."""

    width: int
    height: int
    bits: int
    has_alpha: bool
    interlaced: bool

    @classmethod
    def read(cls, chunks: list[_Chunk]) -> Self:
        if chunks[0].kind != b"IHDR" or len(chunks[0].data) != 13:
            raise InvalidImage("the picture's header is damaged")
        width, height, depth, colours, *_, interlaced = struct.unpack_from(">IIBBBBB", chunks[0].data)
        if not width or not height or colours not in _CHANNELS or depth > 16:
            raise InvalidImage("the picture's header is damaged")
        return cls(width, height, depth * _CHANNELS[colours], colours in _WITH_ALPHA, bool(interlaced))

    @property
    def raw_bytes(self) -> int:
        """Bytes of the inflated pixels; every row of a pass begins with a filter byte."""
        total = 0
        for x, y, step_x, step_y in _ADAM7 if self.interlaced else _ONE_PASS:
            columns, rows = -(-(self.width - x) // step_x), -(-(self.height - y) // step_y)
            if columns > 0 and rows > 0:
                total += rows * (1 + -(-columns * self.bits // 8))
        return total


def read_header(data: bytes) -> ContainerHeader:
    """Header of a complete, still PNG. Raises InvalidImage, UnsupportedFormat or ImageTooComplex."""
    chunks = _chunks(data)
    header = _Header.read(chunks)
    exif, orientation = ExifBudget(), Orientation()
    texts = TextReader(orientation)
    for chunk in chunks:
        if chunk.kind in _ANIMATION:
            raise UnsupportedFormat("animated pictures are not supported; send a still one")
        if chunk.kind == b"eXIf":
            exif.spend(without_prefix(bytes(chunk.data)))
            orientation.read_exif(bytes(chunk.data))
        elif chunk.kind in TEXTS:
            texts.read(chunk.kind, bytes(chunk.data))
    transparent = header.has_alpha or any(chunk.kind == _TRANSPARENCY for chunk in chunks)
    return ContainerHeader((header.width, header.height), orientation.value, transparent)


def bare(data: bytes) -> bytearray:
    """The picture re-packed to bound a decoder's work: without metadata, and with its pixels stored uncompressed.

    Text, colour profile and other ancillary chunks are dropped, because libpng would inflate each to up to 8 MB. The
    pixels are inflated here and checked against the picture's size, because libpng would read a stream of any length.
    Raises InvalidImage or ImageTooComplex.
    """
    chunks = _chunks(data)
    pixels = [chunk.data for chunk in chunks if chunk.kind == b"IDAT"]
    picture = bytearray(SIGNATURE)
    for chunk in chunks:
        if chunk.kind == b"IDAT":
            if pixels:
                _append_stored(picture, _inflated(pixels, _Header.read(chunks).raw_bytes))
                pixels = []
        elif chunk.kind[:1].isupper() or chunk.kind == _TRANSPARENCY:
            picture += data[chunk.start : chunk.end]
    return picture


def _chunks(data: bytes) -> list[_Chunk]:
    """Every chunk up to IEND. Raises InvalidImage or ImageTooComplex."""
    view, at, chunks = memoryview(data), len(SIGNATURE), list[_Chunk]()
    allowed = SPARE_CHUNKS + len(data) // BYTES_PER_CHUNK
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data) or not kind.isalpha():
            break
        chunks.append(_Chunk(kind, at, end, view[at + 8 : end - 4]))
        if kind == b"IEND":
            return chunks
        if len(chunks) > allowed:
            raise ImageTooComplex("the picture has too many chunks")
        at = end
    raise InvalidImage("the picture is damaged or broken off")


def _inflated(pixels: list[memoryview], raw_bytes: int) -> Iterator[bytes]:
    """Inflate the pixels piece by piece. Refuses streams larger than the pixels, which only cost time."""
    left = raw_bytes + SPARE_BYTES
    if sum(map(len, pixels)) > left:
        raise ImageTooComplex("the picture has too much data for its size")
    stream = zlib.decompressobj()
    for data in pixels:
        for start in range(0, len(data), _SLICE):
            rest: bytes | memoryview = data[start : start + _SLICE]
            while rest:
                try:
                    piece = stream.decompress(rest, _PIECE)
                except zlib.error as error:
                    raise InvalidImage("the picture does not decode") from error
                left -= len(piece)
                if left < 0:
                    raise ImageTooComplex("the picture has too much data for its size")
                yield piece
                rest = stream.unconsumed_tail


def _append_stored(picture: bytearray, pieces: Iterable[bytes]) -> None:
    """Append `pieces` as one IDAT chunk whose zlib stream is stored, not compressed."""
    start = len(picture)
    picture += bytes(4) + b"IDAT"
    stream = zlib.compressobj(0)
    for piece in pieces:
        picture += stream.compress(piece)
    picture += stream.flush()
    struct.pack_into(">I", picture, start, len(picture) - start - 8)
    with memoryview(picture) as view, view[start + 4 :] as chunk:
        check = zlib.crc32(chunk)
    picture += struct.pack(">I", check)
