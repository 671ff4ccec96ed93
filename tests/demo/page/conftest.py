"""A real browser, whose camera plays a clip of a face, and the page in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from testkit import clips, loopback
from testkit.faces import portrait
from testkit.service import LiveService
from tests.demo.page.driver import FakeSocket

CHROMIUM = shutil.which("chromium")
SWITCHES = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the browser where there is none."""
    if CHROMIUM is None:
        for item in items:
            if "browser" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.skip(reason="chromium is not installed"))


@pytest.fixture(scope="session")
def camera_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MJPEG file, which Chromium plays in a loop: longer than a session, or it would be detected as a replay."""
    path = tmp_path_factory.mktemp("camera") / "face.mjpeg"
    speaker = clips.SHARED_DATA / "live" / "d10.mp4"
    if speaker.is_file():
        path.write_bytes(b"".join(clips.encode_jpeg(rgb) for rgb in clips.read_clip(speaker)))
    else:
        performance = "--actions blink,blink --fps 30 --size 640x480 --out"
        assert portrait.main([*performance.split(), str(path)]) == 0
    return path


# Module scope: while Playwright runs, no other event loop can run in this thread.
@pytest.fixture(scope="module")
def browser(camera_clip: Path) -> Iterator[Browser]:
    switches = [*SWITCHES, f"--use-file-for-fake-video-capture={camera_clip}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=switches)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, live_service: LiveService) -> Iterator[Page]:
    """The freshly opened page; a script error, or a script that the browser refuses, fails the test."""
    context = browser.new_context(base_url=live_service.base_url, permissions=["camera"], locale="en-US")
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if _is_problem(line) else None)
    page.goto("/")
    page.locator("#start").wait_for()
    yield page
    context.close()
    assert not problems


def _is_problem(line: ConsoleMessage) -> bool:
    # The browser itself logs every answer of 400 and more, and lost connections; neither is a script's fault.
    network = "Failed to load resource" in line.text or "WebSocket connection to" in line.text
    return line.type == "error" and not network


@pytest.fixture
def fake_socket(page: Page) -> FakeSocket:
    return FakeSocket(page)


@pytest.fixture
def nobody_enrolled(live_service: LiveService) -> Iterator[None]:
    _erase_everyone(live_service)
    yield
    _erase_everyone(live_service)


def _erase_everyone(service: LiveService) -> None:
    for subject in service.get("/api/v1/subjects/").json()["items"]:
        url = f"{service.base_url}/api/v1/subjects/{subject['subject_id']}/"
        loopback.delete(url, headers={"authorization": f"Bearer {service.api_key}"}).raise_for_status()
