"""Pictures of every kind come out upright and in 8-bit RGB; what is no such picture is refused with its reason."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from core.errors import ImageError, ImageTooLarge, InvalidImage, UnsupportedFormat
from core.imaging.frames import REDUCTIONS, ImageLimits, Picture, decode_image, read_header
from core.types import RgbImage
from testkit.clips import astronaut
from vocabulary.errors import ErrorCode

LIMITS = ImageLimits(max_bytes=1_000_000, max_pixels=20_000_000)
PICTURE = Image.fromarray(astronaut()[40:200, 130:370]).resize((96, 64))
RGB = np.asarray(PICTURE)
LOSSLESS: dict[str, dict[str, Any]] = {"PNG": {}, "WEBP": {"lossless": True}}
UPRIGHT_FROM = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an upright picture is stored so that its EXIF orientation, the key, makes it upright again."""


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def decoded(data: bytes, limits: ImageLimits = LIMITS) -> RgbImage:
    rgb = decode_image(data, read_header(data, limits)).rgb
    assert rgb.dtype == np.uint8
    return rgb


def difference(rgb: RgbImage, expected: Sequence[int] | RgbImage) -> float:
    return float(np.abs(rgb.astype(int) - np.asarray(expected, int)).mean())


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    parts = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def declared_png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return png((b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))


def declared_jpeg(width: int, height: int) -> bytes:
    data = bytearray(encoded(PICTURE, "JPEG"))
    size = data.index(b"\xff\xc0") + 5
    data[size : size + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def declared_webp(width: int, height: int) -> bytes:
    data = bytearray(encoded(PICTURE, "WEBP"))
    data[26:30] = struct.pack("<HH", width, height)
    return bytes(data)


def reduced(data: bytes, reduction: int) -> Picture:
    return decode_image(data, read_header(data, LIMITS), reduction)


@pytest.mark.parametrize("kind", LOSSLESS)
def test_a_lossless_picture_comes_out_as_it_was(kind: str) -> None:
    assert np.array_equal(decoded(encoded(PICTURE, kind, **LOSSLESS[kind])), RGB)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 2}, {"optimize": True}])
def test_a_jpeg_comes_out_as_it_was(options: dict[str, Any]) -> None:
    assert difference(decoded(encoded(PICTURE, "JPEG", quality=95, **options)), RGB) < 4


def test_red_is_first() -> None:
    red = Image.new("RGB", (32, 32), (250, 20, 10))
    for kind in ("JPEG", "PNG", "WEBP"):
        assert difference(decoded(encoded(red, kind)), (250, 20, 10)) < 4


def test_a_cmyk_jpeg_keeps_its_colours() -> None:
    assert difference(decoded(encoded(PICTURE.convert("CMYK"), "JPEG", quality=95)), RGB) < 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_grey_picture_gets_three_channels(kind: str) -> None:
    grey = PICTURE.convert("L")
    rgb = decoded(encoded(grey, kind))
    assert difference(rgb, np.asarray(grey.convert("RGB"))) < 5
    assert np.array_equal(rgb[:, :, 0], rgb[:, :, 2])


def test_sixteen_bits_become_eight() -> None:
    for picture in (RGB[:, :, ::-1], RGB[:, :, 1]):
        _, data = cv2.imencode(".png", picture.astype(np.uint16) * 257)
        expected = RGB if picture.ndim == 3 else np.repeat(picture[:, :, np.newaxis], 3, axis=2)
        assert np.array_equal(decoded(data.tobytes()), expected)


def test_a_palette_is_looked_up() -> None:
    palette = PICTURE.convert("P", palette=Image.Palette.ADAPTIVE)
    expected = np.asarray(palette.convert("RGB"))
    assert np.array_equal(decoded(encoded(palette, "PNG")), expected)


def test_a_phones_jpeg_with_a_second_picture_is_its_first_picture() -> None:
    data = encoded(PICTURE, "MPO", save_all=True, append_images=[PICTURE.rotate(180)], quality=95)
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert difference(decoded(data), RGB) < 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("rest", [b"PK\x03\x04 a zip file", b"<html><script>alert(1)</script></html>"])
def test_what_stands_behind_the_picture_is_ignored(kind: str, rest: bytes) -> None:
    assert np.array_equal(decoded(encoded(PICTURE, kind) + rest * 100), decoded(encoded(PICTURE, kind)))


def test_an_empty_picture_is_refused() -> None:
    with pytest.raises(InvalidImage, match="empty"):
        decoded(b"")


@pytest.mark.parametrize(
    "data",
    [
        b"<html><body>hello</body></html>",
        bytes(1_000),
        b"\xff\xd8\xff<html><script>alert(1)</script></html>",
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00<html><script>alert(1)</script></html>\xff\xda\xff\xd9",
        b"\x89PNG\r\n\x1a\n<html><script>alert(1)</script></html>",
        b"RIFF\x00\x10\x00\x00WEBP<html><script>alert(1)</script></html>",
    ],
)
def test_what_is_no_picture_is_refused_whatever_it_begins_with(data: bytes) -> None:
    with pytest.raises(InvalidImage) as caught:
        decoded(data)
    assert caught.value.code == ErrorCode.INVALID_IMAGE
    assert caught.value.retryable


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_that_is_broken_off_is_refused(kind: str) -> None:
    data = encoded(PICTURE, kind)
    for length in [*range(1, 40), *range(40, len(data), 97), len(data) - 2]:
        with pytest.raises(InvalidImage):
            decoded(data[:length])


def test_a_broken_off_jpeg_is_refused_though_its_thumbnail_is_whole() -> None:
    thumbnail = encoded(PICTURE.resize((16, 16)), "JPEG")
    comment = b"\xff\xfe" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    data = encoded(PICTURE, "JPEG")
    with_thumbnail = data[:2] + comment + data[2:]
    assert np.array_equal(decoded(with_thumbnail), decoded(data))
    with pytest.raises(InvalidImage, match="broken off"):
        decoded(with_thumbnail[: -len(data) // 4])


@pytest.mark.parametrize("declared", [declared_png, declared_jpeg, declared_webp])
def test_too_many_pixels_are_refused_by_what_the_header_says(declared: Any) -> None:
    data = declared(8_000, 6_250)
    assert len(data) < 10_000
    with pytest.raises(ImageTooLarge, match="8000x6250") as caught:
        decoded(data)
    assert caught.value.code == ErrorCode.IMAGE_TOO_LARGE


def test_a_picture_as_large_as_is_allowed_is_taken() -> None:
    data = encoded(PICTURE, "PNG")
    assert decoded(data, ImageLimits(len(data), 96 * 64)).shape == (64, 96, 3)
    with pytest.raises(ImageTooLarge, match="pixels"):
        decoded(data, ImageLimits(len(data), 96 * 64 - 1))
    with pytest.raises(ImageTooLarge, match=f"{len(data)} bytes"):
        decoded(data, ImageLimits(len(data) - 1, 96 * 64))


def test_too_many_bytes_are_refused_before_they_are_looked_at() -> None:
    with pytest.raises(ImageTooLarge, match="1000001 bytes"):
        decoded(bytes(1_000_001))


@pytest.mark.parametrize("orientation", UPRIGHT_FROM)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_jpeg_comes_out_upright_and_as_small_as_is_asked(reduction: int, orientation: int) -> None:
    """Also where its size is no multiple: it says itself how large it was."""
    upright = PICTURE.resize((963, 641))
    transpose = UPRIGHT_FROM[orientation]
    exif = Image.Exif()
    exif[0x112] = orientation
    stored = upright if transpose is None else upright.transpose(transpose)
    picture = reduced(encoded(stored, "JPEG", quality=95, exif=exif), reduction)
    height, width = picture.rgb.shape[:2]
    assert picture.size == (963, 641)
    assert (width, height) == (-(-963 // reduction), -(-641 // reduction))
    assert picture.reduction == pytest.approx(reduction, rel=0.01)
    assert difference(picture.rgb, np.asarray(upright.resize((width, height), Image.Resampling.BOX))) < 8


@pytest.mark.parametrize("size", [(722, 721), (723, 720), (720, 720)])
@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_also_what_is_all_but_square_keeps_its_size(reduction: int, size: tuple[int, int]) -> None:
    exif = Image.Exif()
    for orientation, transpose in ((1, None), (6, Image.Transpose.ROTATE_90)):
        exif[0x112] = orientation
        upright = PICTURE.resize(size)
        stored = upright if transpose is None else upright.transpose(transpose)
        assert reduced(encoded(stored, "JPEG", exif=exif), reduction).size == size


@pytest.mark.parametrize("kind", LOSSLESS)
def test_what_cannot_be_decoded_smaller_comes_out_whole(kind: str) -> None:
    picture = reduced(encoded(PICTURE, kind, **LOSSLESS[kind]), 4)
    assert np.array_equal(picture.rgb, RGB)
    assert (picture.size, picture.reduction) == ((96, 64), 1)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_a_moving_picture_is_refused(kind: str) -> None:
    data = encoded(PICTURE, kind, save_all=True, append_images=[PICTURE.rotate(180)])
    with pytest.raises(UnsupportedFormat) as caught:
        decoded(data)
    assert caught.value.code == ErrorCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "AVIF"])
def test_another_kind_of_picture_is_told_what_to_send(kind: str) -> None:
    with pytest.raises(UnsupportedFormat, match="send JPEG, PNG or WebP"):
        decoded(encoded(PICTURE, kind))


def test_a_phones_heic_is_told_what_to_send() -> None:
    with pytest.raises(UnsupportedFormat, match="send JPEG, PNG or WebP"):
        decoded(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(100))


def damaged(data: bytes, source: random.Random) -> bytes:
    """Broken off, or with some bytes changed, most of them in the header."""
    changed = bytearray(data[: source.randrange(len(data))] if source.random() < 0.3 else data)
    for _ in range(source.choice([1, 2, 8, 50])):
        if changed:
            end = len(changed) if source.random() < 0.4 else min(len(changed), 200)
            changed[source.randrange(end)] = source.choice([0, 0x7F, 0x80, 0xFF, source.randrange(256)])
    return bytes(changed)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "MPO", "APNG", "GIF", "TIFF", "AVIF", "DDS", "ICO"])
def test_a_damaged_picture_raises_nothing_but_image_errors(kind: str) -> None:
    source = random.Random(kind)
    exif = Image.Exif()
    exif[0x112] = 6
    several = {"save_all": True, "append_images": [PICTURE.rotate(180)]} if kind in ("MPO", "APNG", "GIF") else {}
    options = {"exif": exif} if kind in ("JPEG", "PNG", "WEBP") else several
    data = encoded(PICTURE, "PNG" if kind == "APNG" else kind, **options)
    refused = 0
    for _ in range(300):
        try:
            assert decoded(damaged(data, source)).shape[2] == 3
        except ImageError:
            refused += 1
    assert refused > 20
