"""Bound on the work that EXIF blocks cause in a decoder."""

from __future__ import annotations

import struct

from core.errors import ImageTooComplex

MAX_COPIED = 1 << 24
"""Bytes: 256 entries, each with a text as long as a JPEG segment. A camera writes some 20 entries, in a block of at
most a segment."""
_TIFF = 42


class ExifBudget:
    """Bytes that a decoder may still copy for the EXIF blocks of one picture.

    OpenCV copies the text of each entry, and an entry may name the whole block as its text, so a block costs its
    number of entries times its size. As in OpenCV, a block is little-endian only when it begins with `II`.
    """

    def __init__(self) -> None:
        self._left = MAX_COPIED

    def spend(self, block: bytes) -> None:
        """Charge the cost of `block`, which begins with the byte order. Raises ImageTooComplex."""
        order = "<" if block.startswith(b"II") else ">"
        if len(block) < 8:
            return
        mark, start = struct.unpack_from(f"{order}HI", block, 2)
        if mark != _TIFF or start + 2 > len(block):
            return
        (entries,) = struct.unpack_from(f"{order}H", block, start)
        self._left -= entries * len(block)
        if self._left < 0:
            raise ImageTooComplex("the picture's EXIF data has too many entries")
