"""PNG: a sequence of chunks. The IDAT chunks together hold the pixels as one zlib stream."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.errors import ImageTooComplex, InvalidImage, UnsupportedFormat
from core.imaging.containers.exif import ExifBudget

SIGNATURE = b"\x89PNG\r\n\x1a\n"

SPARE_CHUNKS = 64
BYTES_PER_CHUNK = 2_048
"""Least average size of chunks beyond the spare ones; encoders write 4 kB (ffmpeg), 8 kB (libpng) or more."""
SPARE_BYTES = 1 << 16

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type."""
_ANIMATION = {b"acTL", b"fcTL", b"fdAT"}
_NEEDED = {b"tRNS", b"eXIf"}
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


def read_size(data: bytes) -> tuple[int, int]:
    """Width and height of a complete, still PNG. Raises InvalidImage, UnsupportedFormat or ImageTooComplex."""
    chunks = _chunks(data)
    width, height, *_ = _header(chunks)
    exif = ExifBudget()
    for chunk in chunks:
        if chunk.kind in _ANIMATION:
            raise UnsupportedFormat("animated pictures are not supported; send a still one")
        if chunk.kind == b"eXIf":
            exif.spend(bytes(chunk.data))
    return width, height


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
                _append_stored(picture, _inflated(pixels, _raw_bytes(*_header(chunks))))
                pixels = []
        elif chunk.kind[:1].isupper() or chunk.kind in _NEEDED:
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


def _header(chunks: list[_Chunk]) -> tuple[int, int, int, bool]:
    """Width, height, bits per pixel, and whether the picture is interlaced."""
    if chunks[0].kind != b"IHDR" or len(chunks[0].data) != 13:
        raise InvalidImage("the picture's header is damaged")
    width, height, depth, colours, *_, interlaced = struct.unpack_from(">IIBBBBB", chunks[0].data)
    if not width or not height or colours not in _CHANNELS or depth > 16:
        raise InvalidImage("the picture's header is damaged")
    return width, height, depth * _CHANNELS[colours], bool(interlaced)


def _raw_bytes(width: int, height: int, bits: int, interlaced: bool) -> int:
    """Bytes of the inflated pixels; every row of a pass begins with a filter byte."""
    total = 0
    for x, y, step_x, step_y in _ADAM7 if interlaced else _ONE_PASS:
        columns, rows = -(-(width - x) // step_x), -(-(height - y) // step_y)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total


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
