"""A picture that would keep a decoder busy is refused before one sees it; whatever an encoder makes is taken."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageFile

from core.errors import ImageTooComplex, InvalidImage, UnsupportedFormat
from core.imaging.containers import png
from core.imaging.frames import ImageLimits, decode_image, read_header
from core.types import RgbImage
from testkit import hostile_pictures as hostile
from testkit.clips import astronaut
from vocabulary.errors import ErrorCode

LIMITS = ImageLimits(max_bytes=10 << 20, max_pixels=25_000_000)
PICTURE = Image.fromarray(astronaut()).resize((320, 240))
PORTRAIT = Image.fromarray(astronaut())
HOSTILE = hostile.hostile(PICTURE)
BROKEN = hostile.broken(PICTURE)


def decoded(data: bytes) -> RgbImage:
    return decode_image(data, read_header(data, LIMITS)).rgb


def by_opencv(data: bytes) -> RgbImage:
    """What the decoder makes of the file when nothing stands before it."""
    rgb = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    return np.asarray(rgb, np.uint8)


@pytest.fixture(scope="module", params=HOSTILE)
def data(request: pytest.FixtureRequest) -> bytes:
    picture: bytes = HOSTILE[request.param]()
    return picture


def test_a_picture_that_costs_too_much_is_refused(data: bytes) -> None:
    assert len(data) < LIMITS.max_bytes
    with pytest.raises(ImageTooComplex) as caught:
        decoded(data)
    assert caught.value.code == ErrorCode.IMAGE_TOO_COMPLEX
    assert caught.value.retryable


def test_refusing_it_takes_no_memory_to_speak_of(data: bytes) -> None:
    # Threads that earlier tests left may take memory meanwhile; not every time.
    assert min(bytes_taken(data) for _ in range(3)) < 4 << 20


def bytes_taken(data: bytes) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(ImageTooComplex):
            decoded(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", BROKEN)
def test_what_no_encoder_makes_is_invalid(name: str) -> None:
    with pytest.raises(InvalidImage):
        decoded(BROKEN[name])


@pytest.mark.parametrize("marker", [0xC3, 0xC5, 0xC9, 0xCA, 0xCF])
def test_a_jpeg_of_a_kind_that_nobody_sends_is_told_so(marker: int) -> None:
    data = hostile.encoded(PICTURE, "JPEG").replace(b"\xff\xc0", bytes([0xFF, marker]))
    with pytest.raises(UnsupportedFormat, match="baseline or a progressive"):
        decoded(data)


def test_a_jpeg_of_twelve_bits_is_told_so() -> None:
    data = bytearray(hostile.encoded(PICTURE, "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(UnsupportedFormat, match="8 bits"):
        decoded(bytes(data))


def test_inflated_text_costs_nothing_for_it_is_left_away() -> None:
    plain = hostile.encoded(PICTURE, "PNG")
    bombs = hostile.png_with(plain, *(hostile.text_bomb() for _ in range(20)))
    assert png.bare(bombs) == png.bare(plain), "what a decoder is given"
    assert np.array_equal(decoded(bombs), np.asarray(PICTURE))


NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (240, 320, 3), np.uint8))
PICTURES = {"portrait": PORTRAIT, "noise": NOISE, "dot": PICTURE.resize((1, 1))}
ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    "baseline": ("JPEG", {}),
    "best": ("JPEG", {"quality": 100, "subsampling": 0}),
    "progressive": ("JPEG", {"progressive": True, "optimize": True}),
    "best progressive": ("JPEG", {"quality": 100, "subsampling": 0, "progressive": True}),
    "a restart marker after every block": ("JPEG", {"subsampling": "4:2:2", "restart_marker_blocks": 1}),
    "restart markers in every scan": ("JPEG", {"progressive": True, "restart_marker_rows": 1}),
    "JPEG with a large colour profile": ("JPEG", {"icc_profile": bytes(1 << 20), "comment": "x" * 60_000}),
    "PNG": ("PNG", {}),
    "stored": ("PNG", {"compress_level": 0}),
    "PNG with a large colour profile": ("PNG", {"optimize": True, "icc_profile": bytes(1 << 20)}),
    "best lossy": ("WEBP", {"quality": 100}),
    "lossless": ("WEBP", {"lossless": True}),
    "fast lossless": ("WEBP", {"lossless": True, "quality": 0, "method": 0}),
    "WebP with large metadata": ("WEBP", {"icc_profile": bytes(1 << 20), "xmp": bytes(1 << 20)}),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_what_an_encoder_makes_comes_out_as_ever(encoder: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "MAXBLOCK", 1 << 22)  # Pillow's room for a JPEG of noise.
    kind, options = ENCODERS[encoder]
    data = hostile.encoded(PICTURES[name], kind, **options)
    assert np.array_equal(decoded(data), by_opencv(data))


@pytest.mark.parametrize("method", [0, 2, 4, 6])
@pytest.mark.parametrize("colours", [2, 4, 16, 200, None])
def test_a_lossless_webp_is_taken_whatever_its_transforms(colours: int | None, method: int) -> None:
    picture = PORTRAIT if colours is None else PORTRAIT.quantize(colours).convert("RGB")
    for shown in (picture, picture.convert("RGBA").rotate(30)):
        data = hostile.encoded(shown, "WEBP", lossless=True, exact=True, method=method)
        assert farthest(decoded(data), on_white(shown)) <= 1
        lossy = hostile.encoded(shown, "WEBP", method=method)
        assert farthest(decoded(lossy), on_white(Image.open(io.BytesIO(lossy)))) <= 1


def on_white(picture: Image.Image) -> RgbImage:
    seen = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA"))
    return np.asarray(seen.convert("RGB"), np.uint8)


def farthest(rgb: RgbImage, other: RgbImage) -> int:
    """Largest difference of a value."""
    return int(np.abs(rgb.astype(int) - other).max())


@pytest.mark.parametrize("mode", ["L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_other_colours_in_a_jpeg_come_out_as_ever(mode: str, progressive: bool) -> None:
    data = hostile.encoded(PORTRAIT.convert(mode), "JPEG", progressive=progressive, quality=95)
    assert np.array_equal(decoded(data), by_opencv(data))


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "I;16"])
@pytest.mark.parametrize("interlaced", [False, True])
def test_other_colours_in_a_png_come_out_as_ever(mode: str, interlaced: bool) -> None:
    picture = PICTURE.convert("I").convert("I;16") if mode == "I;16" else PICTURE.convert(mode)
    data = hostile.encoded(picture, "PNG")
    if interlaced:
        data = adam7(data)
    if mode in ("LA", "RGBA"):
        assert farthest(decoded(data), on_white(Image.open(io.BytesIO(data)))) <= 1
    else:
        assert np.array_equal(decoded(data), by_opencv(data))


def adam7(png: bytes) -> bytes:
    """An interlaced picture of one grey, with the header and the palette of another."""
    chunks = hostile.png_chunks(png)
    width, height, depth, colours = struct.unpack_from(">IIBB", chunks[0][1])
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colours]
    raw = b""
    for x, y, across, down in hostile.ADAM7_PASSES:
        row = -(-(-(-(width - x) // across) * bits) // 8)
        raw += (b"\0" + b"\x55" * row) * -(-(height - y) // down)
    header = chunks[0][1][:12] + b"\1"
    others = [chunk for chunk in chunks[1:] if chunk[0] != b"IDAT"]
    stream = (b"IDAT", zlib.compress(raw))
    return hostile.png_of([(b"IHDR", header), *others[:-1], stream, others[-1]])


def test_a_large_picture_in_small_chunks_is_taken() -> None:
    """As ffmpeg writes it: 4 kB a chunk."""
    png = hostile.encoded(NOISE.resize((1_600, 1_200)), "PNG")
    pixels = b"".join(data for kind, data in hostile.png_chunks(png) if kind == b"IDAT")
    pieces = [(b"IDAT", pixels[at : at + 4_096]) for at in range(0, len(pixels), 4_096)]
    data = hostile.png_of([hostile.png_chunks(png)[0], *pieces, (b"IEND", b"")])
    assert len(pieces) > 900
    assert np.array_equal(decoded(data), by_opencv(png))


def test_a_phones_metadata_is_taken() -> None:
    """Megabytes of XMP in segments, a colour profile in 255, EXIF data with a thumbnail, and a gain map behind."""
    jpeg = hostile.encoded(PORTRAIT, "JPEG", quality=95)
    exif = Image.Exif()
    exif.update({0x010F: "maker" * 10, 0x0110: "model" * 10, 0x0131: "software" * 10})
    xmp = hostile.segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(65_000)) * 60
    profile = b"".join(
        hostile.segment(0xE2, b"ICC_PROFILE\0" + bytes([number, 255]) + bytes(9_000)) for number in range(1, 256)
    )
    more = hostile.segment(0xE1, exif.tobytes() + hostile.encoded(PICTURE.resize((160, 120)), "JPEG")) + xmp + profile
    data = hostile.behind_start(jpeg, more) + hostile.encoded(PICTURE.convert("L"), "JPEG")
    assert np.array_equal(decoded(data), by_opencv(jpeg))


def test_many_scans_are_taken_where_each_bit_comes_once() -> None:
    """Single coefficients in single scans, as few encoders write them: it is their work that counts."""
    progressive = hostile.encoded(PICTURE, "JPEG", progressive=True)
    more = b"".join(hostile.scan({1: 0}, number, number, 0x00) for number in range(1, 40))
    assert decoded(hostile.before_end(progressive, more)).shape == (240, 320, 3)


def test_fill_bytes_are_taken_in_moderation() -> None:
    jpeg = hostile.encoded(PICTURE, "JPEG")
    filled = hostile.before_end(hostile.behind_start(jpeg, b"\xff" * 1_000), b"\xff" * 1_000)
    assert np.array_equal(decoded(filled), by_opencv(jpeg))


def test_the_pictures_of_this_test_are_what_their_names_say() -> None:
    """What Pillow and OpenCV would have made of them: the refusals above are not for a damaged file."""
    for name in ("JPEG with 1,500 empty scans", "JPEG of restart markers", "PNG with 200 MB behind its pixels"):
        data = HOSTILE[name]()
        with Image.open(io.BytesIO(data)) as opened:
            assert opened.size == PICTURE.size
        assert by_opencv(data).shape == (240, 320, 3)
    for predictor in (False, True):
        assert by_opencv(hostile.lossless_with_groups((64, 48), predictor=predictor)).shape == (48, 64, 3)
        assert decoded(hostile.lossless_with_groups((64, 48), predictor=predictor)).shape == (48, 64, 3)
