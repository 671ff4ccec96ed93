"""PNG: chunks; those with the pixels are parts of one zlib stream."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from core.containers.exif import ExifBudget
from core.errors import ImageTooComplex, InvalidImage, UnsupportedFormat

SIGNATURE = b"\x89PNG\r\n\x1a\n"

SPARE_CHUNKS = 64
BYTES_PER_CHUNK = 2_048
"""On average, beyond the spare ones: encoders cut the pixels into chunks of 4 kB (ffmpeg), 8 kB (libpng) or more."""
SPARE_BYTES = 1 << 16

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type."""
_ANIMATION = {b"acTL", b"fcTL", b"fdAT"}
_NEEDED = {b"tRNS", b"eXIf"}
_SLICE = 1 << 14
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A chunk's whole place, and its data."""

    kind: bytes
    start: int
    end: int
    data: memoryview


def read_size(data: bytes) -> tuple[int, int]:
    """Width and height of a still PNG that has its end. Raises InvalidImage, UnsupportedFormat or ImageTooComplex."""
    chunks = _chunks(data)
    width, height, *_ = _header(chunks)
    exif = ExifBudget()
    for chunk in chunks:
        if chunk.kind in _ANIMATION:
            raise UnsupportedFormat("animated pictures are not supported; send a still one")
        if chunk.kind == b"eXIf":
            exif.spend(bytes(chunk.data))
    return width, height


def bare(data: bytes) -> bytes:
    """The picture without text, colour profile and the like: libpng would inflate them, each to 8 MB.

    Raises InvalidImage, and ImageTooComplex where the pixels would inflate to far more than the picture: libpng goes on
    to the end of the stream when it has them all.
    """
    chunks = _chunks(data)
    _check_pixels(chunks)
    needed = [data[chunk.start : chunk.end] for chunk in chunks if chunk.kind[:1].isupper() or chunk.kind in _NEEDED]
    return SIGNATURE + b"".join(needed)


def _chunks(data: bytes) -> list[_Chunk]:
    """All of them, to the end of the picture."""
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


def _header(chunks: list[_Chunk]) -> tuple[int, int, int, int]:
    """Width, height, bit depth and colour type."""
    if chunks[0].kind != b"IHDR" or len(chunks[0].data) != 13:
        raise InvalidImage("the picture's header is damaged")
    width, height, depth, colours = struct.unpack_from(">IIBB", chunks[0].data)
    if not width or not height or colours not in _CHANNELS or depth > 16:
        raise InvalidImage("the picture's header is damaged")
    return width, height, depth, colours


def _check_pixels(chunks: list[_Chunk]) -> None:
    """The pixels may inflate to twice what they need: interlaced ones have more rows, each with a byte of its own."""
    width, height, depth, colours = _header(chunks)
    row = 1 + -(-width * depth * _CHANNELS[colours] // 8)
    left = 2 * row * height + SPARE_BYTES
    stream = zlib.decompressobj()
    for chunk in chunks:
        if chunk.kind != b"IDAT":
            continue
        for start in range(0, len(chunk.data), _SLICE):
            rest: bytes | memoryview = chunk.data[start : start + _SLICE]
            while rest:
                try:
                    left -= len(stream.decompress(rest, _PIECE))
                except zlib.error:
                    return  # libpng gets no further, and says whether there are pixels enough.
                if left < 0:
                    raise ImageTooComplex("the picture has too much data for its size")
                rest = stream.unconsumed_tail
            if stream.eof:
                return
