"""Pictures as phones, browsers and libraries write them: turned in many ways, transparent, or of another format."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from core.errors import InvalidImage, UnsupportedFormat
from core.imaging.frames import ImageLimits, Picture, decode_image, read_header
from core.types import RgbImage
from testkit.clips import astronaut
from testkit.hostile_pictures import behind_start, encoded, extended_webp, png_with, segment, webp_chunk

LIMITS = ImageLimits(max_bytes=10 << 20, max_pixels=25_000_000)
UPRIGHT = Image.fromarray(astronaut()).resize((96, 64))
STORED = {
    1: UPRIGHT,
    2: UPRIGHT.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: UPRIGHT.transpose(Image.Transpose.ROTATE_180),
    4: UPRIGHT.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: UPRIGHT.transpose(Image.Transpose.TRANSPOSE),
    6: UPRIGHT.transpose(Image.Transpose.ROTATE_90),
    7: UPRIGHT.transpose(Image.Transpose.TRANSVERSE),
    8: UPRIGHT.transpose(Image.Transpose.ROTATE_270),
}
"""What a camera stores with each orientation of EXIF."""
SEEN, HIDDEN = (10, 200, 30), (200, 10, 30)


def decoded(data: bytes) -> Picture:
    return decode_image(data, read_header(data, LIMITS))


def difference(rgb: RgbImage, picture: Image.Image) -> float:
    assert rgb.shape == (picture.height, picture.width, 3)
    return float(np.abs(rgb.astype(int) - np.asarray(picture.convert("RGB"), int)).mean())


def exif(orientation: int, order: str = "<", kind: str = "H") -> bytes:
    """A block with another entry before the orientation, which is a number of `kind`."""
    code = {"B": 1, "H": 3, "I": 4}[kind]
    value = struct.pack(f"{order}{kind}", orientation).ljust(4, b"\0")
    entries = struct.pack(f"{order}HHII", 0x0100, 3, 1, 0) + struct.pack(f"{order}HHI", 0x0112, code, 1) + value
    mark = b"II" if order == "<" else b"MM"
    return mark + struct.pack(f"{order}HIH", 42, 8, 2) + entries + bytes(4)


def xmp(orientation: int, *, as_element: bool = False) -> bytes:
    inside = f"<tiff:Orientation>{orientation}</tiff:Orientation>" if as_element else ""
    attribute = "" if as_element else f' tiff:Orientation="{orientation}"'
    return f"<x:xmpmeta><rdf:Description{attribute}>{inside}</rdf:Description></x:xmpmeta>".encode()


def profile(orientation: int) -> bytes:
    block = b"Exif\0\0" + exif(orientation)
    digits = block.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return f"\nexif\n{len(block):8}\n{lines}\n".encode()


def jpeg(*blocks: bytes) -> Callable[[Image.Image], bytes]:
    metadata = b"".join(segment(0xE1, block) for block in blocks)
    return lambda stored: behind_start(encoded(stored, "JPEG", quality=95), metadata)


def png(*chunks: tuple[bytes, bytes]) -> Callable[[Image.Image], bytes]:
    return lambda stored: png_with(encoded(stored, "PNG"), *chunks)


def webp(flag: int, kind: bytes, block: bytes) -> Callable[[Image.Image], bytes]:
    return lambda stored: extended_webp(
        encoded(stored, "WEBP", quality=95), flag, stored.size, behind=webp_chunk(kind, block)
    )


EXIF, ADOBE = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
XMP_TEXT, PROFILE_TEXT = b"XML:com.adobe.xmp\0", b"Raw profile type exif\0"
ENCODERS: dict[str, Callable[[int], Callable[[Image.Image], bytes]]] = {
    "JPEG": lambda turn: jpeg(EXIF + exif(turn)),
    "JPEG, most significant byte first": lambda turn: jpeg(EXIF + exif(turn, ">")),
    "JPEG, 32 bits": lambda turn: jpeg(EXIF + exif(turn, kind="I")),
    "JPEG, 8 bits": lambda turn: jpeg(EXIF + exif(turn, ">", "B")),
    "JPEG, XMP only": lambda turn: jpeg(ADOBE + xmp(turn)),
    "JPEG, XMP element": lambda turn: jpeg(ADOBE + xmp(turn, as_element=True)),
    "JPEG, XMP before EXIF": lambda turn: jpeg(ADOBE + xmp(9 - turn), EXIF + exif(turn)),
    "PNG": lambda turn: png((b"eXIf", exif(turn, ">"))),
    "PNG with the prefix of JPEG": lambda turn: png((b"eXIf", EXIF + exif(turn))),
    "PNG, EXIF as text": lambda turn: png((b"tEXt", PROFILE_TEXT + profile(turn))),
    "PNG, EXIF as packed text": lambda turn: png((b"zTXt", PROFILE_TEXT + b"\0" + zlib.compress(profile(turn)))),
    "PNG, XMP": lambda turn: png((b"iTXt", XMP_TEXT + b"\0\0\0\0" + xmp(turn))),
    "PNG, packed XMP": lambda turn: png((b"iTXt", XMP_TEXT + b"\1\0\0\0" + zlib.compress(xmp(turn)))),
    "WebP": lambda turn: webp(8, b"EXIF", exif(turn)),
    "WebP with the prefix of JPEG": lambda turn: webp(8, b"EXIF", EXIF + exif(turn, ">")),
    "WebP, XMP": lambda turn: webp(4, b"XMP ", xmp(turn)),
}


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("orientation", STORED)
def test_a_turned_picture_is_upright(encoder: str, orientation: int) -> None:
    data = ENCODERS[encoder](orientation)(STORED[orientation])
    assert difference(decoded(data).rgb, UPRIGHT) < 6


@pytest.mark.parametrize("orientation", [0, 9, 200])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation: int) -> None:
    assert difference(decoded(jpeg(EXIF + exif(orientation))(UPRIGHT)).rgb, UPRIGHT) < 6


@pytest.mark.parametrize(
    "block", [b"", b"II", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", exif(6)[:30]]
)
def test_a_damaged_block_turns_nothing(block: bytes) -> None:
    assert difference(decoded(jpeg(EXIF + block)(UPRIGHT)).rgb, UPRIGHT) < 6
    assert difference(decoded(png((b"eXIf", block))(UPRIGHT)).rgb, UPRIGHT) < 1


@pytest.mark.parametrize("text", [b"", b"\nexif\n", b"\nexif\n  12\n4", PROFILE_TEXT, zlib.compress(b"x")[:-3]])
def test_damaged_text_turns_nothing(text: bytes) -> None:
    for chunk in ((b"tEXt", PROFILE_TEXT + text), (b"zTXt", PROFILE_TEXT + b"\0" + text), (b"iTXt", XMP_TEXT + text)):
        assert difference(decoded(png(chunk)(UPRIGHT)).rgb, UPRIGHT) < 1


def half_seen(mode: str) -> Image.Image:
    """The left half SEEN, the right half HIDDEN and transparent."""
    rgba = np.zeros((40, 40, 4), np.uint8)
    rgba[:, :20], rgba[:, 20:] = (*SEEN, 255), (*HIDDEN, 0)
    return Image.fromarray(rgba).convert(mode)


def palette() -> bytes:
    picture = half_seen("RGBA").convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE, colors=2)
    return encoded(picture, "PNG", transparency=int(np.asarray(picture)[0, 39]))


def deep() -> bytes:
    """16 bits a colour."""
    pixels = np.asarray(half_seen("RGBA")).astype(np.uint16) * 257
    return bytes(cv2.imencode(".png", pixels[:, :, [2, 1, 0, 3]])[1])


TRANSPARENT: dict[str, Callable[[], bytes]] = {
    "PNG": lambda: encoded(half_seen("RGBA"), "PNG"),
    "PNG with a palette": palette,
    "PNG with a transparent colour": lambda: encoded(half_seen("RGBA").convert("RGB"), "PNG", transparency=HIDDEN),
    "PNG of 16 bits": deep,
    "lossless WebP": lambda: encoded(half_seen("RGBA"), "WEBP", lossless=True, exact=True),
    "WebP": lambda: encoded(half_seen("RGBA"), "WEBP", quality=100, exact=True),
}


@pytest.mark.parametrize("kind", TRANSPARENT)
def test_what_nobody_sees_is_not_seen(kind: str) -> None:
    rgb = decoded(TRANSPARENT[kind]()).rgb
    assert np.abs(rgb[:, 2:16].astype(int) - SEEN).max() < 12
    assert (rgb[:, 24:] == 255).all()


def test_grey_that_nobody_sees_is_not_seen() -> None:
    rgb = decoded(encoded(half_seen("LA"), "PNG")).rgb
    assert len(np.unique(rgb[:, :20])) == 1
    assert (rgb[:, 20:] == 255).all()


def test_what_is_half_transparent_is_half_seen() -> None:
    picture = Image.new("RGBA", (8, 300), (0, 100, 255, 128))
    rgb = decoded(encoded(picture, "PNG")).rgb
    assert np.unique(rgb.reshape(-1, 3), axis=0).tolist() == [[127, 177, 255]]


@pytest.mark.parametrize("options", [{}, {"lossless": True}])
def test_an_opaque_picture_with_an_alpha_channel_is_itself(options: dict[str, bool]) -> None:
    picture = UPRIGHT.copy()
    picture.putalpha(255)
    assert difference(decoded(encoded(picture, "PNG")).rgb, UPRIGHT) == 0
    assert difference(decoded(encoded(picture, "WEBP", quality=100, **options)).rgb, UPRIGHT) < 4


def test_a_frame_of_a_webcam_needs_no_huffman_tables() -> None:
    """As webcams send them: a reader of Motion JPEG knows the tables."""
    data = encoded(UPRIGHT, "JPEG", quality=90, optimize=False)
    bare = data
    while (at := bare.find(b"\xff\xc4")) >= 0:
        bare = bare[:at] + bare[at + 2 + int.from_bytes(bare[at + 2 : at + 4], "big") :]
    assert len(bare) < len(data) - 400
    assert (decoded(bare).rgb == decoded(data).rgb).all()


def iso_media(brand: bytes, *compatible: bytes) -> bytes:
    box = b"ftyp" + brand + bytes(4) + b"".join(compatible)
    return struct.pack(">I", len(box) + 4) + box + bytes(100)


OTHERS = {
    "GIF": [b"GIF89a"],
    "BMP": [b"BM\x36\x04"],
    "TIFF": [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"],
    "JPEG XR": [b"II\xbc\x01"],
    "JPEG XL": [b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n", iso_media(b"jxl ")],
    "JPEG 2000": [b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"],
    "HEIC": [iso_media(b"heic"), iso_media(b"heix"), iso_media(b"mif1", b"mif1", b"heic"), iso_media(b"mif1")],
    "AVIF": [iso_media(b"avif"), iso_media(b"avis"), iso_media(b"mif1", b"miaf", b"avif")],
    "a video": [iso_media(b"isom", b"mp42"), iso_media(b"qt  "), b"\x1aE\xdf\xa3"],
    "PDF": [b"%PDF-1.7"],
    "SVG": [b"<svg xmlns", b"<?xml version"],
}


@pytest.mark.parametrize(("name", "start"), [(name, start) for name, starts in OTHERS.items() for start in starts])
def test_another_format_is_told_by_its_name(name: str, start: bytes) -> None:
    with pytest.raises(UnsupportedFormat, match=f"{name} is not supported; send JPEG, PNG or WebP"):
        decoded(start + bytes(64))


@pytest.mark.parametrize("data", [b"hello", bytes(64), b"\xff\xff\xff", b"RIFF\0\0\0\0WAVE"])
def test_what_is_no_picture_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(InvalidImage, match="not a picture"):
        decoded(data)
