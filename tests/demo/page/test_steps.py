"""One decision at a time: what, consent, capture, result; with the keyboard and a screen reader."""

from __future__ import annotations

from itertools import pairwise

import pytest
from playwright.sync_api import Browser, Page, expect

from testkit.service import LiveService
from tests.demo.page.driver import NAME, FakeSocket, begin, expect_outcome, headline, outcome, press, streaming, until

CAMERA_IS_OFF = "() => document.getElementById('video').srcObject === null"


def test_a_name_is_asked_for_only_where_it_is_needed(page: Page, fake_socket: FakeSocket) -> None:
    page.get_by_label("Your name").fill("   ")
    press(page, "Is it me?")
    expect(page.get_by_role("alert")).to_have_text("Type your name first.")
    expect(page.get_by_label("Your name")).to_be_focused()
    expect(page.get_by_label("Your name")).to_have_attribute("aria-invalid", "true")
    begin(page, "Who am I?", "")
    until(page, lambda: len(fake_socket.connections) == 1)


def test_consent_comes_before_the_camera_and_is_asked_once(page: Page, fake_socket: FakeSocket) -> None:
    page.evaluate(
        "() => { window.asked = 0; const ask = MediaDevices.prototype.getUserMedia;"
        "MediaDevices.prototype.getUserMedia = function (wish) { asked += 1; return ask.call(this, wish); }; }"
    )
    page.get_by_label("Your name").fill(NAME)
    press(page, "Enrol my face")
    terms = page.locator("#terms")
    for words in ("No pictures", "90 days", "Forget my face", page.evaluate("location.host")):
        expect(terms).to_contain_text(words)
    page.wait_for_timeout(300)
    assert page.evaluate("asked") == 0
    assert not fake_socket.connections
    press(page, "Back")
    expect(page.get_by_role("button", name="Enrol my face")).to_be_focused()
    press(page, "Enrol my face")
    press(page, "Agree and start the camera")
    until(page, lambda: len(fake_socket.pictures) == 2)
    press(page, "Cancel")
    press(page, "Is it me?")
    until(page, lambda: len(fake_socket.connections) == 2)


def test_consent_is_for_this_window_only(page: Page, browser: Browser, live_service: LiveService) -> None:
    fake = FakeSocket(page)
    streaming(page, fake)
    context = browser.new_context(base_url=live_service.base_url, permissions=["camera"], locale="en-US")
    other = context.new_page()
    other.goto("/")
    other.get_by_label("Your name").fill(NAME)
    press(other, "Enrol my face")
    expect(other.get_by_role("button", name="Agree and start the camera")).to_be_visible()
    context.close()


def test_everything_can_be_done_with_the_keyboard(page: Page, fake_socket: FakeSocket) -> None:
    """Enter in the name does what is meant, and each step gives the keyboard a sensible place."""
    page.get_by_label("Your name").fill(NAME)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Agree and start the camera")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    until(page, lambda: len(fake_socket.pictures) == 2)
    fake_socket.complete("enrollment", success=True)
    expect(page.get_by_role("button", name="Is it me?")).to_be_focused()
    page.keyboard.press("Escape")
    page.get_by_label("Your name").focus()
    page.keyboard.press("Enter")
    until(page, lambda: len(fake_socket.connections) == 2)
    fake_socket.complete("authentication", success=False, reason="no_match")
    expect(page.get_by_role("button", name="Try again")).to_be_focused()
    page.keyboard.press("Enter")
    until(page, lambda: len(fake_socket.connections) == 3)


def test_escape_goes_back_from_every_step(page: Page, fake_socket: FakeSocket) -> None:
    page.get_by_label("Your name").fill(NAME)
    press(page, "Enrol my face")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Enrol my face")).to_be_focused()
    streaming(page, fake_socket)
    page.keyboard.press("Escape")
    expect(page.get_by_role("status")).to_have_text("Cancelled.")
    expect(page.get_by_role("button", name="Enrol my face")).to_be_focused()
    press(page, "Forget my face")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Forget my face")).to_be_focused()
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_cancel_goes_back_at_once_and_is_told_to_the_server(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    page.evaluate("document.getElementById('cancel').click()")
    assert page.locator("#start").is_visible()
    until(page, lambda: fake_socket.texts == ['{"type":"cancel"}'])
    assert page.evaluate(CAMERA_IS_OFF)


def test_success_says_so_and_offers_what_comes_next(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    fake_socket.complete("enrollment", success=True)
    expect_outcome(page, f"Your face is saved as {NAME}.", "A living person was there.")
    expect(page.get_by_role("status")).to_contain_text("Your face is saved")
    expect(page.get_by_role("alert")).to_be_empty()
    press(page, "Done")
    expect(page.get_by_role("button", name="Is it me?")).to_have_class("primary")


def test_failure_looks_like_failure_and_offers_another_try(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    fake_socket.complete("enrollment", success=True)
    good = outcome(page).evaluate("part => getComputedStyle(part).color")
    press(page, "Is it me?")
    until(page, lambda: len(fake_socket.connections) == 2)
    fake_socket.complete("authentication", success=False, reason="spoof_suspected")
    fake_socket.close(1000)
    expect_outcome(page, f"Not confirmed as {NAME}.", "looked like a photo or a screen")
    expect(page.get_by_role("alert")).to_contain_text(f"Not confirmed as {NAME}.")
    expect(page.get_by_role("alert")).to_contain_text("looked like a photo")
    assert outcome(page).evaluate("part => getComputedStyle(part).color") != good
    expect(page.locator(".mark .no")).to_be_visible()
    expect(page.locator(".mark .yes")).to_be_hidden()
    press(page, "Try again")
    until(page, lambda: len(fake_socket.connections) == 3)
    expect(page.get_by_role("alert")).to_be_empty()


def test_nobody_found_is_told_as_such(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket, "Who am I?")
    fake_socket.complete("identification", success=False, reason="no_match")
    expect_outcome(page, "Not recognised.", "This face is not enrolled here.")


def test_the_last_attempt_is_announced(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket, "Is it me?")
    fake_socket.complete("authentication", success=False, reason="no_match", attempts_left=1)
    expect_outcome(page, "One attempt is left before you have to wait.")
    fake_socket.established["attempts_left"] = 1
    press(page, "Try again")
    until(page, lambda: len(fake_socket.connections) == 2)
    fake_socket.answer(1, "no_face", face=False)
    expect(page.locator("#hint")).to_have_text("This is the last attempt before you have to wait.")


@pytest.mark.parametrize("told", ["decision", "socket", "door"])
def test_who_failed_too_often_sees_how_long_to_wait(page: Page, fake_socket: FakeSocket, told: str) -> None:
    """The time runs down, and the button comes back when it is over."""
    page.clock.install()
    page.goto("/")
    if told == "door":
        details = {"retry_after_s": 61}
        error = {"error": {"code": "attempts_exceeded", "message": "raw words", "details": details}}
        page.route("**/demo/sessions/", lambda route: route.fulfill(status=429, json=error))
        begin(page, "Is it me?")
    else:
        begin(page, "Is it me?")
        until(page, lambda: len(fake_socket.connections) == 1)
        code = "attempts_exceeded"
        if told == "decision":
            fake_socket.complete("authentication", success=False, reason=code, retry_after_ms=61_000)
        else:
            fake_socket.send(type="error", code=code, message="raw words", retryable=True, retry_after_ms=61_000)
            fake_socket.close(4429)
    expect_outcome(page, "Too many attempts failed.", "You can try again in 1:0")
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()
    expect(page.get_by_role("button", name="Back")).to_be_focused()
    page.clock.run_for(40_000)
    expect_outcome(page, "You can try again in 0:")
    page.clock.run_for(30_000)
    expect_outcome(page, "You can try again now.")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_the_camera_goes_off_half_a_minute_after_a_result(page: Page, fake_socket: FakeSocket) -> None:
    page.clock.install()
    page.goto("/")
    begin(page, "Who am I?")
    until(page, lambda: len(fake_socket.connections) == 1)
    fake_socket.complete("identification", success=True)
    expect_outcome(page, "You are")
    expect(page.get_by_text("The camera goes off in half a minute.")).to_be_visible()
    assert not page.evaluate(CAMERA_IS_OFF)
    page.clock.run_for(31_000)
    assert page.evaluate(CAMERA_IS_OFF)
    expect(page.get_by_text("The camera goes off in half a minute.")).to_be_hidden()


def test_the_camera_can_be_switched_off_at_once(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket, "Who am I?")
    fake_socket.complete("identification", success=True)
    press(page, "Turn it off now")
    assert page.evaluate(CAMERA_IS_OFF)
    expect(page.get_by_role("button", name="Done")).to_be_focused()


def test_a_screen_reader_hears_changes_about_once_a_second(page: Page, fake_socket: FakeSocket) -> None:
    page.evaluate(
        "() => { window.heard = []; const log = (list) => heard.push([performance.now(), list[0].target.textContent]);"
        "for (const id of ['polite', 'urgent'])"
        " new MutationObserver(log).observe(document.getElementById(id), {childList: true}); }"
    )
    streaming(page, fake_socket)
    for seq in range(1, 30):
        fake_socket.answer(seq, ("too_dark", "blurry", "no_face")[seq % 3], face=False)
        page.wait_for_timeout(100)
    page.wait_for_timeout(1_100)
    heard = [entry for entry in page.evaluate("heard") if entry[1]]
    assert len(heard) >= 2
    assert all(later[0] - former[0] > 900 for former, later in pairwise(heard))
    assert heard[-1][1] == headline(page).inner_text()
