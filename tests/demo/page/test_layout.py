"""Whatever the size of the screen and of the text: nothing needed is out of sight."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from testkit.service import LiveService
from tests.demo.page.driver import NAME, FakeSocket, begin, expect_outcome, headline, press, streaming, until

SCREENS = [(360, 640), (390, 844), (844, 390), (768, 1024), (1280, 800)]
TARGET_PX = 44
LONG_NAME = "Maximiliane Oberhauser-Wassermann von der Vogelweide"


@pytest.fixture(params=[1, 2], ids=["text100", "text200"])
def text_size(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=SCREENS, ids=lambda screen: f"{screen[0]}x{screen[1]}")
def screen(request: pytest.FixtureRequest) -> tuple[int, int]:
    width, height = request.param
    return width, height


@pytest.fixture(params=["en-US", "id-ID", "tr-TR"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sized_page(
    browser: Browser, live_service: LiveService, screen: tuple[int, int], text_size: int, language: str
) -> Iterator[Page]:
    width, height = screen
    context = browser.new_context(
        base_url=live_service.base_url,
        permissions=["camera"],
        locale=language,
        viewport={"width": width, "height": height},
    )
    page = context.new_page()
    # As the browser's own setting does it: everything in rem grows, the viewport does not shrink.
    page.add_init_script(f"addEventListener('DOMContentLoaded', () => {{ {grow(text_size)} }})")
    page.goto("/")
    page.locator("#start").wait_for()
    yield page
    context.close()


def grow(factor: int) -> str:
    return f"document.documentElement.style.fontSize = '{factor * 100}%'"


def expect_in_sight(page: Page, *parts: str) -> None:
    size = page.viewport_size
    assert size is not None
    for name in parts:
        part = page.locator(name)
        expect(part).to_be_visible()
        box = part.bounding_box()
        assert box is not None
        assert box["x"] >= 0, name
        assert box["y"] >= 0, name
        assert box["x"] + box["width"] <= size["width"], name
        assert box["y"] + box["height"] <= size["height"], name
        assert _is_on_top(part), f"{name} is covered"
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    assert page.locator(".step:visible").evaluate("step => step.scrollHeight <= step.clientHeight")


def _is_on_top(part: Locator) -> bool:
    return bool(
        part.evaluate(
            """part => {
                const {left, top, width, height} = part.getBoundingClientRect();
                const found = document.elementFromPoint(left + width / 2, top + height / 2);
                return part.contains(found) || found.contains(part);
            }"""
        )
    )


def expect_large_enough(page: Page) -> None:
    """Everything that can be pressed is as large as a finger."""
    for part in page.locator("button:visible, select:visible, summary:visible, input:visible").all():
        box = part.bounding_box()
        assert box is not None
        assert box["height"] >= TARGET_PX or part.get_attribute("type") in ("radio", "checkbox"), part.inner_text()


def test_every_step_is_in_sight(sized_page: Page) -> None:
    page, socket = sized_page, FakeSocket(sized_page)
    page.locator("#name").fill(LONG_NAME)
    choices = [f"#choices [value={kind}]" for kind in ("enrollment", "authentication", "identification")]
    expect_in_sight(page, "#name", *choices, "summary", "#forget", "#language")
    expect_large_enough(page)
    page.locator(choices[0]).click()
    expect_in_sight(page, "#agree", "#back", "#terms")
    expect_large_enough(page)
    page.locator("#agree").click()
    expect_in_sight(page, "#headline", "#cancel")
    until(page, lambda: len(socket.pictures) == 2)
    progress = {"samples": {"accepted": 1, "target": 3}, "steps_total": 2, "progress": 0.5, "remaining_ms": 20_000}
    for seq, action in enumerate(("open_mouth", "turn_left", "light"), 1):
        socket.step(seq, action, **progress)
        expect(page.locator(f"#capture[data-action={action}]")).to_be_visible()
        expect_in_sight(page, "#headline", ".oval", "#progress", "#cancel")
        assert not _overlap(page, ".said", ".foot")
    socket.complete("enrollment", success=True)
    expect_in_sight(page, "#outcome", "#next", "#done", "#forget-this", "#camera-off")
    expect_large_enough(page)
    page.locator("#next").click()
    until(page, lambda: len(socket.connections) == 2)
    socket.complete("authentication", success=False, reason="liveness_timeout", attempts_left=1)
    expect_in_sight(page, "#outcome", "#again", "#done")
    page.locator("#done").click()
    page.locator("#forget").click()
    expect_in_sight(page, "#ask-forget [value=yes]", "#ask-forget [value=no]")


def _overlap(page: Page, one: str, other: str) -> bool:
    first, second = page.locator(one).bounding_box(), page.locator(other).bounding_box()
    assert first is not None
    assert second is not None
    return (
        first["x"] < second["x"] + second["width"]
        and second["x"] < first["x"] + first["width"]
        and first["y"] < second["y"] + second["height"]
        and second["y"] < first["y"] + first["height"]
    )


def test_forced_colours_leave_the_guide_and_the_buttons(page: Page, fake_socket: FakeSocket) -> None:
    page.emulate_media(forced_colors="active")
    borders = page.locator("#choices button").evaluate_all(
        "buttons => buttons.map((button) => getComputedStyle(button).borderTopStyle)"
    )
    assert set(borders) == {"solid"}
    streaming(page, fake_socket)
    stroke = "part => getComputedStyle(part).stroke"
    fake_socket.answer(1, "no_face", face=False, remaining_ms=20_000)
    expect(headline(page)).to_be_visible()
    expect(page.locator("#ring")).to_be_visible()
    idle = page.locator(".oval").evaluate(stroke)
    fake_socket.answer(2, "hold_still", remaining_ms=20_000)
    until(page, lambda: bool(page.locator(".oval").evaluate(stroke) != idle))
    fake_socket.step(3, "light", light="#ff0000")
    expect(page.locator("#shade")).to_have_css("background-color", "rgb(255, 0, 0)")


def test_who_wants_no_motion_gets_none(page: Page, fake_socket: FakeSocket) -> None:
    page.emulate_media(reduced_motion="reduce")
    begin(page, "Who am I?")
    expect(page.locator("#ring")).to_have_css("transition-property", "none")
    press(page, "Cancel")


def test_a_long_name_does_not_push_the_buttons_away(page: Page, fake_socket: FakeSocket) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    begin(page, "Enrol my face", "x" * 200)
    page.wait_for_timeout(200)
    fake_socket.complete("enrollment", success=True)
    expect_outcome(page, "x" * 200)
    expect_in_sight(page, "#next", "#done", "#forget-this", "#camera-off")
    assert NAME not in page.inner_text("#outcome")
