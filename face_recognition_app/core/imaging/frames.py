"""Decoding of pictures. Every limit is checked before a pixel is decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from core.errors import ImageTooLarge, InvalidImage, UnsupportedFormat
from core.imaging.containers import jpeg, png, webp
from core.imaging.containers.header import ContainerHeader
from core.imaging.other_formats import name_of
from core.imaging.transparency import opaque_rgb
from core.types import RgbImage

_IMREAD_RGB = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
REDUCTIONS = {
    1: _IMREAD_RGB,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | _IMREAD_RGB,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | _IMREAD_RGB,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | _IMREAD_RGB,
}
"""Factors by which a JPEG can be decoded smaller, with OpenCV's flags: the bit of the reduced size and that of RGB."""

_READ_HEADER = {"JPEG": jpeg.read_header, "PNG": png.read_header, "WEBP": webp.read_header}


_ON_ITS_SIDE = {5, 6, 7, 8}
"""EXIF orientations that swap width and height."""
_TURNS: dict[int, tuple[Callable[[RgbImage], cv2.typing.MatLike], ...]] = {
    1: (),
    2: (lambda rgb: cv2.flip(rgb, 1),),
    3: (lambda rgb: cv2.rotate(rgb, cv2.ROTATE_180),),
    4: (lambda rgb: cv2.flip(rgb, 0),),
    5: (cv2.transpose,),
    6: (lambda rgb: cv2.rotate(rgb, cv2.ROTATE_90_CLOCKWISE),),
    7: (lambda rgb: cv2.rotate(rgb, cv2.ROTATE_180), cv2.transpose),
    8: (lambda rgb: cv2.rotate(rgb, cv2.ROTATE_90_COUNTERCLOCKWISE),),
}
"""What makes a picture upright, by its orientation."""


@dataclass(frozen=True, slots=True)
class ImageLimits:
    max_bytes: int
    max_pixels: int


@dataclass(frozen=True, slots=True)
class Header:
    """Facts stated before the pixels: `kind` of file, and what its container says of the picture."""

    kind: str
    stated: ContainerHeader

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture when it is upright."""
        width, height = self.stated.size
        return (height, width) if self.stated.orientation in _ON_ITS_SIDE else (width, height)


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
    """Decode one still JPEG, PNG or WebP, upright and opaque: what is transparent shows white.

    Every colour mode and depth becomes 8-bit RGB. Bytes behind the end of the picture are ignored. `reduction`, one of
    REDUCTIONS, makes a JPEG that many times smaller, in a fraction of the time; other formats ignore it.
    Raises InvalidImage or ImageTooComplex.
    """
    flags = REDUCTIONS[reduction if header.kind == "JPEG" else 1]
    if header.stated.transparent:
        flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    encoded = png.bare(data) if header.kind == "PNG" else data
    try:
        decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)
    except cv2.error as error:
        raise InvalidImage("the picture does not decode") from error
    if decoded is None:
        raise InvalidImage("the picture does not decode")
    rgb = opaque_rgb(decoded) if header.stated.transparent else np.asarray(decoded, np.uint8)
    return Picture(_upright(rgb, header.stated.orientation), header.size)


def _upright(rgb: RgbImage, orientation: int) -> RgbImage:
    for turn in _TURNS[orientation]:
        rgb = np.asarray(turn(rgb), np.uint8)
    return rgb


def read_header(data: bytes, limits: ImageLimits) -> Header:
    """Recognise the format by its first bytes and check the structure of the whole file.

    Raises InvalidImage, ImageTooLarge, ImageTooComplex or UnsupportedFormat.
    """
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"the picture has {len(data)} bytes; {limits.max_bytes} are allowed")
    if not data:
        raise InvalidImage("the picture is empty")
    kind = _kind_of(data)
    stated = _READ_HEADER[kind](data)
    width, height = stated.size
    if width * height > limits.max_pixels:
        raise ImageTooLarge(f"{width}x{height} is more than the allowed {limits.max_pixels} pixels")
    return Header(kind, stated)


def _kind_of(data: bytes) -> str:
    if data.startswith(jpeg.SIGNATURE):
        return "JPEG"
    if data.startswith(png.SIGNATURE):
        return "PNG"
    if webp.is_webp(data):
        return "WEBP"
    other = name_of(data)
    if other is not None:
        raise UnsupportedFormat(f"{other} is not supported; send JPEG, PNG or WebP")
    raise InvalidImage("this is not a picture")
