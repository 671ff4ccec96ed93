"""What happens to people who use the page: each disturbance ends in words that say what is the matter, and a way on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from testkit import clips, loopback
from testkit.browsers.cameras import HANDLED, PROMPT_IGNORED, write_black_clip, write_face_clip
from testkit.browsers.chromium import CHROMIUM, FAKE_CAMERA, camera_with, running_chromium
from testkit.browsers.link import Link
from testkit.patience import PATIENCE_S
from testkit.service import LiveService, running_service
from tests.conftest import needs_shared_data
from tests.demo import visitor
from tests.demo.visitor import CANCELLED, INTERRUPTED, expect_words

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.timeout(300),
]

# What the page says of each, as regular expressions that ignore case.
GIVEN_UP = "connection is lost|does not answer"
TOO_SLOW = "too slow|slow connection|connection is slow"
ENROLLED = "your face is saved"
REFUSED = "camera is not allowed"
PROMPT = "allow|permit"
NO_CAMERA = "no camera"
UNPLUGGED = "camera is gone"
FROZEN = "camera (gives|stopped|stands)|no (new )?picture"
TURNED = "turned|begin again|beginning again"
DARK = "dark|no face|light"
LOCKED = "too many attempts|wait \\d+|try again in"
PAUSED = "paus|in front|going on"
OFFLINE = "offline|no network|network is gone"

SLOW_UPLINK = 15_000
"""Bytes per second: a phone at the edge of its network."""
PASSES_S = 60.0
"""Time limit of an enrolment."""
ENDS_S = 20.0
"""A page that tries again ends after so long, if nothing helps."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """A service of this module's own, since it is reloaded and its workers are killed. Two failures lock a subject, and
    a session outlasts the warming up of new workers."""
    environment = {
        "FACE_DRAIN_S": "1",
        "FACE_RECOGNITION_TIME_LIMIT_S": "90",
        "FACE_ATTEMPTS_LIMIT": "2",
        "FACE_ATTEMPTS_FIRST_WAIT_S": "0",
    }
    with running_service(
        tmp_path_factory.mktemp("disturbed"), workers=2, pool_size=1, environment=environment
    ) as service:
        yield service


@pytest.fixture
def link(service: LiveService) -> Iterator[Link]:
    port = urlsplit(service.base_url).port
    assert port is not None
    with Link(port) as link:
        yield link


# Module scope: while Playwright runs, no other event loop can run in this thread.
@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """Its camera shows a test picture without a face, so that sessions last until their time is up."""
    with running_chromium(playwright, FAKE_CAMERA) as browser:
        yield browser


@pytest.fixture(scope="module")
def face_browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    clip = tmp_path_factory.mktemp("camera") / "face.mjpeg"
    write_face_clip(clip)
    with running_chromium(playwright, *camera_with(clip)) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, link: Link) -> Iterator[Page]:
    with visitor.opened_page(browser, link.base_url) as page:
        yield page


@pytest.fixture
def running(page: Page) -> Page:
    """A page whose session is under way."""
    visitor.begin(page)
    visitor.expect_going_on(page, PATIENCE_S)
    return page


# The network


def test_a_silent_network_ends_with_words_and_a_way_to_try_again(running: Page, link: Link) -> None:
    link.silence()
    expect_words(running, INTERRUPTED)
    expect_words(running, GIVEN_UP, ENDS_S)
    link.resume()
    visitor.again(running)
    visitor.expect_going_on(running)


def test_a_network_that_was_silent_for_a_while_costs_nothing(running: Page, link: Link) -> None:
    link.silence()
    expect_words(running, INTERRUPTED)
    link.resume()
    visitor.expect_going_on(running)


def test_cancel_works_on_a_silent_network(running: Page, link: Link) -> None:
    link.silence()
    visitor.cancel(running)
    expect_words(running, CANCELLED)
    visitor.expect_trying_again_is_offered(running)


def test_a_network_that_is_silent_before_the_session(page: Page, link: Link) -> None:
    link.silence()
    visitor.begin(page)
    expect_words(page, GIVEN_UP)
    visitor.expect_trying_again_is_offered(page, ENDS_S)
    link.resume()
    visitor.again(page)
    visitor.expect_going_on(page)


def test_a_network_that_goes_silent_before_the_socket_opens(page: Page, link: Link) -> None:
    page.on("response", lambda answer: link.silence() if answer.url.endswith("/demo/sessions/") else None)
    visitor.begin(page)
    expect_words(page, f"{INTERRUPTED}|{GIVEN_UP}")
    visitor.cancel(page)
    expect_words(page, CANCELLED)


def test_a_closed_socket_is_opened_again(running: Page, link: Link) -> None:
    link.cut()
    expect_words(running, INTERRUPTED)
    visitor.expect_going_on(running)


def test_who_is_offline_is_told_at_once(running: Page, link: Link) -> None:
    link.silence()
    running.context.set_offline(True)
    expect_words(running, OFFLINE)
    running.context.set_offline(False)
    link.resume()
    visitor.expect_going_on(running)


@needs_shared_data
def test_a_slow_uplink_suffices_or_is_named(face_browser: Browser, link: Link) -> None:
    with visitor.opened_page(face_browser, link.base_url) as page:
        link.limit_up(SLOW_UPLINK)
        visitor.enrol(page, "slow")
        try:
            expect_words(page, TOO_SLOW)
        except AssertionError:
            expect_words(page, ENROLLED, PASSES_S)


# The service


def test_a_reloaded_service_goes_on(running: Page, service: LiveService) -> None:
    os.kill(service.pid, signal.SIGHUP)
    expect_words(running, INTERRUPTED, PATIENCE_S)  # First the new workers warm up.
    visitor.expect_going_on(running)


def test_a_killed_worker_does_not_end_the_session(running: Page, link: Link, service: LiveService) -> None:
    os.kill(worker_of(service, link.own_ports()[-1]), signal.SIGKILL)
    expect_words(running, INTERRUPTED)
    visitor.expect_going_on(running)


def test_a_service_that_goes_down_ends_the_session_with_words(running: Page, link: Link) -> None:
    link.refuse()
    link.cut()
    expect_words(running, INTERRUPTED)
    expect_words(running, GIVEN_UP, ENDS_S)
    link.listen()
    visitor.again(running)
    visitor.expect_going_on(running)


def test_a_service_that_is_down_is_named(page: Page, link: Link) -> None:
    link.refuse()
    link.cut()
    visitor.begin(page)
    expect_words(page, GIVEN_UP)
    visitor.expect_trying_again_is_offered(page, ENDS_S)
    link.listen()
    visitor.again(page)
    visitor.expect_going_on(page)


@needs_shared_data
def test_who_is_locked_out_is_told_for_how_long(face_browser: Browser, link: Link, service: LiveService) -> None:
    enrol_by_key(service, "somebody-else")
    with visitor.opened_page(face_browser, link.base_url) as page:
        visitor.confirm(page, "somebody-else")
        expect_words(page, visitor.NOT_CONFIRMED, PATIENCE_S)
        visitor.again(page)
        expect_words(page, visitor.NOT_CONFIRMED, PATIENCE_S)
        visitor.again(page)
        expect_words(page, LOCKED)


# The camera


def test_a_refused_camera_says_what_to_do(browser: Browser, link: Link) -> None:
    with visitor.opened_page(browser, link.base_url, may_use_camera=False) as page:
        visitor.begin(page)
        expect_words(page, REFUSED)
        page.context.grant_permissions(["camera"])
        visitor.again(page)
        visitor.expect_going_on(page)


def test_an_ignored_prompt_is_pointed_at(browser: Browser, link: Link) -> None:
    with visitor.opened_page(browser, link.base_url, script=PROMPT_IGNORED) as page:
        visitor.begin(page)
        expect_words(page, PROMPT)
        visitor.cancel(page)
        visitor.expect_trying_again_is_offered(page)


def test_a_missing_camera_is_named(playwright: Playwright, link: Link) -> None:
    with running_chromium(playwright) as without, visitor.opened_page(without, link.base_url) as page:
        visitor.begin(page)
        expect_words(page, NO_CAMERA)
        visitor.expect_trying_again_is_offered(page)


@contextmanager
def handled(browser: Browser, link: Link) -> Iterator[Page]:
    """A session under way, of a page whose camera can be handled."""
    with visitor.opened_page(browser, link.base_url, script=HANDLED) as page:
        visitor.begin(page)
        visitor.expect_going_on(page, PATIENCE_S)
        yield page


def test_an_unplugged_camera_is_named(browser: Browser, link: Link) -> None:
    with handled(browser, link) as page:
        page.evaluate("handledCamera.unplug()")
        expect_words(page, UNPLUGGED)
        visitor.again(page)
        visitor.expect_going_on(page)


def test_a_camera_that_stands_still_is_named(browser: Browser, link: Link) -> None:
    with handled(browser, link) as page:
        page.evaluate("handledCamera.freeze()")
        expect_words(page, FROZEN)


def test_a_turned_phone_goes_on(browser: Browser, link: Link) -> None:
    with handled(browser, link) as page:
        page.evaluate("handledCamera.turn()")
        expect_words(page, TURNED)
        visitor.expect_going_on(page)


def test_a_black_picture_is_named(playwright: Playwright, link: Link, tmp_path: Path) -> None:
    clip = tmp_path / "black.mjpeg"
    write_black_clip(clip)
    with (
        running_chromium(playwright, *camera_with(clip)) as browser,
        visitor.opened_page(browser, link.base_url) as page,
    ):
        visitor.begin(page)
        expect_words(page, DARK)
        visitor.cancel(page)
        expect_words(page, CANCELLED)


# The tab


HIDE = """(hidden) => {
  Object.defineProperty(document, "visibilityState", { value: hidden ? "hidden" : "visible", configurable: true });
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
"""A headless browser shows every tab, whichever is in front."""


def test_a_hidden_tab_sends_nothing_and_goes_on_when_it_is_seen_again(running: Page) -> None:
    running.evaluate(HIDE, True)
    running.wait_for_timeout(1_000)  # What is under way is answered.
    before = running.evaluate("witness.answered")
    running.wait_for_timeout(1_000)
    assert running.evaluate("witness.answered") == before, "pictures of a hidden tab are sent"
    running.evaluate(HIDE, False)
    expect_words(running, PAUSED)
    visitor.expect_going_on(running)


def worker_of(service: LiveService, port: int) -> int:
    """The process that holds the service's end of the connection from `port`."""
    for worker in psutil.Process(service.pid).children():
        if any(each.raddr and each.raddr.port == port for each in worker.net_connections("tcp")):
            return worker.pid
    raise AssertionError("no worker holds the connection")


def enrol_by_key(service: LiveService, name: str) -> None:
    files = [("images", ("face.jpg", clips.encode_jpeg(clips.astronaut()), "image/jpeg"))]
    url = f"{service.base_url}/api/v1/subjects/{name}/templates/"
    headers = {"authorization": f"Bearer {service.api_key}"}
    loopback.post(url, headers=headers, files=files, timeout=PATIENCE_S).raise_for_status()
