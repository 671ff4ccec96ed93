"""Networks and servers that go silent, slow or away: what goes on goes on, and the rest ends in words."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from tests.demo.page.driver import (
    SESSIONS,
    FakeSocket,
    begin,
    expect_outcome,
    headline,
    module,
    press,
    set_hidden,
    streaming,
    until,
)

SILENCE_S = 5.0
"""After so long a silent connection is given up."""


def back_at_the_choice(page: Page) -> None:
    expect(page.get_by_role("button", name="Enrol my face")).to_be_focused(timeout=1_000)


def test_a_silent_network_is_noticed_tried_again_and_ends_in_words(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    fake_socket.silent = True
    expect(headline(page)).to_have_text("Connection lost, going on…")
    until(page, lambda: len(fake_socket.connections) >= 2)
    expect_outcome(page, "The connection is lost.", "Check the network.", seconds=15)
    expect(page.get_by_role("alert")).to_contain_text("The connection is lost.")
    fake_socket.silent = False
    press(page, "Try again")
    expect(headline(page)).to_have_text("Look at the camera.")


def test_a_connection_that_answers_pings_but_no_pictures_is_given_up(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    expect(headline(page)).to_have_text("Connection lost, going on…")
    until(page, lambda: len(fake_socket.connections) == 2)
    fake_socket.complete("enrollment", success=True)
    expect_outcome(page, "Your face is saved")


def test_a_socket_that_never_opens_ends_in_words(page: Page, fake_socket: FakeSocket) -> None:
    fake_socket.silent = True
    begin(page, "Who am I?")
    expect_outcome(page, "The connection is lost.", seconds=15)


def test_cancel_works_at_once_on_a_silent_network(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    fake_socket.silent = True
    press(page, "Cancel")
    back_at_the_choice(page)


def never(route: Route) -> None:
    """Answer nothing."""


def test_a_service_that_does_not_answer_is_asked_twice(page: Page) -> None:
    asked: list[str] = []

    def ignored(route: Route) -> None:
        asked.append(route.request.url)

    page.route(SESSIONS, ignored)
    begin(page, "Who am I?")
    expect(headline(page)).to_have_text("The service does not answer. Trying again…")
    expect_outcome(page, "The service does not answer.", "Check the network.", seconds=10)
    assert len(asked) == 2


def test_cancel_works_while_the_service_does_not_answer(page: Page) -> None:
    page.route(SESSIONS, never)
    begin(page, "Enrol my face")
    expect(headline(page)).to_be_visible()
    press(page, "Cancel")
    back_at_the_choice(page)


def test_an_answer_that_is_none_of_the_service_is_none(page: Page) -> None:
    page.route(SESSIONS, lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    begin(page, "Who am I?")
    expect_outcome(page, "The service does not answer.")


def test_a_lost_connection_is_opened_again(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    fake_socket.answer(1, "move_closer")
    fake_socket.close(1011)
    expect(headline(page)).to_have_text("Connection lost, going on…")
    until(page, lambda: len(fake_socket.connections) == 2 and len(fake_socket.pictures) >= 4)
    fake_socket.answer(1, "move_back")
    expect(headline(page)).to_have_text("Move back a little.")


def test_a_restarting_server_does_not_end_the_session(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    fake_socket.send(type="server_draining", reconnect_after_ms=100)
    fake_socket.close(1012)
    expect(headline(page)).to_have_text("Connection lost, going on…")
    until(page, lambda: len(fake_socket.connections) == 2)
    fake_socket.complete("enrollment", success=True)
    expect_outcome(page, "Your face is saved")


def test_a_server_without_its_database_is_asked_again_no_sooner_than_it_says(
    page: Page, fake_socket: FakeSocket
) -> None:
    streaming(page, fake_socket)
    # Record the page's waits, and shorten them.
    page.evaluate(
        "() => { window.waits = []; const wait = setTimeout;"
        "window.setTimeout = (done, ms) => { waits.push(ms); return wait(done, Math.min(ms, 100)); }; }"
    )
    fake_socket.send(type="error", code="unavailable", message="not now", retryable=True, retry_after_ms=2_000)
    fake_socket.close(1013)
    expect(headline(page)).to_have_text("The service is busy, going on in a moment…")
    until(page, lambda: len(fake_socket.connections) == 2)
    assert max(page.evaluate("waits")) >= 2_000


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1009, "pictures cannot be used"),
        (4400, "This page is out of date."),
        (4401, "This attempt is over already."),
        (4403, "The service refuses this address."),
        (4409, "It went on in another window."),
        (4429, "The service cannot take this now."),
    ],
)
def test_a_refusal_is_told_in_a_sentence(page: Page, fake_socket: FakeSocket, code: int, words: str) -> None:
    begin(page, "Who am I?")
    until(page, lambda: len(fake_socket.connections) == 1)
    fake_socket.close(code)
    expect_outcome(page, words)
    expect(page.get_by_role("button", name="Try again")).to_be_focused()


def test_who_is_offline_is_told_at_once_and_goes_on_when_back(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    page.context.set_offline(True)
    expect(headline(page)).to_have_text("You are offline. It goes on when the network is back.")
    page.wait_for_timeout(1_000)
    assert len(fake_socket.connections) == 1
    page.context.set_offline(False)
    until(page, lambda: len(fake_socket.connections) == 2)
    fake_socket.complete("enrollment", success=True)
    expect_outcome(page, "Your face is saved")


def test_who_stays_offline_gets_an_end(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    page.context.set_offline(True)
    expect_outcome(page, "You are offline.", "Connect to a network.", seconds=15)
    page.context.set_offline(False)


def test_a_hidden_tab_sends_nothing_and_goes_on_when_seen(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    set_hidden(page, True)
    fake_socket.answer(2, "hold_still")
    page.wait_for_timeout(500)
    sent = len(fake_socket.pictures)
    page.wait_for_timeout(SILENCE_S * 1_000 + 1_000)
    assert len(fake_socket.pictures) == sent
    assert len(fake_socket.connections) == 1
    set_hidden(page, False)
    expect(headline(page)).to_have_text("Going on. Look at the camera.")
    until(page, lambda: len(fake_socket.pictures) > sent)
    assert len(fake_socket.connections) == 1


def test_an_idle_session_is_connected_again(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    fake_socket.send(type="error", code="idle", message="raw words", retryable=True)
    fake_socket.close(4408)
    until(page, lambda: len(fake_socket.connections) == 2)


def test_the_camera_of_a_page_that_stays_hidden_goes_off(page: Page, fake_socket: FakeSocket) -> None:
    page.clock.install()
    page.goto("/")
    begin(page, "Who am I?")
    until(page, lambda: len(fake_socket.connections) == 1)
    set_hidden(page, True)
    page.clock.run_for(61_000)
    assert page.evaluate("document.getElementById('video').srcObject === null")
    expect_outcome(page, "This page was hidden for too long.")


# The uplink, with measured times in place of a network.


@pytest.fixture
def uplink(page: Page) -> Page:
    """The page with an Uplink of its own, `uplink`; `take(ms, ...)` sends pings whose pongs take so long."""
    page.evaluate(
        """async (address) => {
            const {Uplink} = await import(address);
            window.uplink = new Uplink();
            window.take = (...times) => times.map((time) => {
                uplink.pinged();
                uplink.waiting(time - 1);
                uplink.measured(time);
                return [uplink.quality, uplink.tooSlow];
            });
            take(50);
        }""",
        module(page, "uplink"),
    )
    return page


def test_a_good_uplink_gets_the_best_quality(uplink: Page) -> None:
    assert uplink.evaluate("take(60, 55, 70, 60, 60, 52, 60, 61).at(-1)") == [0.8, False]


def test_a_slow_uplink_gets_smaller_pictures_step_by_step(uplink: Page) -> None:
    qualities = [quality for quality, _ in uplink.evaluate("take(400, 400, 400)")]
    assert qualities == [0.4, 0.3, 0.3]
    assert uplink.evaluate("take(300, 300, 300).at(-1)") == [0.3, False]
    assert uplink.evaluate("take(60, 60, 60, 60).at(-1)") == [0.4, False]


def test_an_uplink_of_15_kb_a_second_is_found_too_slow_within_five_seconds(uplink: Page) -> None:
    """A picture of 18 kB first, then, at the lowest quality, of 12 kB each."""
    times = [1_200, 800, 800]
    assert sum(times) < 5_000
    assert uplink.evaluate("times => take(...times)", times) == [[0.3, False], [0.3, False], [0.3, True]]
    assert uplink.evaluate("take(200)") == [[0.3, False]]


def test_a_slow_round_trip_is_no_slow_uplink(uplink: Page) -> None:
    """What counts is the time beyond that of an empty line."""
    new = "async (address) => { window.uplink = new (await import(address)).Uplink() }"
    uplink.evaluate(new, module(uplink, "uplink"))
    assert uplink.evaluate("take(500, 520, 540, 510, 530, 520, 500, 520, 510).at(-1)") == [0.8, False]
