"""A real browser, whose camera plays a clip of a face, and the page in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from testkit import loopback
from testkit.browsers.cameras import write_face_clip
from testkit.browsers.chromium import CHROMIUM, camera_with, running_chromium
from testkit.service import LiveService
from tests.demo.page.driver import FakeSocket


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the browser where there is none."""
    if CHROMIUM is None:
        for item in items:
            if "browser" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.skip(reason="chromium is not installed"))


# Module scope: while Playwright runs, no other event loop can run in this thread.
@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    clip = tmp_path_factory.mktemp("camera") / "face.mjpeg"
    write_face_clip(clip)
    with sync_playwright() as playwright, running_chromium(playwright, *camera_with(clip)) as browser:
        yield browser


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
