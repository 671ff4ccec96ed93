"""The page in a real browser, whose camera plays a clip of a face."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import RequestFactory
from playwright.sync_api import Browser, ConsoleMessage, Page, WebSocketRoute, expect, sync_playwright

from demo import views
from testkit import clips, loopback
from testkit.faces import portrait
from testkit.service import LiveService
from tests.conftest import needs_shared_data

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
NAME = "alice"
SOCKET = "/ws/auth/process-image/token/"

in_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
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
    context = browser.new_context(base_url=live_service.base_url, permissions=["camera"])
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if _is_problem(line) else None)
    page.goto("/")
    yield page
    context.close()
    assert not problems


def _is_problem(line: ConsoleMessage) -> bool:
    # The browser itself logs every answer of 400 and more; a refused session is not a script's fault.
    return line.type == "error" and not line.location["url"].endswith("/demo/sessions/")


@pytest.fixture
def nobody_enrolled(live_service: LiveService) -> Iterator[None]:
    _erase_everyone(live_service)
    yield
    _erase_everyone(live_service)


def _erase_everyone(service: LiveService) -> None:
    for subject in service.get("/api/v1/subjects/").json()["items"]:
        url = f"{service.base_url}/api/v1/subjects/{subject['subject_id']}/"
        loopback.delete(url, headers={"authorization": f"Bearer {service.api_key}"}).raise_for_status()


class FakeSocket:
    """Answers the page's sockets in place of the server; knows only the session `token`."""

    def __init__(self, page: Page) -> None:
        self.received: list[str | bytes] = []
        self.connections: list[WebSocketRoute] = []
        page.route(
            "**/demo/sessions/",
            lambda route: route.fulfill(status=201, json={"websocket_url": SOCKET}),
        )
        page.route_web_socket(f"**{SOCKET}", self._accept)

    def _accept(self, socket: WebSocketRoute) -> None:
        self.connections.append(socket)
        socket.on_message(lambda message: self.received.append(message))
        self.send(type="connection_established", pacing={"target_fps": 20, "max_in_flight": 2})

    def send(self, **message: Any) -> None:
        self.connections[-1].send(json.dumps(message))

    def answer(self, seq: int, words: str, liveness: dict[str, Any] | None = None) -> None:
        self.send(
            type="frame_processed",
            seq=seq,
            face=None,
            samples=None,
            liveness=liveness,
            guidance={"message": words},
        )

    def close(self, code: int) -> None:
        self.connections[-1].close(code=code)


@pytest.fixture
def fake_socket(page: Page) -> FakeSocket:
    return FakeSocket(page)


def start_camera(page: Page) -> None:
    page.get_by_role("button", name="Start camera").click()
    expect(page.get_by_role("status")).to_contain_text("Place your face in the oval")
    page.get_by_label("Your name").fill(NAME)


def press(page: Page, button: str) -> None:
    page.get_by_role("button", name=button).click()


def until(page: Page, condition: Callable[[], bool]) -> None:
    for _ in range(100):
        if condition():
            return
        page.wait_for_timeout(50)
    pytest.fail("it did not happen within 5 s")


def expect_status(page: Page, words: str, seconds: float = 5) -> None:
    expect(page.get_by_role("status")).to_contain_text(words, timeout=seconds * 1000)


@in_browser
@pytest.mark.usefixtures("nobody_enrolled")
@pytest.mark.timeout(180)
@needs_shared_data
def test_a_newcomer_enrols_and_is_recognised(page: Page) -> None:
    start_camera(page)
    press(page, "Enrol my face")
    expect_status(page, f"Your face is saved as {NAME}.", seconds=60)
    press(page, "Is it me?")
    expect_status(page, f"Yes, you are {NAME}.", seconds=30)
    press(page, "Who am I?")
    expect_status(page, f"You are {NAME}.", seconds=30)
    assert not re.search(r"\d\.\d", page.inner_text("body")), "no score is for the person to see"


@in_browser
@pytest.mark.usefixtures("nobody_enrolled")
def test_who_is_not_enrolled_cannot_be_confirmed(page: Page) -> None:
    start_camera(page)
    press(page, "Is it me?")
    expect_status(page, "press Enrol my face first", seconds=30)


@in_browser
def test_a_name_with_a_space_is_not_sent(page: Page) -> None:
    start_camera(page)
    page.get_by_label("Your name").fill("alice b")
    press(page, "Enrol my face")
    expect(page.locator("input:invalid")).to_have_count(1)
    expect_status(page, "Place your face in the oval")


@in_browser
def test_frames_wait_for_their_answers(page: Page, fake_socket: FakeSocket) -> None:
    start_camera(page)
    press(page, "Enrol my face")
    until(page, lambda: len(fake_socket.received) == 2)
    page.wait_for_timeout(500)
    assert len(fake_socket.received) == 2
    assert all(frame[:3] == b"\xff\xd8\xff" for frame in fake_socket.received)
    fake_socket.answer(1, "Come closer.")
    expect_status(page, "Come closer.")
    until(page, lambda: len(fake_socket.received) == 3)


@in_browser
def test_busy_is_waited_out(page: Page, fake_socket: FakeSocket) -> None:
    start_camera(page)
    press(page, "Enrol my face")
    until(page, lambda: len(fake_socket.received) == 2)
    fake_socket.send(
        type="error",
        code="busy",
        message="busy",
        retryable=True,
        retry_after_ms=1500,
        seq=2,
    )
    expect_status(page, "The service is busy")
    page.wait_for_timeout(500)
    assert len(fake_socket.received) == 2
    until(page, lambda: len(fake_socket.received) == 4)


@in_browser
def test_a_restarting_server_does_not_end_the_session(page: Page, fake_socket: FakeSocket) -> None:
    start_camera(page)
    press(page, "Enrol my face")
    until(page, lambda: len(fake_socket.received) == 2)
    fake_socket.send(type="server_draining", reconnect_after_ms=100)
    fake_socket.close(1012)
    expect_status(page, "Connection lost, going on…")
    until(page, lambda: len(fake_socket.connections) == 2)
    fake_socket.send(
        type="enrollment_complete",
        success=True,
        subject_id=NAME,
        liveness="passed",
        reason=None,
    )
    expect_status(page, "Your face is saved")


@in_browser
def test_a_server_without_its_database_is_asked_again_no_sooner_than_it_says(
    page: Page, fake_socket: FakeSocket
) -> None:
    start_camera(page)
    # Record the page's waits, and shorten them.
    page.evaluate(
        "() => { window.waits = []; const wait = setTimeout;"
        "window.setTimeout = (done, ms) => { waits.push(ms); return wait(done, Math.min(ms, 100)); }; }"
    )
    press(page, "Enrol my face")
    until(page, lambda: len(fake_socket.received) == 2)
    fake_socket.send(type="error", code="unavailable", message="not now", retryable=True, retry_after_ms=2_000)
    fake_socket.close(1013)
    until(page, lambda: len(fake_socket.connections) == 2)
    assert max(page.evaluate("waits")) >= 2_000


@in_browser
def test_who_failed_too_often_is_told_for_how_long_to_wait(page: Page, fake_socket: FakeSocket) -> None:
    start_camera(page)
    press(page, "Who am I?")
    until(page, lambda: len(fake_socket.connections) == 1)
    message = "too many failed attempts: wait 12 s"
    fake_socket.send(type="error", code="attempts_exceeded", message=message, retryable=True, retry_after_ms=12_000)
    fake_socket.close(4429)
    expect_status(page, "wait 12 s")


@in_browser
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (4409, "another window"),
        (4401, "is over or was used"),
        (4403, "refuses this page"),
    ],
)
def test_a_refusal_is_told_in_a_sentence(page: Page, fake_socket: FakeSocket, code: int, words: str) -> None:
    start_camera(page)
    press(page, "Who am I?")
    until(page, lambda: len(fake_socket.connections) == 1)
    fake_socket.close(code)
    expect_status(page, words)
    expect(page.get_by_role("button", name="Who am I?")).to_be_focused()


@in_browser
def test_a_failure_says_why(page: Page, fake_socket: FakeSocket) -> None:
    start_camera(page)
    press(page, "Is it me?")
    until(page, lambda: len(fake_socket.connections) == 1)
    fake_socket.send(
        type="authentication_complete",
        success=False,
        subject_id=None,
        liveness="failed",
        reason="spoof_suspected",
    )
    fake_socket.close(1000)
    expect_status(page, f"Not confirmed as {NAME}.")
    expect_status(page, "looked like a photo or a screen")


@in_browser
def test_the_screen_takes_the_colours_that_the_server_tells(page: Page, fake_socket: FakeSocket) -> None:
    """The light covers the page around the video and the instruction, and is removed when the session ends."""
    asked: list[Any] = []
    page.on("request", lambda request: asked.append(request.post_data_json) if request.method == "POST" else None)
    start_camera(page)
    page.get_by_label("Strict").check()
    page.get_by_role("button", name="Who am I?").click()
    until(page, lambda: len(fake_socket.connections) == 1)
    light = page.locator("#light")
    expect(light).to_be_hidden()
    steps = {"steps_done": 0, "steps_total": 1}
    fake_socket.answer(1, "Look at the screen.", {**steps, "light": "#ff0000"})
    expect(light).to_be_visible()
    expect(light).to_have_css("background-color", "rgb(255, 0, 0)")
    corner = "document.elementFromPoint(5, innerHeight - 5).id"
    assert page.evaluate(corner) == "light"
    picture = page.locator("#video").bounding_box()
    assert picture is not None
    middle = [picture["x"] + picture["width"] / 2, picture["y"] + picture["height"] / 2]
    assert page.evaluate("([x, y]) => document.elementFromPoint(x, y).closest('.stage') !== null", middle)
    fake_socket.answer(2, "Look at the screen.", {**steps, "light": "#0000ff"})
    expect(light).to_have_css("background-color", "rgb(0, 0, 255)")
    page.get_by_role("button", name="Cancel").click()
    expect(light).to_be_hidden()
    assert asked == [{"kind": "identification", "liveness": "strict", "challenge_version": 3}]


def test_cancel_is_told_to_the_server(page: Page, fake_socket: FakeSocket) -> None:
    start_camera(page)
    press(page, "Enrol my face")
    until(page, lambda: len(fake_socket.received) == 2)
    press(page, "Cancel")
    expect_status(page, "Cancelled.")
    until(page, lambda: fake_socket.received[-1] == '{"type":"cancel"}')


@in_browser
def test_a_refused_camera_says_what_to_do(page: Page) -> None:
    refuse = "async () => { throw new DOMException('no', 'NotAllowedError') }"
    page.evaluate(f"() => {{ navigator.mediaDevices.getUserMedia = {refuse} }}")
    press(page, "Start camera")
    expect_status(page, "The camera is not allowed: permit it")


def test_without_the_demo_the_page_only_says_that_the_service_runs(
    rf: RequestFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "demo_enabled", lambda: False)
    shown = views.page(rf.get("/")).content.decode()
    assert "The service is running." in shown
    assert 'href="api/docs"' in shown
    assert "<script" not in shown
