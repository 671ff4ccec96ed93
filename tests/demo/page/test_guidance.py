"""What the person sees and reads while the camera runs."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Page, expect

from tests.demo.page.driver import FACE, FakeSocket, begin, headline, module, streaming, until


def guide_alone(page: Page) -> None:
    """Have a Guide of its own in the page, `guide`, whose clock moves only when it is told to; `shown` is its last."""
    address = module(page, "guide")
    page.clock.install()
    page.goto("/")
    page.evaluate(
        """async (address) => {
            const {Guide} = await import(address);
            window.guide = new Guide((shown) => (window.shown = shown));
            guide.begin();
        }""",
        address,
    )
    page.clock.pause_at(page.evaluate("Date.now()") + 1_000)


def told(page: Page, code: str, **liveness: Any) -> str:
    """Give that Guide the answer to a frame; returns the path of the words it shows."""
    message = {"type": "frame_processed", "face": FACE, "samples": None, "guidance": {"code": code}}
    script = "message => { guide.message(message); return shown.headline }"
    return str(page.evaluate(script, message | {"liveness": liveness}))


def shown(page: Page) -> dict[str, Any]:
    return dict(page.evaluate("shown"))


def test_the_first_words_come_with_the_press(page: Page, fake_socket: FakeSocket) -> None:
    begin(page, "Enrol my face")
    assert headline(page).inner_text() == "Look at the camera."
    expect(page.get_by_role("status")).to_have_text("Look at the camera.")
    until(page, lambda: len(fake_socket.pictures) == 2)


def test_the_words_are_those_of_the_code(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    fake_socket.answer(1, "move_back")
    expect(headline(page)).to_have_text("Move back a little.")


def test_a_new_step_is_shown_at_once_and_other_guidance_stays_readable(page: Page) -> None:
    guide_alone(page)
    assert told(page, "too_dark") == "guidance.too_dark"
    assert told(page, "blurry") == "guidance.too_dark"
    assert told(page, "blink", step="blink") == "guidance.blink"
    assert told(page, "turn_left", step="turn_left") == "guidance.turn_left"
    assert told(page, "blurry", step="turn_left") == "guidance.turn_left"
    page.clock.run_for(699)
    assert shown(page)["headline"] == "guidance.turn_left"
    page.clock.run_for(1)
    assert shown(page)["headline"] == "guidance.blurry"


def test_the_oval_does_not_wait_for_the_words(page: Page) -> None:
    guide_alone(page)
    told(page, "hold_still")
    assert shown(page)["good"]
    assert told(page, "blurry") == "guidance.hold_still"
    assert not shown(page)["good"]


def test_who_gets_no_further_is_helped_after_six_seconds(page: Page) -> None:
    guide_alone(page)

    def hints(progress: float, step: str = "blink") -> list[str]:
        told(page, step, step=step, progress=progress)
        return list(shown(page)["hints"])

    assert hints(0.2) == []
    page.clock.run_for(4_000)
    assert hints(0.3) == []
    page.clock.run_for(5_999)
    assert hints(0.3) == []
    page.clock.run_for(1)
    assert hints(0.3) == ["hints.blink"]
    assert hints(0.5) == []
    page.clock.run_for(5_000)
    assert hints(0.5, "nod") == []
    page.clock.run_for(6_000)
    assert hints(0.5, "nod") == ["hints.nod"]


def test_a_slow_network_is_named_beside_what_is_asked(page: Page) -> None:
    guide_alone(page)
    page.evaluate("guide.slow(true)")
    assert told(page, "blink", step="blink") == "guidance.blink"
    assert shown(page)["hints"] == ["guidance.connection_too_slow", "hints.connection_too_slow"]
    page.clock.run_for(1_000)
    assert told(page, "connection_too_slow") == "guidance.connection_too_slow"
    assert shown(page)["hints"] == ["hints.connection_too_slow"]
    page.evaluate("guide.slow(false)")
    assert shown(page)["hints"] == []


def test_the_oval_turns_green_by_the_servers_answer(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    oval = page.locator(".oval")
    idle = oval.evaluate("part => getComputedStyle(part).stroke")

    def is_green() -> bool:
        return bool(oval.evaluate("part => getComputedStyle(part).stroke") != idle)

    assert not is_green()
    fake_socket.answer(1, "hold_still")
    until(page, is_green)
    fake_socket.answer(2, "move_closer")
    until(page, lambda: not is_green())
    fake_socket.step(3, "move_closer")
    until(page, is_green)
    fake_socket.answer(4, "no_face", face=False)
    until(page, lambda: not is_green())
    assert page.locator("#face").count() == 0, "one guide only"


def test_the_ring_shows_the_time_left_and_the_bar_the_progress(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    ring, bar = page.locator("#ring"), page.locator("#bar")
    expect(ring).to_be_hidden()
    samples = {"accepted": 1, "target": 2}
    fake_socket.answer(1, "hold_still", samples=samples, steps_done=1, steps_total=2, progress=0.7, remaining_ms=40_000)
    expect(page.get_by_text("1 of 2 pictures · 1 of 2 movements")).to_be_visible()
    expect(ring).to_be_visible()
    assert bar.evaluate("bar => bar.value") == 0.6
    assert float(ring.evaluate("ring => ring.style.strokeDashoffset")) == 0
    fake_socket.answer(2, "hold_still", samples=samples, progress=0.7, remaining_ms=10_000)
    until(page, lambda: float(ring.evaluate("ring => ring.style.strokeDashoffset")) == 0.75)


def test_an_older_service_tells_neither_progress_nor_time(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    fake_socket.answer(1, "hold_still", steps_done=1, steps_total=2)
    expect(page.get_by_text("1 of 2 movements")).to_be_visible()
    expect(page.locator("#ring")).to_be_hidden()
    assert page.locator("#bar").evaluate("bar => bar.value") == 0.5
    message = {"type": "frame_processed", "seq": 2, "face": None, "samples": None, "liveness": None}
    fake_socket.connections[-1].send(json.dumps({**message, "guidance": {"code": "no_face", "message": ""}}))
    expect(page.locator("#progress")).to_be_hidden()


def test_the_screen_takes_the_colours_that_the_server_tells(page: Page, fake_socket: FakeSocket) -> None:
    """All but the face and the words shines, and no longer than the step."""
    streaming(page, fake_socket)
    shade = page.locator("#shade")
    dark = shade.evaluate("part => getComputedStyle(part).backgroundColor")
    fake_socket.step(1, "light", light="#ff0000")
    expect(shade).to_have_css("background-color", "rgb(255, 0, 0)")
    size = page.viewport_size
    assert size is not None
    assert shade.bounding_box() == {"x": 0, "y": 0, **size}
    fake_socket.step(2, "light", light="#0000ff")
    expect(shade).to_have_css("background-color", "rgb(0, 0, 255)")
    fake_socket.answer(3, "hold_still")
    expect(shade).to_have_css("background-color", dark)


def test_a_busy_service_is_waited_for(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    fake_socket.send(type="error", code="busy", message="raw words", retryable=True, retry_after_ms=1500, seq=2)
    expect(headline(page)).to_have_text("The service is busy, going on in a moment…")
    page.wait_for_timeout(500)
    assert len(fake_socket.pictures) == 2
    until(page, lambda: len(fake_socket.pictures) == 4)


def test_frames_wait_for_their_answers(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    page.wait_for_timeout(500)
    assert len(fake_socket.pictures) == 2
    assert all(picture[:3] == b"\xff\xd8\xff" for picture in fake_socket.pictures)
    fake_socket.answer(1, "move_closer")
    until(page, lambda: len(fake_socket.pictures) == 3)
