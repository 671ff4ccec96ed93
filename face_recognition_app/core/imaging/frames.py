"""Decoding of pictures. Every limit is checked before a pixel is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from core.errors import ImageTooLarge, InvalidImage, UnsupportedFormat
from core.imaging.containers import jpeg, png, webp
from core.types import RgbImage

_OTHER_PICTURES = {b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
_FTYP = slice(4, 8)
"""Position of `ftyp`, which marks an ISO media file (HEIC, AVIF)."""

REDUCTIONS = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_COLOR_RGB,
}
"""Factors by which a JPEG can be decoded smaller, with OpenCV's flags: the bit of the reduced size and that of RGB."""

_READ_SIZE = {"JPEG": jpeg.read_size, "PNG": png.read_size, "WEBP": webp.read_size}


@dataclass(frozen=True, slots=True)
class ImageLimits:
    max_bytes: int
    max_pixels: int


@dataclass(frozen=True, slots=True)
class Header:
    """`size`: width and height as they are stored, before the EXIF orientation turns the picture."""

    kind: str
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Picture:
    """Upright pixels `rgb`, possibly reduced, and the `size` (width, height) of the picture at full scale."""

    rgb: RgbImage
    size: tuple[int, int]

    @classmethod
    def whole(cls, rgb: RgbImage) -> Self:
        return cls(rgb, (rgb.shape[1], rgb.shape[0]))

    @property
    def reduction(self) -> float:
        """Width of the whole picture divided by the width of `rgb`."""
        return self.size[0] / int(self.rgb.shape[1])


def decode_image(data: bytes, header: Header, reduction: int = 1) -> Picture:
    """Decode one still JPEG, PNG or WebP, turned upright as its EXIF orientation says.

    Every colour mode and depth becomes 8-bit RGB. Bytes behind the end of the picture are ignored. `reduction`, one of
    REDUCTIONS, makes a JPEG that many times smaller, in a fraction of the time; other formats ignore it.
    Raises InvalidImage or ImageTooComplex.
    """
    width, height = header.size
    if header.kind != "JPEG" or 0 < abs(width - height) < reduction:
        reduction = 1  # For nearly square images, the EXIF rotation could not be inferred from the reduced size.
    encoded = png.bare(data) if header.kind == "PNG" else data
    try:
        decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), REDUCTIONS[reduction])
    except cv2.error as error:
        raise InvalidImage("the picture does not decode") from error
    if decoded is None or decoded.ndim != 3:
        raise InvalidImage("the picture does not decode")
    rgb = np.asarray(decoded, np.uint8)
    if reduction == 1:
        return Picture.whole(rgb)
    turned = (width > height) != (rgb.shape[1] > rgb.shape[0])
    return Picture(rgb, (height, width) if turned else (width, height))


def read_header(data: bytes, limits: ImageLimits) -> Header:
    """Recognise the format by its first bytes and check the structure of the whole file.

    Raises InvalidImage, ImageTooLarge, ImageTooComplex or UnsupportedFormat.
    """
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"the picture has {len(data)} bytes; {limits.max_bytes} are allowed")
    if not data:
        raise InvalidImage("the picture is empty")
    kind = _kind_of(data)
    width, height = _READ_SIZE[kind](data)
    if width * height > limits.max_pixels:
        raise ImageTooLarge(f"{width}x{height} is more than the allowed {limits.max_pixels} pixels")
    return Header(kind, (width, height))


def _kind_of(data: bytes) -> str:
    if data.startswith(jpeg.SIGNATURE):
        return "JPEG"
    if data.startswith(png.SIGNATURE):
        return "PNG"
    if webp.is_webp(data):
        return "WEBP"
    other = next((kind for magic, kind in _OTHER_PICTURES.items() if data.startswith(magic)), None)
    if other is not None or data[_FTYP] == b"ftyp":
        raise UnsupportedFormat(f"{other or 'this format'} is not supported; send JPEG, PNG or WebP")
    raise InvalidImage("this is not a picture")
