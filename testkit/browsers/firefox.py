"""Debian's Firefox ESR, headless, with a camera that shows a moving test picture, or without."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Playwright

from testkit.patience import PATIENCE_S
from testkit.service import REPOSITORY

FIREFOX = shutil.which("firefox-esr")
CHANNEL = "moz-firefox"
"""Of Playwright: drives a Firefox as it is by WebDriver BiDi, not Playwright's own build."""
OLDEST = 153
"""Version. In 140, which Debian has without its security updates, a page's Content-Security-Policy keeps Playwright out
as well."""

Camera = Literal["allowed", "prompt", "denied", "none"]
"""What a page gets that asks for a camera: pictures, an answer that never comes, NotAllowedError, NotFoundError."""

_PREFERENCES: dict[Camera, dict[str, str | float | bool]] = {
    "allowed": {"media.navigator.streams.fake": True, "media.navigator.permission.disabled": True},
    "prompt": {"media.navigator.streams.fake": True},  # Headless: nobody sees the prompt, so nobody answers it.
    "denied": {"media.navigator.streams.fake": True, "permissions.default.camera": 2},
    "none": {"media.navigator.streams.fake": False, "media.navigator.permission.disabled": True},
}


@contextmanager
def running_firefox(playwright: Playwright, directory: Path, camera: Camera = "allowed") -> Iterator[Browser]:
    """Run Firefox until the block ends. `directory` takes the script that Playwright starts."""
    assert FIREFOX is not None
    _check_version(FIREFOX)
    script = directory / f"firefox-{camera}.sh"
    command = shlex.join([sys.executable, "-m", "testkit.browsers.firefox_relay"])
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o755)
    browser = playwright.firefox.launch(
        channel=CHANNEL,
        executable_path=script,
        firefox_user_prefs=_PREFERENCES[camera],
        env={**os.environ, "FIREFOX": FIREFOX, "PYTHONPATH": str(REPOSITORY)},
    )
    try:
        yield browser
    finally:
        browser.close()


def _check_version(firefox: str) -> None:
    said = subprocess.run([firefox, "--version"], capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout
    version = int(re.sub(r"\D*(\d+).*", r"\1", said.strip()))
    assert version >= OLDEST, f"{said.strip()} is too old: install Debian's security updates"
