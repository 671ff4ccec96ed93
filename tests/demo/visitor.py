"""What a person does on the page and sees there. How the page names its parts is here, and tests know only this.

Each function works in every browser.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect

from testkit.service import REPOSITORY

WITNESS = (REPOSITORY / "testkit" / "browsers" / "witness.js").read_text()
SIZES = [(360, 640), (390, 844), (844, 390), (768, 1024), (1280, 800)]
"""CSS pixels: a small phone, a phone, the same lying, a tablet, a desk."""
PROMISED_S = 10.0
"""Within this time after a disturbance the page says what is the matter."""

LOST_CONNECTION = re.compile("failed to load resource|websocket connection to|the connection to ws", re.IGNORECASE)
"""Browsers themselves report every request that fails, which is no fault of a script."""

# What the page says, as regular expressions that ignore case.
INTERRUPTED = "connection lost|going on"
CANCELLED = "cancelled"
NOT_CONFIRMED = "not confirmed"

_HEARD = """(pattern) => {
  const { said, heard } = witness;
  const words = new RegExp(pattern, "i");
  const found = said.findIndex((each, index) => index >= heard && words.test(each));
  if (found >= 0) witness.heard = found + 1;
  return found >= 0 || words.test(said.at(-1) ?? "");
}"""
_IN_FLIGHT = 4
"""Frames at most that may still be answered after what was done to the page."""


@contextmanager
def opened_page(
    browser: Browser, base_url: str, *, script: str = "", size: tuple[int, int] = SIZES[1], may_use_camera: bool = True
) -> Iterator[Page]:
    """The page, freshly opened by somebody who allows the camera or refuses it; a script error fails the test.

    `script` runs before the page's own.
    """
    context = browser.new_context(locale="en-US", viewport={"width": size[0], "height": size[1]})
    if may_use_camera and browser.browser_type.name == "chromium":  # Firefox is started with its answer.
        context.grant_permissions(["camera"])
    for each in (WITNESS, script):
        context.add_init_script(each)
    page = context.new_page()
    problems: list[str] = []

    def note(words: str) -> None:
        if not LOST_CONNECTION.search(words):
            problems.append(words)

    page.on("pageerror", lambda error: note(str(error)))
    page.on("console", lambda line: note(line.text) if line.type == "error" else None)
    page.goto(base_url)
    page.get_by_role("button", name="Who am I?").wait_for()
    yield page
    context.close()
    assert not problems, problems


def begin(page: Page) -> None:
    """Ask "Who am I?", which needs no name, and agree."""
    page.get_by_role("button", name="Who am I?").click()
    _agree(page)


def again(page: Page) -> None:
    """Try again after an end."""
    page.get_by_role("button", name="Try again").click()


def enrol(page: Page, name: str) -> None:
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Enrol my face").click()
    _agree(page)


def confirm(page: Page, name: str) -> None:
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Is it me?").click()
    _agree(page)


def cancel(page: Page) -> None:
    page.get_by_role("button", name="Cancel").click()


def _agree(page: Page) -> None:
    page.get_by_role("button", name="Agree and start the camera").click()


def expect_words(page: Page, words: str, seconds: float = PROMISED_S) -> None:
    """Wait until the page has said `words` after those that were expected before, or says them still."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(_HEARD, words):
        said = page.evaluate("witness.said")
        assert time.monotonic() < deadline, f"not said within {seconds} s: {words!r}, but {said[-8:]}"
        page.wait_for_timeout(50)


def expect_going_on(page: Page, seconds: float = PROMISED_S) -> None:
    """Wait until frames are sent and answered, more than were on their way."""
    deadline = time.monotonic() + seconds
    before = page.evaluate("witness.answered")
    while page.evaluate("witness.answered") <= before + _IN_FLIGHT:
        assert time.monotonic() < deadline, f"no frames within {seconds} s: {page.evaluate('witness.said')[-8:]}"
        page.wait_for_timeout(50)


def expect_trying_again_is_offered(page: Page, seconds: float = PROMISED_S) -> None:
    """After an end; a person who cancelled is at the beginning."""
    button = page.get_by_role("button", name="Try again").or_(page.get_by_role("button", name="Who am I?"))
    expect(button).to_be_enabled(timeout=seconds * 1000)


def first_controls(page: Page) -> list[Locator]:
    """What a person needs on the page as it opens."""
    choices = [page.get_by_role("button", name=name) for name in ("Enrol my face", "Is it me?", "Who am I?")]
    return [page.get_by_label("Your name"), *choices]


def session_controls(page: Page) -> list[Locator]:
    """What a person needs while pictures are taken."""
    return [page.get_by_role("button", name="Cancel"), page.locator("#headline")]


def expect_in_viewport(control: Locator) -> None:
    """Wait until the whole control is inside of the viewport."""
    expect(control).to_be_in_viewport(ratio=1)


def expect_no_sideways_scrolling(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def screenshot(page: Page, directory: Path, name: str) -> None:
    """For people to look at."""
    page.screenshot(path=directory / f"{name}.png")
