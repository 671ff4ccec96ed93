"""Text chunks of a PNG, as far as they say how the picture is turned."""

from __future__ import annotations

import zlib

from core.imaging.containers.orientation import Orientation

KINDS = {b"tEXt", b"zTXt", b"iTXt"}
_XMP = b"XML:com.adobe.xmp"
_PROFILES = {b"Raw profile type exif", b"Raw profile type APP1"}
"""EXIF as ImageMagick writes it, which had it in PNG long before there was a chunk for it."""
_MAX_BYTES = 1 << 17


class TextReader:
    """Reads chunks of one picture; of all of them together, at most _MAX_BYTES are inflated."""

    def __init__(self, orientation: Orientation) -> None:
        self._orientation = orientation
        self._left = _MAX_BYTES

    def read(self, kind: bytes, data: bytes) -> None:
        keyword, _, rest = data.partition(b"\0")
        if keyword == _XMP and kind == b"iTXt":
            compressed, (_language, _translated, text) = rest[:1], _split(rest[2:])
            self._orientation.read_xmp(self._inflated(text) if compressed == b"\1" else text)
        elif keyword in _PROFILES:
            self._orientation.read_profile(self._inflated(rest[1:]) if kind == b"zTXt" else rest[:_MAX_BYTES])

    def _inflated(self, data: bytes) -> bytes:
        """What fits into the budget; nothing of a stream that is damaged: the picture is not for its text."""
        if not self._left:
            return b""
        try:
            text = zlib.decompressobj().decompress(data, self._left)
        except zlib.error:
            return b""
        self._left -= len(text)
        return text


def _split(rest: bytes) -> tuple[bytes, bytes, bytes]:
    language, _, behind = rest.partition(b"\0")
    translated, _, text = behind.partition(b"\0")
    return language, translated, text
