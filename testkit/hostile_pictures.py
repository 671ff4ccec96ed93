"""Hand-made pictures that keep a decoder busy, for tests and benches of the cost of pictures."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

MEGABYTE = 1 << 20
END = b"\xff\xd9"
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def segment(marker: int, body: bytes = b"") -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def scan(components: dict[int, int], first: int, last: int, approximation: int) -> bytes:
    """A JPEG scan header without data; `components`: table numbers (DC and AC) by component id."""
    body = bytes([len(components)]) + b"".join(bytes(pair) for pair in components.items())
    return segment(0xDA, body + bytes([first, last, approximation]))


EMPTY_REFINEMENT = scan({1: 0}, 1, 63, 0x10)
"""A scan that makes a decoder visit all coefficients of the first component without changing any."""
INTERLEAVED_SCAN = scan({1: 0x00, 2: 0x11, 3: 0x11}, 0, 63, 0)


def behind_start(jpeg: bytes, more: bytes) -> bytes:
    return jpeg[:2] + more + jpeg[2:]


def before_end(jpeg: bytes, more: bytes) -> bytes:
    return jpeg.removesuffix(END) + more + END


def with_scan_data(jpeg: bytes, data: bytes) -> bytes:
    """The baseline JPEG with `data` in its only scan."""
    return jpeg[: jpeg.index(b"\xff\xda")] + INTERLEAVED_SCAN + data + END


def tiff(entries: int, size: int) -> bytes:
    """An EXIF block in which each entry names the whole block as its text."""
    make = struct.pack(">HHII", 0x010F, 2, size - 100, 8)
    return (b"MM\0*\0\0\0\x08" + struct.pack(">H", entries) + make * entries).ljust(size, b"\0")[:size]


def exif_segment(entries: int) -> bytes:
    return segment(0xE1, b"Exif\0\0" + tiff(entries, 65_000))


def png_chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    at, chunks = 8, []
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        chunks.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def png_of(chunks: list[tuple[bytes, bytes]]) -> bytes:
    return PNG_SIGNATURE + b"".join(png_chunk(*chunk) for chunk in chunks)


ADAM7_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""Passes of an interlaced PNG: column and row of the first pixel, and the steps to the next ones."""


def png_with(png: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """The PNG with more chunks behind its header."""
    first, *rest = png_chunks(png)
    return png_of([first, *more, *rest])


def png_with_pixels(png: bytes, stream: bytes) -> bytes:
    """The PNG with `stream` (zlib) as its pixels."""
    return png_of([png_chunks(png)[0], (b"IDAT", stream), (b"IEND", b"")])


def pixels_of(png: bytes) -> bytes:
    """The inflated pixel data of a PNG."""
    return zlib.decompress(b"".join(data for kind, data in png_chunks(png) if kind == b"IDAT"))


def text_bomb(megabytes: int = 7) -> tuple[bytes, bytes]:
    return b"zTXt", b"Comment\0\0" + zlib.compress(bytes(megabytes * MEGABYTE), 9)


def empty_blocks(count: int) -> bytes:
    """Empty deflate blocks, each with a table of 257 codes to build: 28 bytes per block."""
    bits: list[int] = []

    def put(value: int, width: int) -> None:
        bits.extend(value >> bit & 1 for bit in range(width))

    def lengths(*codes: int) -> None:
        for code in codes:
            bits.extend({0: (0, 0), 8: (0, 1), 9: (1, 0), 16: (1, 1)}[code])
            if code == 16:
                put(3, 2)

    put(0b100, 3)  # not the last block; codes of its own
    put(0, 5)  # 257 literals
    put(0, 5)  # one distance
    put(3, 4)
    for length in (2, 0, 0, 2, 2, 0, 2):  # of the codes 16, 17, 18, 0, 8, 7, 9
        put(length, 3)
    lengths(8, *[16] * 42, 8, 8, 9, 9, 0)
    put(0x1FF, 9)  # the end of the block
    count -= count % 8  # whole bytes
    return np.packbits(np.tile(np.array(bits, np.uint8), count), bitorder="little").tobytes()


def webp_chunk(kind: bytes, data: bytes = b"") -> bytes:
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def extended_webp(webp: bytes, flags: int, size: tuple[int, int], before: bytes = b"", behind: bytes = b"") -> bytes:
    """A simple WebP turned into an extended one, with chunks before and behind its pixels."""
    canvas = b"".join((side - 1).to_bytes(3, "little") for side in size)
    return riff(webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + canvas), before, webp[12:], behind)


class _Bits:
    """A bit stream written from the lowest bit on, as in VP8L."""

    def __init__(self) -> None:
        self.bits: list[int] = []

    def put(self, value: int, width: int) -> None:
        self.bits.extend(value >> bit & 1 for bit in range(width))

    def one_symbol_code(self) -> None:
        self.put(0b0001, 4)

    def eight_bit_code(self, alphabet: int) -> None:
        """256 symbols of 8 bits each; those of `alphabet` beyond them have none."""
        more = alphabet > 256
        self.put(0, 1)
        self.put(8, 4)  # lengths of 12 code length symbols: 17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8
        for symbol in (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8):
            self.put({8: 2 if more else 1, 16: 1, 18: 2 if more else 0}.get(symbol, 0), 3)
        self.put(0, 1)
        eight, repeat, zeros = ((0b01, 2), (0, 1), (0b11, 2)) if more else ((0, 1), (1, 1), (0, 0))
        self.put(*eight)
        for count in (*[3] * 42, 0):
            self.put(*repeat)
            self.put(count, 2)
        if more:
            self.put(*zeros)
            self.put(alphabet - 256 - 11, 7)

    def bytes(self) -> bytes:
        return np.packbits(np.array(self.bits, np.uint8), bitorder="little").tobytes()


def lossless_with_groups(size: tuple[int, int], block_bits: int = 2, predictor: bool = False) -> bytes:
    """A lossless WebP with prefix codes of its own for every block of pixels, all of them of one symbol.

    `predictor`: a transform with its own data precedes them.
    """
    width, height = size
    blocks = _blocks(size, block_bits)
    groups = min(blocks, 65_536)
    stream = _Bits()
    stream.put(0x2F, 8)
    stream.put(width - 1, 14)
    stream.put(height - 1, 14)
    stream.put(0, 4)
    if predictor:
        stream.put(0b001_00_1, 6)
        stream.put(0, 1)
        stream.eight_bit_code(280)
        for _ in range(4):
            stream.one_symbol_code()
        stream.put(0, 8 * _blocks(size, 3))
    stream.put(0, 2)  # no other transform, no colour cache
    stream.put(1, 1)
    stream.put(block_bits - 2, 3)
    stream.put(0, 1)
    for alphabet in (280, 256):  # green and red: the number of the group
        stream.eight_bit_code(alphabet)
    for _ in range(3):
        stream.one_symbol_code()
    for block in range(blocks):
        group = block % groups
        for byte in (group & 255, group >> 8):
            stream.put(int(f"{byte:08b}"[::-1], 2), 8)
    for _ in range(5 * groups):
        stream.one_symbol_code()
    stream.put(0, 64)
    return riff(webp_chunk(b"VP8L", stream.bytes()))


def _blocks(size: tuple[int, int], bits: int) -> int:
    return -(-size[0] >> bits) * -(-size[1] >> bits)


def hostile(picture: Image.Image) -> dict[str, Callable[[], bytes]]:
    """Makers, by name, of pictures up to 10 MB that take minutes to decode; each must be refused as too complex."""
    size, area = picture.size, picture.width * picture.height
    baseline, progressive = encoded(picture, "JPEG"), encoded(picture, "JPEG", progressive=True)
    png, webp = encoded(picture, "PNG"), encoded(picture, "WEBP")
    restarts = b"".join(bytes([0xFF, 0xD0 + number]) for number in range(8))
    stream = pixels_of(png)
    table = segment(0xC4, bytes([0x00, 1, *bytes(15), 0]))
    return {
        "JPEG with 1,500 empty scans": lambda: before_end(progressive, EMPTY_REFINEMENT * 1_500),
        "JPEG with its last scan again and again": lambda: before_end(
            progressive, progressive[progressive.rindex(b"\xff\xc4") : -2] * 100
        ),
        "JPEG of empty segments": lambda: behind_start(baseline, segment(0xFE) * 2_400_000),
        "JPEG of fill bytes": lambda: behind_start(baseline, b"\xff" * 9 * MEGABYTE),
        "JPEG of restart markers": lambda: with_scan_data(baseline, restarts * 600_000),
        "JPEG of stuffed bytes": lambda: with_scan_data(baseline, b"\xff\0" * 4 * MEGABYTE),
        "JPEG of tables": lambda: behind_start(baseline, segment(0xC4, table[4:] * 3_000) * 150),
        "JPEG with 5,000 EXIF entries": lambda: behind_start(baseline, exif_segment(5_000)),
        "JPEG with EXIF data 150 times": lambda: behind_start(baseline, exif_segment(50) * 150),
        "PNG of empty chunks": lambda: png_with(png, *[(b"teSt", b"")] * 700_000),
        "PNG of empty pixel chunks": lambda: png_with(png, *[(b"IDAT", b"")] * 700_000),
        "PNG with 200 MB behind its pixels": lambda: png_with_pixels(
            png, zlib.compress(stream + bytes(200 * MEGABYTE), 9)
        ),
        "PNG of empty deflate blocks": lambda: png_with_pixels(png, b"\x78\x9c" + empty_blocks(300_000)),
        "PNG with 5,000 EXIF entries": lambda: png_with(png, (b"eXIf", tiff(5_000, 500_000))),
        "WebP of empty chunks": lambda: extended_webp(webp, 0, size, behind=webp_chunk(b"teSt") * 1_200_000),
        "WebP with 5,000 EXIF entries": lambda: extended_webp(
            webp, 8, size, behind=webp_chunk(b"EXIF", tiff(5_000, 500_000))
        ),
        "WebP with an alpha larger than its pixels": lambda: extended_webp(
            webp, 16, size, before=webp_chunk(b"ALPH", bytes(area + 20_000))
        ),
        "lossless WebP with codes for each 16 pixels": lambda: lossless_with_groups(size),
        "lossless WebP with such codes behind a transform": lambda: lossless_with_groups(size, predictor=True),
        "WebP with such codes in its alpha": lambda: extended_webp(
            webp, 16, size, before=webp_chunk(b"ALPH", b"\1" + lossless_with_groups(size)[25:])
        ),
        "lossless WebP of 10 bytes a pixel": lambda: riff(
            webp_chunk(b"VP8L", encoded(picture, "WEBP", lossless=True)[20:] + bytes(10 * area + 20_000))
        ),
    }


def broken(picture: Image.Image) -> dict[str, bytes]:
    """Pictures by name that no encoder produces; each must be refused as invalid."""
    baseline = encoded(picture, "JPEG")
    webp = encoded(picture, "WEBP")
    frame = baseline.index(b"\xff\xc0")
    header = baseline[frame : frame + 19]
    return {
        "JPEG that codes a component twice": before_end(baseline, scan({1: 0}, 0, 63, 0)),
        "JPEG with two headers": behind_start(baseline, header),
        "JPEG with a scan of an unknown component": before_end(baseline, scan({9: 0}, 0, 63, 0)),
        "JPEG with a segment of no length": behind_start(baseline, b"\xff\xfe\0\0"),
        "JPEG that begins again": before_end(baseline, b"\xff\xd8"),
        "JPEG without pixels": baseline[: baseline.index(b"\xff\xda")] + END,
        "JPEG with a sampling factor of 0": baseline.replace(header, header[:11] + b"\0" + header[12:]),
        "PNG without pixels": png_of([png_chunks(encoded(picture, "PNG"))[0], (b"IEND", b"")]),
        "PNG whose pixels do not inflate": png_with_pixels(encoded(picture, "PNG"), b"\x78\x9c\x07" + bytes(99)),
        "WebP with another size outside": extended_webp(webp, 0, (picture.width + 1, picture.height)),
    }
