"""Names of pictures and of other files that people send by mistake, told by their first bytes."""

from __future__ import annotations

_MAGIC = {
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"II\xbc\x01": "JPEG XR",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"8BPS": "a Photoshop file",
    b"\0\0\1\0": "ICO",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"<?xml": "SVG",
    b"\x1aE\xdf\xa3": "a video",
}
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"),
    b"jxl ": "JPEG XL",
    b"crx ": "a raw picture",
}
"""By the brand of an ISO media file."""
_GENERAL = {b"mif1", b"msf1"}
"""Brands of HEIC and AVIF alike: then one of the compatible brands tells them apart."""


def name_of(data: bytes) -> str | None:
    """Name of a file that is no JPEG, PNG or WebP; None when it is not known."""
    if data[4:8] == b"ftyp":
        return _name_of_media(data)
    return next((name for magic, name in _MAGIC.items() if data.startswith(magic)), None)


def _name_of_media(data: bytes) -> str:
    """Size of the box, `ftyp`, brand, version, compatible brands."""
    brand = data[8:12]
    end = min(int.from_bytes(data[:4], "big"), 256)
    if brand in _GENERAL and b"avif" in (data[at : at + 4] for at in range(16, end, 4)):
        return "AVIF"
    return _BRANDS.get(brand, "a video")
