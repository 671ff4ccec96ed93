"""Orientation of a picture, from the metadata of any container: EXIF, or else XMP.

Encoders differ: the number is 16 or 32 bits long, the block has its JPEG prefix in containers that need none, and some
write XMP alone, or EXIF as hexadecimal text.
"""

from __future__ import annotations

import binascii
import re
import struct

from core.imaging.containers.header import UPRIGHT

EXIF_PREFIX = b"Exif\0"
_TIFF = 42
_ORIENTATION = 0x0112
_ENTRY_BYTES = 12
_FORMATS = {1: "B", 3: "H", 4: "I"}
"""Of the value, by its TIFF type: byte, short, long."""
_XMP = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])\s*[\"'<]")
_XMP_BYTES = 1 << 16
"""Searched from the start of a packet; cameras write 2 kB, and the properties of TIFF among the first."""
_PROFILE = re.compile(rb"\s*(?:exif|app1|generic profile)\s+\d+\s+([0-9a-f\s]+)", re.IGNORECASE)


class Orientation:
    """Collects what the metadata blocks of one file say; the first orientation of EXIF counts, then that of XMP."""

    def __init__(self) -> None:
        self._exif: int | None = None
        self._xmp: int | None = None

    @property
    def value(self) -> int:
        return self._exif or self._xmp or UPRIGHT

    def read_exif(self, block: bytes) -> None:
        """`block`: EXIF data, with or without the prefix that it has in a JPEG."""
        self._exif = self._exif or _exif_orientation(without_prefix(block))

    def read_xmp(self, packet: bytes) -> None:
        found = _XMP.search(packet, 0, _XMP_BYTES)
        if found is not None and self._xmp is None:
            self._xmp = int(found.group(1))

    def read_profile(self, text: bytes) -> None:
        """`text`: EXIF data as ImageMagick writes it into PNG text: its name, its length, hexadecimal digits."""
        found = _PROFILE.match(text)
        if found is not None:
            digits = b"".join(found.group(1).split())
            self.read_exif(binascii.unhexlify(digits[: len(digits) // 2 * 2]))


def without_prefix(block: bytes) -> bytes:
    return block[len(EXIF_PREFIX) + 1 :] if block.startswith(EXIF_PREFIX) else block


def _exif_orientation(block: bytes) -> int | None:
    order = "<" if block.startswith(b"II") else ">"
    if len(block) < 8 or struct.unpack_from(f"{order}H", block, 2)[0] != _TIFF:
        return None
    (start,) = struct.unpack_from(f"{order}I", block, 4)
    if start + 2 > len(block):
        return None
    (entries,) = struct.unpack_from(f"{order}H", block, start)
    last = min(start + 2 + entries * _ENTRY_BYTES, len(block) - _ENTRY_BYTES + 1)
    for at in range(start + 2, last, _ENTRY_BYTES):
        tag, kind, count = struct.unpack_from(f"{order}HHI", block, at)
        if tag == _ORIENTATION and kind in _FORMATS and count == 1:
            (value,) = struct.unpack_from(f"{order}{_FORMATS[kind]}", block, at + 8)
            return value if UPRIGHT <= value <= 8 else None
    return None
