"""Pictures by number: mutated ones of many encoders, and hand-made ones that are costly to decode.

A number and a seed always give the same picture.
"""

from __future__ import annotations

import random
import re
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from testkit import hostile_pictures as hostile
from testkit.clips import SHARED_DATA, astronaut, read_image

Size = tuple[int, int]

SIZES: tuple[Size, ...] = ((64, 48), (160, 120), (320, 240), (640, 480), (1280, 960))
"""Sizes of pictures; smaller ones are drawn more often."""
LARGE: Size = (5_000, 4_990)
_ENCODERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("JPEG", {"quality": 85}),
    ("JPEG", {"quality": 100, "subsampling": 0}),
    ("JPEG", {"quality": 90, "restart_marker_rows": 1}),
    ("JPEG", {"quality": 85, "progressive": True}),
    ("JPEG", {"quality": 98, "subsampling": 0, "progressive": True}),
    ("PNG", {}),
    ("PNG", {"compress_level": 0}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
)
_HAND_MADE_EVERY = 8
_LARGE_EVERY = 2_000
_JPEG_PARTS = re.compile(rb"\xff[\xc0-\xcf\xda-\xdf\xe0-\xef\xfe]")
_INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)

ImageFile.MAXBLOCK = 1 << 25  # Buffer that Pillow needs for a large JPEG.


def picture(number: int, seed: int) -> bytes:
    source = random.Random(f"{seed} {number}")
    if number % _HAND_MADE_EVERY == 0:
        return _hand_made(source, LARGE if number % _LARGE_EVERY == _LARGE_EVERY // 2 else _size(source))
    data = ordinary(source.randrange(len(_ENCODERS)), _size(source), source.randrange(len(_faces())))
    for _ in range(source.choice((1, 1, 1, 2, 3, 8))):
        data = source.choice(_MUTATIONS)(data, source)
    return data


def _size(source: random.Random) -> Size:
    return SIZES[min(source.randrange(len(SIZES)), source.randrange(len(SIZES)))]


@cache
def _faces() -> tuple[Image.Image, ...]:
    """A portrait that comes with a package, and some of the shared faces where present."""
    paths = sorted((SHARED_DATA / "lfw" / "images").glob("*/*.jpg"))[:300:60]
    return tuple(Image.fromarray(rgb) for rgb in (astronaut(), *map(read_image, paths)))


@cache
def ordinary(encoder: int, size: Size, face: int = 0) -> bytes:
    """Encode a face with a camera's noise."""
    kind, options = _ENCODERS[encoder]
    return hostile.encoded(_noisy(face, size), kind, **options)


@cache
def _noisy(face: int, size: Size) -> Image.Image:
    pixels = np.asarray(_faces()[face].convert("RGB").resize(size), np.int16)
    noise = np.random.default_rng(face).normal(0, 4, pixels.shape).astype(np.int16)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def _parts(data: bytes) -> list[int]:
    """Offsets of all segments or chunks, and of the end."""
    if data.startswith(b"\xff\xd8"):
        return [*(found.start() for found in _JPEG_PARTS.finditer(data)), len(data)]
    png, at, parts = data.startswith(hostile.PNG_SIGNATURE), 8, list[int]()
    at = 8 if png else 12
    while at + 8 <= len(data) and len(parts) < 1_000:
        parts.append(at)
        length = struct.unpack_from(">I" if png else "<I", data, at if png else at + 4)[0]
        at += 12 + length if png else 8 + length + length % 2
    return [*parts, len(data)]


def _some_part(data: bytes, source: random.Random) -> tuple[int, int]:
    parts = _parts(data)
    if len(parts) < 2:
        return 0, len(data)
    index = source.randrange(len(parts) - 1)
    return parts[index], parts[index + 1]


def _flip_bytes(data: bytes, source: random.Random) -> bytes:
    changed = bytearray(data)
    reach = len(data) if source.random() < 0.5 else min(len(data), 1_000)
    for _ in range(source.choice((1, 2, 8, 64))):
        if reach:
            changed[source.randrange(reach)] = source.choice((*_INTERESTING, source.randrange(256)))
    return bytes(changed)


def _repeat_part(data: bytes, source: random.Random) -> bytes:
    start, end = _some_part(data, source)
    most = max(1, min(3_000, (9 << 20) // max(1, end - start)))
    times = min(most, source.choice((1, 2, 5, 20, 200, 3_000)))
    return data[:end] + data[start:end] * times + data[end:]


def _remove_part(data: bytes, source: random.Random) -> bytes:
    start, end = _some_part(data, source)
    return data[:start] + data[end:]


def _move_part(data: bytes, source: random.Random) -> bytes:
    start, end = _some_part(data, source)
    part, rest = data[start:end], data[:start] + data[end:]
    at = source.choice(_parts(rest)) if rest else 0
    return rest[:at] + part + rest[at:]


def _edit_length(data: bytes, source: random.Random) -> bytes:
    start, _ = _some_part(data, source)
    changed = bytearray(data)
    for at in range(start, min(start + 8, len(data))):
        if source.random() < 0.3:
            changed[at] = source.choice((*_INTERESTING, source.randrange(256)))
    return bytes(changed)


def _edit_scan(data: bytes, source: random.Random) -> bytes:
    """Change coefficients, bits or components of one of a JPEG's scans."""
    scans = [found.start() for found in re.finditer(rb"\xff\xda", data)]
    if not scans:
        return _flip_bytes(data, source)
    changed = bytearray(data)
    start = source.choice(scans)
    for _ in range(source.choice((1, 2, 3))):
        at = start + source.randrange(4, 14)
        if at < len(data):
            changed[at] = source.choice((0, 1, 2, 3, 63, 0x10, 0x21, source.randrange(256)))
    return bytes(changed)


def _break_off(data: bytes, source: random.Random) -> bytes:
    return data[: source.randrange(len(data) + 1)]


def _splice(data: bytes, source: random.Random) -> bytes:
    other = ordinary(source.randrange(len(_ENCODERS)), _size(source))
    at, start = source.choice(_parts(data)), source.choice(_parts(other))
    return data[:at] + other[start:]


def _right_sums(data: bytes, source: random.Random) -> bytes:
    """Repair a PNG's checksums, so that its damage reaches the decoder."""
    if not data.startswith(hostile.PNG_SIGNATURE):
        return _flip_bytes(data, source)
    changed = bytearray(_flip_bytes(data, source))
    for at in _parts(bytes(changed))[:-1]:
        (length,) = struct.unpack_from(">I", changed, at)
        if at + 12 + length <= len(changed):
            changed[at + 8 + length : at + 12 + length] = struct.pack(
                ">I", zlib.crc32(changed[at + 4 : at + 8 + length])
            )
    return bytes(changed)


_MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip_bytes,
    _flip_bytes,
    _repeat_part,
    _repeat_part,
    _remove_part,
    _move_part,
    _edit_length,
    _edit_scan,
    _break_off,
    _splice,
    _right_sums,
)


def _hand_made(source: random.Random, size: Size) -> bytes:
    return source.choice(_HAND_MADE)(source, size)


def _count(source: random.Random, most: int) -> int:
    """A number from 1 to `most`, log-uniform."""
    return int(most ** source.random())


def _any_hostile(source: random.Random, size: Size) -> bytes:
    return source.choice(_attacks())


@cache
def _attacks() -> tuple[bytes, ...]:
    return tuple(make() for make in hostile.hostile(_noisy(0, (320, 240))).values())


def _repeated_scans(source: random.Random, size: Size) -> bytes:
    """A noisy picture whose last scans are repeated about as often as is allowed."""
    data = ordinary(source.choice((3, 4)), size)
    scans = data[[found.start() for found in re.finditer(rb"\xff\xc4", data)][-source.randrange(1, 6)] : -2]
    return hostile.before_end(data, scans * _count(source, 12))


def _single_scans(source: random.Random, size: Size) -> bytes:
    data = ordinary(source.choice((3, 4)), size)
    scans = b""
    for _ in range(_count(source, 150)):
        first = source.randrange(1, 64)
        last = min(63, first + _count(source, 63) - 1)
        scans += hostile.scan({source.choice((1, 2, 3)): 0}, first, last, source.choice((0x00, 0x01, 0x10, 0x21)))
    return hostile.before_end(data, scans)


def _filled_scan(source: random.Random, size: Size) -> bytes:
    restarts = b"".join(bytes([0xFF, 0xD0 + number]) for number in range(8))
    filling = source.choice((restarts, b"\xff", b"\xff\0", b"\0", b"\x55", source.randbytes(16)))
    data = hostile.with_scan_data(ordinary(0, size), filling * min(_count(source, 6 * size[0] * size[1] // 8), 1 << 20))
    interval = hostile.segment(0xDD, struct.pack(">H", _count(source, 100)))
    return hostile.behind_start(data, interval) if source.random() < 0.5 else data


def _metadata(source: random.Random, size: Size) -> bytes:
    data = ordinary(source.randrange(5), size)
    segments = source.choice(
        (
            hostile.segment(0xE1, b"Exif\0\0" + bytes(60_000)),
            hostile.exif_segment(_count(source, 300)),
            hostile.segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(60_000)),
            hostile.segment(0xED, b"Photoshop 3.0\0" + bytes(1_000)),
            hostile.segment(0xFE),
            hostile.segment(0xC4, bytes([0x00, 1, *bytes(15), 0]) * _count(source, 3_000)),
            hostile.segment(0xDB, (b"\0" + bytes([1] * 64)) * _count(source, 900)),
        )
    )
    return hostile.behind_start(data, segments * _count(source, 400))


def _samplings(source: random.Random, size: Size) -> bytes:
    """A JPEG with changed sampling factors, and so with more or fewer blocks than its data has."""
    data = bytearray(ordinary(source.randrange(5), size))
    frame = re.search(rb"\xff[\xc0-\xc2]\0\x11", data)
    assert frame is not None
    for component in range(3):
        factors = source.choice((1, 2, 4)) << 4 | source.choice((1, 2, 4))
        data[frame.start() + 11 + 3 * component] = factors
    return bytes(data)


def _raw_png(source: random.Random, size: Size) -> bytes:
    """A PNG of any depth and colour type, interlaced or not, with the costliest filter over zeros or noise."""
    depth, colours, bits = source.choice(((8, 2, 24), (16, 6, 64), (1, 0, 1), (8, 3, 8), (16, 4, 32), (8, 6, 32)))
    width, height = size
    if source.random() < 0.2:
        width, height = source.choice(((width * height, 1), (1, width * height), (16, width * height // 16)))
    row = -(-width * bits // 8)
    interlaced = source.random() < 0.5
    body = source.randbytes(row) if source.random() < 0.3 else bytes(row)
    passes = 2 if interlaced else 1  # More data than needed; decoders ignore the rest.
    raw = (bytes([source.choice((0, 4))]) + body) * height * passes
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, interlaced)
    raw = raw[: _interlaced_bytes(width, height, bits)] if interlaced else raw
    return hostile.png_of(
        [
            (b"IHDR", header),
            *([(b"PLTE", bytes(768))] if colours == 3 else []),
            (b"IDAT", zlib.compress(raw, source.choice((1, 9)))),
            (b"IEND", b""),
        ]
    )


def _interlaced_bytes(width: int, height: int, bits: int) -> int:
    total = 0
    for x, y, across, down in hostile.ADAM7_PASSES:
        columns, rows = -(-(width - x) // across), -(-(height - y) // down)
        total += rows * (1 + -(-columns * bits // 8)) if columns > 0 and rows > 0 else 0
    return total


def _empty_blocks(source: random.Random, size: Size) -> bytes:
    """A PNG with about as many empty deflate blocks before its pixels as are allowed."""
    png = ordinary(5, size)
    raw = hostile.pixels_of(png)
    count = _count(source, len(raw) // 28)
    deflated = zlib.compress(raw if source.random() < 0.5 else bytes(len(raw)), 9)[2:]
    return hostile.png_with_pixels(png, b"\x78\x9c" + hostile.empty_blocks(count) + deflated)


def _png_chunks(source: random.Random, size: Size) -> bytes:
    chunk = source.choice(
        ((b"teSt", b""), hostile.text_bomb(), (b"eXIf", hostile.tiff(_count(source, 300), 60_000)), (b"IDAT", b""))
    )
    return hostile.png_with(ordinary(5, size), *[chunk] * _count(source, 300))


def _webp_chunks(source: random.Random, size: Size) -> bytes:
    chunk = source.choice(
        (hostile.webp_chunk(b"teSt"), hostile.webp_chunk(b"EXIF", hostile.tiff(_count(source, 300), 60_000)))
    )
    webp = ordinary(7, size)
    return hostile.extended_webp(webp, source.choice((0, 8)), size, behind=chunk * _count(source, 60))


def _webp_groups(source: random.Random, size: Size) -> bytes:
    return _groups(min(size, SIZES[-1]), source.choice((2, 3, 4, 5)), source.random() < 0.5)


_groups = cache(hostile.lossless_with_groups)

_HAND_MADE: tuple[Callable[[random.Random, Size], bytes], ...] = (
    _any_hostile,
    _repeated_scans,
    _repeated_scans,
    _single_scans,
    _single_scans,
    _filled_scan,
    _metadata,
    _samplings,
    _raw_png,
    _raw_png,
    _empty_blocks,
    _png_chunks,
    _webp_chunks,
    _webp_groups,
)
