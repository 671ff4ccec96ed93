"""Encoded pictures to pixels, with every limit checked before a pixel is decoded."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from core.errors import ImageTooLarge, InvalidImage, UnsupportedFormat
from core.types import RgbImage

FORMATS = ("JPEG", "PNG", "WEBP")
_OTHER_PICTURES = {b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
_FTYP = slice(4, 8)
"""Where an ISO media file (HEIC, AVIF) says that it is one."""

REDUCTIONS = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_COLOR_RGB,
}
"""Times as small as it is that a JPEG can be decoded, and how OpenCV is told: the bit of its size with that of RGB."""

Image.MAX_IMAGE_PIXELS = None  # Only headers are opened here, and measured against our own limit.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # Hostile metadata would fill the log.


@dataclass(frozen=True, slots=True)
class ImageLimits:
    max_bytes: int
    max_pixels: int


@dataclass(frozen=True, slots=True)
class Header:
    """`size`: width and height as they are stored, before the EXIF orientation turns the picture."""

    kind: str | None
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Picture:
    """Upright pixels, and the `size` (width, height) of the whole picture, of which they may be a smaller copy."""

    rgb: RgbImage
    size: tuple[int, int]

    @classmethod
    def whole(cls, rgb: RgbImage) -> Self:
        return cls(rgb, (rgb.shape[1], rgb.shape[0]))

    @property
    def reduction(self) -> float:
        """Times as wide as `rgb` that the picture is."""
        return self.size[0] / int(self.rgb.shape[1])


def decode_image(data: bytes, header: Header, reduction: int = 1) -> Picture:
    """Decode one still JPEG, PNG or WebP, turned upright as its EXIF orientation says.

    Every colour mode and depth comes out as 8-bit RGB. What stands behind the end of the picture is ignored. A JPEG
    comes out smaller by one of REDUCTIONS, in a fraction of the time; of other kinds everything is decoded anyway.
    Raises InvalidImage.
    """
    width, height = header.size
    if header.kind != "JPEG" or 0 < abs(width - height) < reduction:
        reduction = 1  # Of a picture that is all but square it could not be told any more which way it lay.
    flags = REDUCTIONS[reduction]
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
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
    """The kind is told by the content. Raises InvalidImage, ImageTooLarge or UnsupportedFormat."""
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"the picture has {len(data)} bytes; {limits.max_bytes} are allowed")
    if not data:
        raise InvalidImage("the picture is empty")
    try:
        # Pillow's other parsers are kept from data that nobody vouches for; some raise what they like.
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            # A phone's JPEG with a second picture behind the first is told as MPO.
            kind, (width, height) = "JPEG" if image.format == "MPO" else image.format, image.size
            frames = getattr(image, "n_frames", 1) if kind in ("PNG", "WEBP") else 1
    except UnidentifiedImageError as error:
        _refuse_other_picture(data)
        raise InvalidImage("this is not a picture") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise InvalidImage("the picture's header is damaged") from error
    if width * height > limits.max_pixels:
        raise ImageTooLarge(f"{width}x{height} is more than the allowed {limits.max_pixels} pixels")
    if frames > 1:
        raise UnsupportedFormat("animated pictures are not supported; send a still one")
    if kind == "JPEG" and not _jpeg_is_complete(data):
        raise InvalidImage("the picture is broken off")
    return Header(kind, (width, height))


def _refuse_other_picture(data: bytes) -> None:
    kind = next((kind for magic, kind in _OTHER_PICTURES.items() if data.startswith(magic)), None)
    if kind is not None or data[_FTYP] == b"ftyp":
        raise UnsupportedFormat(f"{kind or 'this format'} is not supported; send JPEG, PNG or WebP")


def _jpeg_is_complete(data: bytes) -> bool:
    """Whether an end-of-image marker follows the first scan; libjpeg would paint the rest grey.

    Walks the segments, since a thumbnail in the EXIF data carries an end marker of its own.
    """
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == 0xFF:
            at += 1
            continue
        if data[at + 1] == 0xDA:
            return data.find(b"\xff\xd9", at) != -1
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False
