"""The way of a person through the page: enrolled, recognised, forgotten."""

from __future__ import annotations

import re

import pytest
from django.test import RequestFactory
from playwright.sync_api import Browser, Page, Route, expect

from demo import views
from testkit.service import LiveService
from tests.conftest import needs_shared_data
from tests.demo.page.driver import NAME, FakeSocket, begin, expect_outcome, outcome, press, streaming, until

PAGE_BYTES = {"en-US": 60 * 1024, "id-ID": 61 * 1024, "tr-TR": 61 * 1024}
"""Of all that the page loads before the camera starts, uncompressed; on the way it is well under half of that."""


@pytest.mark.usefixtures("nobody_enrolled")
@pytest.mark.timeout(180)
@needs_shared_data
def test_a_newcomer_enrols_is_recognised_and_is_forgotten(page: Page) -> None:
    begin(page, "Enrol my face")
    expect_outcome(page, f"Your face is saved as {NAME}.", seconds=60)
    press(page, "Is it me?")
    expect_outcome(page, f"Yes, you are {NAME}.", seconds=30)
    press(page, "Done")
    press(page, "Who am I?")
    expect_outcome(page, f"You are {NAME}", seconds=30)
    assert not re.search(r"\d\.\d", page.inner_text("body")), "no score is for the person to see"
    press(page, "Forget my face")
    press(page, "Forget it")
    expect_outcome(page, "Your face is forgotten.")
    press(page, "Done")
    press(page, "Who am I?")
    expect_outcome(page, "Not recognised.", "This face is not enrolled here.", seconds=30)


@pytest.mark.usefixtures("nobody_enrolled")
def test_who_is_not_enrolled_cannot_be_confirmed(page: Page) -> None:
    begin(page, "Is it me?")
    expect_outcome(page, f"Nobody is enrolled as {NAME}.", "Enrol your face first")
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()
    expect(page.get_by_role("button", name="Back")).to_be_focused()


@pytest.mark.parametrize("locale", PAGE_BYTES)
def test_the_page_is_small(browser: Browser, live_service: LiveService, locale: str) -> None:
    context = browser.new_context(base_url=live_service.base_url, locale=locale)
    page = context.new_page()
    sizes: dict[str, int] = {}
    page.on("response", lambda answer: sizes.update({answer.url: len(answer.body())}))
    page.goto("/")
    page.locator("#start").wait_for()
    context.close()
    assert sum(sizes.values()) <= PAGE_BYTES[locale], sizes


def test_nothing_is_written_in_the_markup_that_a_strict_policy_forbids(page: Page) -> None:
    assert page.locator("[style], [onclick], style, script:not([src])").count() == 0


def test_the_page_asks_as_the_service_is_asked(page: Page, fake_socket: FakeSocket) -> None:
    """The name goes as it was typed, without the space around it; an identification names nobody."""
    asked = []
    page.on("request", lambda request: asked.append(request.post_data_json) if request.method == "POST" else None)
    begin(page, "Enrol my face", "  Dağ Çelik 王 ")
    until(page, lambda: len(fake_socket.connections) == 1)
    press(page, "Cancel")
    page.get_by_text("Options").click()
    page.get_by_label("Strict").check()
    page.get_by_label("turn my head").check()
    page.get_by_label("look at changing colours").check()
    press(page, "Who am I?")
    until(page, lambda: len(fake_socket.connections) == 2)
    assert asked == [
        {
            "kind": "enrollment",
            "liveness": "passive",
            "challenge_version": 3,
            "name": "Dağ Çelik 王",
            "consent": {"text": "page", "version": "1"},
        },
        {
            "kind": "identification",
            "liveness": "strict",
            "challenge_version": 3,
            "avoid": ["turn_left", "turn_right", "light"],
        },
    ]


def test_the_name_that_the_service_shows_is_shown(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket, "Who am I?")
    fake_socket.complete("identification", success=True, display_name="Alice Böhm")
    expect_outcome(page, "You are Alice Böhm.")


def test_the_socket_is_below_the_page(page: Page, fake_socket: FakeSocket) -> None:
    """Under whatever name and prefix the page was opened: the service may know itself by another."""
    page.route(
        "**/demo/sessions/",
        lambda route: route.fulfill(
            status=201, json={"websocket_url": "wss://inside:1/face/ws/auth/process-image/token/"}
        ),
    )
    begin(page, "Who am I?")
    until(page, lambda: len(fake_socket.connections) == 1)
    host = page.evaluate("location.host")
    assert fake_socket.connections[0].url == f"ws://{host}/ws/auth/process-image/token/"


def test_a_face_that_was_just_shown_is_forgotten_at_once(page: Page, fake_socket: FakeSocket) -> None:
    asked = []

    def forget(route: Route) -> None:
        asked.append((route.request.method, route.request.headers["authorization"]))
        route.fulfill(status=204)

    page.route("**/demo/face/", forget)
    streaming(page, fake_socket)
    fake_socket.complete("enrollment", success=True)
    press(page, "Forget my face")
    press(page, "Keep it")
    expect_outcome(page, "Your face is saved")
    press(page, "Forget my face")
    press(page, "Forget it")
    expect_outcome(page, "Your face is forgotten.")
    assert asked == [("DELETE", "Bearer token-of-the-decision")]
    assert len(fake_socket.connections) == 1


def test_who_wants_to_be_forgotten_shows_the_face_first(page: Page, fake_socket: FakeSocket) -> None:
    asked = []
    page.on("request", lambda request: asked.append(request.post_data_json) if request.method == "POST" else None)
    page.route("**/demo/face/", lambda route: route.fulfill(status=204))
    press(page, "Forget my face")
    expect(page.get_by_role("alert")).to_have_text("Type your name first.")
    page.get_by_label("Your name").fill(NAME)
    press(page, "Forget my face")
    press(page, "Forget it")
    press(page, "Agree and start the camera")
    until(page, lambda: len(fake_socket.pictures) == 2)
    assert asked[0]["kind"] == "authentication"
    fake_socket.complete("authentication", success=True)
    expect_outcome(page, "Your face is forgotten.")


def test_a_face_that_could_not_be_forgotten_is_not_said_to_be(page: Page, fake_socket: FakeSocket) -> None:
    error = {"error": {"code": "unauthorized", "message": "raw words", "details": None}, "request_id": "1"}
    page.route("**/demo/face/", lambda route: route.fulfill(status=401, json=error))
    streaming(page, fake_socket)
    fake_socket.complete("enrollment", success=True)
    press(page, "Forget my face")
    press(page, "Forget it")
    expect_outcome(page, "It is too long ago that you showed your face.")
    expect(outcome(page)).not_to_contain_text("forgotten")
    press(page, "Try again")
    until(page, lambda: len(fake_socket.connections) == 2)


def test_without_the_demo_the_page_only_says_that_the_service_runs(
    rf: RequestFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "demo_enabled", lambda: False)
    shown = views.page(rf.get("/")).content.decode()
    assert "The service is running." in shown
    assert 'href="api/docs"' in shown
    assert "<script" not in shown
