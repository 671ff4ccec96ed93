"""Debian's Chromium, headless, with a camera that plays a clip, or none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Playwright

CHROMIUM = shutil.which("chromium")
_SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
FAKE_CAMERA = "--use-fake-device-for-media-stream"
"""A camera with a moving test picture and no face. A page gets it if its context has the permission `camera`; without
it NotAllowedError. Without this switch there is no camera: NotFoundError."""


def camera_with(clip: Path) -> tuple[str, ...]:
    """The switches for a camera that plays an MJPEG file in a loop."""
    return FAKE_CAMERA, f"--use-file-for-fake-video-capture={clip}"


@contextmanager
def running_chromium(playwright: Playwright, *camera: str) -> Iterator[Browser]:
    """Run Chromium with the switches of a camera, or with none, until the block ends."""
    assert CHROMIUM is not None
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*_SWITCHES, *camera])
    try:
        yield browser
    finally:
        browser.close()
