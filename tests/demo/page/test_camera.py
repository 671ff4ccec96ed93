"""Cameras that are denied, absent, silent, taken away, or turned."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.demo.page.driver import FakeSocket, begin, expect_outcome, headline, press, streaming, until

TAKE_OVER = """
window.stopped = 0;
const stop = MediaStreamTrack.prototype.stop;
MediaStreamTrack.prototype.stop = function () { stopped += 1; stop.call(this); };
const canvas = document.createElement("canvas");
const paint = () => {
  const context = canvas.getContext("2d");
  context.fillStyle = `hsl(${performance.now() % 360} 50% 50%)`;
  context.fillRect(0, 0, canvas.width, canvas.height);
};
[canvas.width, canvas.height] = [640, 480];
window.painting = setInterval(paint, 40);
window.camera = {
  turn() { [canvas.width, canvas.height] = [canvas.height, canvas.width]; },
  freeze() { clearInterval(painting); },
  unplug() { const [track] = stream.getTracks(); track.stop(); track.dispatchEvent(new Event("ended")); },
};
let stream;
navigator.mediaDevices.getUserMedia = async () => (stream = canvas.captureStream());
"""
"""A camera that the test can turn, freeze and unplug."""


def refused(page: Page, error: str) -> None:
    page.evaluate(
        "error => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('raw words', error) } }",
        error,
    )


def sizes(socket: FakeSocket) -> list[tuple[int, int]]:
    return [Image.open(io.BytesIO(picture)).size for picture in socket.pictures]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("NotAllowedError", "The camera is not allowed."),
        ("NotFoundError", "No camera was found."),
        ("NotReadableError", "The camera is in use or does not start."),
        ("AbortError", "The camera did not start."),
    ],
)
def test_a_camera_that_does_not_start_says_what_to_do(
    page: Page, fake_socket: FakeSocket, error: str, words: str
) -> None:
    refused(page, error)
    begin(page, "Enrol my face")
    expect_outcome(page, words)
    expect(page.get_by_role("alert")).to_contain_text(words)
    expect(page.get_by_role("button", name="Try again")).to_be_focused()
    assert not fake_socket.connections, "the session's time does not run without a camera"


def test_an_ignored_prompt_is_pointed_at_and_can_be_cancelled(page: Page, fake_socket: FakeSocket) -> None:
    page.clock.install()
    page.goto("/")
    page.evaluate(
        "() => { const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices); window.given = [];"
        "navigator.mediaDevices.getUserMedia = async (wish) => { await new Promise((allow) => (window.allow = allow));"
        "const stream = await ask(wish); given.push(stream); return stream; }; }"
    )
    begin(page, "Enrol my face")
    expect(headline(page)).to_have_text("Look at the camera.")
    page.clock.run_for(1_000)
    expect(headline(page)).to_have_text("Allow this page to use the camera.")
    expect(page.locator("#hint")).to_be_empty()
    page.clock.run_for(7_500)
    expect(page.locator("#hint")).to_contain_text("beside the address")
    press(page, "Cancel")
    expect(page.get_by_role("button", name="Enrol my face")).to_be_focused()
    page.evaluate("() => allow()")
    until(page, lambda: bool(page.evaluate("given.length === 1 && !given[0].active")))
    assert not fake_socket.connections


def test_a_refusal_of_the_service_does_not_wait_for_the_camera(page: Page) -> None:
    error = {"error": {"code": "subject_not_found", "message": "raw words", "details": None}, "request_id": "1"}
    page.route("**/demo/sessions/", lambda route: route.fulfill(status=404, json=error))
    page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => new Promise(() => {}) }")
    begin(page, "Is it me?")
    expect_outcome(page, "Nobody is enrolled as Alice.")


@pytest.fixture
def handled(page: Page, fake_socket: FakeSocket) -> FakeSocket:
    """A session under way, with a camera that the test can handle."""
    page.evaluate(f"() => {{ {TAKE_OVER} }}")
    streaming(page, fake_socket)
    return fake_socket


def test_an_unplugged_camera_ends_the_session(page: Page, handled: FakeSocket) -> None:
    page.evaluate("() => camera.unplug()")
    expect_outcome(page, "The camera is gone.", "Connect or permit it again.")
    until(page, lambda: handled.texts == ['{"type":"cancel"}'])
    press(page, "Try again")
    until(page, lambda: len(handled.connections) == 2)


def test_a_camera_that_stands_still_is_named_and_then_ends_the_session(page: Page, handled: FakeSocket) -> None:
    page.evaluate("() => camera.freeze()")
    seen = 0

    def answered() -> bool:
        nonlocal seen
        while seen < len(handled.pictures):
            seen += 1
            handled.answer(seen, "hold_still")
        return "gives no picture" in headline(page).inner_text()

    until(page, answered)
    expect_outcome(page, "The camera gives no picture.", seconds=15)


def test_no_picture_is_sent_twice(page: Page, handled: FakeSocket) -> None:
    page.evaluate("() => camera.freeze()")
    for seq in (1, 2):
        handled.answer(seq, "hold_still")
    page.wait_for_timeout(1_000)
    assert len(handled.pictures) <= 4


def test_a_turned_phone_sends_its_new_size(page: Page, handled: FakeSocket) -> None:
    assert set(sizes(handled)) == {(640, 480)}
    page.evaluate("() => camera.turn()")

    def turned() -> bool:
        handled.answer(len(handled.pictures), "begin_again")
        page.wait_for_timeout(100)
        return (480, 640) in sizes(handled)

    until(page, turned)
    expect(headline(page)).to_have_text("The picture was turned. It begins again.")


@pytest.mark.parametrize("size", [(1280, 720), (720, 1280)])
def test_large_pictures_are_made_smaller_alike_both_ways_up(
    page: Page, fake_socket: FakeSocket, size: tuple[int, int]
) -> None:
    page.evaluate(f"() => {{ {TAKE_OVER.replace('640, 480', f'{size[0]}, {size[1]}')} }}")
    streaming(page, fake_socket)
    assert {tuple(sorted(each)) for each in sizes(fake_socket)} == {(480, 853)}


def test_the_screen_stays_on_while_the_camera_looks(page: Page, fake_socket: FakeSocket) -> None:
    locks: list[Any] = []
    page.expose_function("note", lambda kind: locks.append(kind))
    page.evaluate(
        "() => Object.defineProperty(navigator, 'wakeLock', {value: {request: async (kind) => {"
        "note(kind); return {release: () => note('released')}; }}})"
    )
    streaming(page, fake_socket)
    until(page, lambda: locks == ["screen"])
    press(page, "Cancel")
    until(page, lambda: locks == ["screen", "released"])
