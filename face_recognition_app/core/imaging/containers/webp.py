"""WebP: chunks in a RIFF file."""

from __future__ import annotations

import struct

from core.errors import ImageTooComplex, InvalidImage, UnsupportedFormat
from core.imaging.containers import vp8l
from core.imaging.containers.exif import ExifBudget
from core.imaging.containers.header import ContainerHeader
from core.imaging.containers.orientation import Orientation, without_prefix

MAX_CHUNKS = 64
"""A still picture has six kinds of chunks, each once, and perhaps some of its maker's own."""
MAX_LOSSLESS_BYTES_PER_PIXEL = 3
"""Noise takes 3, as many as the raw pixels; a photograph takes 1 to 2."""
MAX_ALPHA_BYTES_PER_PIXEL = 0.25
"""The outline of a person takes some hundredths."""
SPARE_BYTES = 1 << 14

_ANIMATED = 0x02
_PIXELS = {b"VP8 ", b"VP8L"}
_KINDS = _PIXELS | {b"VP8X"}
_LOSSLESS_HEADER = 5
_COMPRESSION, _COMPRESSED = 0x03, 1
"""Mask and value, in the first byte of the alpha chunk."""
_START_CODE = b"\x9d\x01\x2a"


def is_webp(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def read_header(data: bytes) -> ContainerHeader:
    """Header of a still WebP. Raises InvalidImage, UnsupportedFormat or ImageTooComplex."""
    chunks = _chunks(data)
    canvas = _canvas(chunks[0][1]) if chunks[0][0] == b"VP8X" else None
    pixels = next((chunk for chunk in chunks if chunk[0] in _PIXELS), None)
    if chunks[0][0] not in _KINDS or pixels is None:
        raise InvalidImage("the picture is damaged or broken off")
    size = _lossless_size(pixels[1]) if pixels[0] == b"VP8L" else _lossy_size(pixels[1])
    if canvas not in (None, size):
        raise InvalidImage("the picture's header is damaged")
    exif, orientation, area = ExifBudget(), Orientation(), size[0] * size[1]
    for kind, body in chunks:
        if kind == b"EXIF":
            exif.spend(without_prefix(bytes(body)))
            orientation.read_exif(bytes(body))
        elif kind == b"XMP ":
            orientation.read_xmp(bytes(body))
        elif kind == b"VP8L":
            _check_bytes(body, MAX_LOSSLESS_BYTES_PER_PIXEL * area)
            vp8l.Stream(bytes(body), _LOSSLESS_HEADER).check(*size)
        elif kind == b"ALPH":
            _check_bytes(body, MAX_ALPHA_BYTES_PER_PIXEL * area)
            if body and body[0] & _COMPRESSION == _COMPRESSED:
                vp8l.Stream(bytes(body), 1).check(*size)
    transparent = pixels[0] == b"VP8L" or any(kind == b"ALPH" for kind, _ in chunks)
    return ContainerHeader(size, orientation.value, transparent)


def _chunks(data: bytes) -> list[tuple[bytes, memoryview]]:
    """Kind and data of every chunk."""
    view, at, chunks = memoryview(data), 12, list[tuple[bytes, memoryview]]()
    stop = 8 + int.from_bytes(data[4:8], "little")
    if stop > len(data):
        raise InvalidImage("the picture is broken off")
    while at + 8 <= stop:
        kind, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > len(data):
            raise InvalidImage("the picture is broken off")
        chunks.append((kind, view[at + 8 : at + 8 + length]))
        if len(chunks) > MAX_CHUNKS:
            raise ImageTooComplex("the picture has too many chunks")
        at += 8 + length + length % 2
    if not chunks:
        raise InvalidImage("the picture is broken off")
    return chunks


def _check_bytes(body: memoryview, allowed: float) -> None:
    if len(body) > allowed + SPARE_BYTES:
        raise ImageTooComplex("the picture has too much data for its size")


def _canvas(body: memoryview) -> tuple[int, int]:
    if len(body) < 10:
        raise InvalidImage("the picture's header is damaged")
    if body[0] & _ANIMATED:
        raise UnsupportedFormat("animated pictures are not supported; send a still one")
    return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")


def _lossy_size(body: memoryview) -> tuple[int, int]:
    if len(body) < 10 or body[3:6] != _START_CODE:
        raise InvalidImage("the picture's header is damaged")
    width, height = struct.unpack_from("<HH", body, 6)
    return width & 0x3FFF, height & 0x3FFF


def _lossless_size(body: memoryview) -> tuple[int, int]:
    if len(body) < _LOSSLESS_HEADER or body[0] != 0x2F:
        raise InvalidImage("the picture's header is damaged")
    bits = int.from_bytes(body[1:_LOSSLESS_HEADER], "little")
    return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
