"""Facts of a picture that its file states before any pixel."""

from __future__ import annotations

from dataclasses import dataclass

UPRIGHT = 1


@dataclass(frozen=True, slots=True)
class ContainerHeader:
    """`size`: width and height as stored. `orientation`: how the stored picture is turned, 1..8 as in EXIF (1 is
    upright). `transparent`: whether it may have pixels that are not opaque."""

    size: tuple[int, int]
    orientation: int = UPRIGHT
    transparent: bool = False
