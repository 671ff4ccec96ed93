"""The page in Debian's Firefox: its layout, and that sessions go on when the network does not."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from testkit.browsers.firefox import FIREFOX, running_firefox
from testkit.browsers.link import Link
from testkit.patience import PATIENCE_S
from testkit.service import LiveService
from tests.demo import visitor

pytestmark = pytest.mark.skipif(FIREFOX is None, reason="firefox-esr is not installed")


# Module scope: while Playwright runs, no other event loop can run in this thread.
@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running_firefox(playwright, tmp_path_factory.mktemp("firefox")) as browser:
        yield browser


@pytest.fixture
def link(live_service: LiveService) -> Iterator[Link]:
    port = urlsplit(live_service.base_url).port
    assert port is not None
    with Link(port) as link:
        yield link


@pytest.fixture
def page(browser: Browser, link: Link) -> Iterator[Page]:
    with visitor.opened_page(browser, link.base_url) as page:
        yield page


@pytest.mark.parametrize("size", visitor.SIZES, ids=str)
def test_what_is_needed_is_in_view_at_every_size(page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for control in visitor.first_controls(page):
        visitor.expect_in_viewport(control)
    visitor.expect_no_sideways_scrolling(page)
    visitor.begin(page)
    visitor.expect_going_on(page, PATIENCE_S)
    for control in visitor.session_controls(page):
        visitor.expect_in_viewport(control)
    visitor.expect_no_sideways_scrolling(page)


def test_a_cut_connection_is_made_anew(page: Page, link: Link) -> None:
    visitor.begin(page)
    visitor.expect_going_on(page, PATIENCE_S)
    link.cut()
    visitor.expect_words(page, visitor.INTERRUPTED)
    visitor.expect_going_on(page)


def test_a_silent_network_is_noticed(page: Page, link: Link) -> None:
    visitor.begin(page)
    visitor.expect_going_on(page, PATIENCE_S)
    link.silence()
    visitor.expect_words(page, visitor.INTERRUPTED)
    link.resume()
    visitor.expect_going_on(page)


def test_cancel_works_on_a_silent_network(page: Page, link: Link) -> None:
    visitor.begin(page)
    visitor.expect_going_on(page, PATIENCE_S)
    link.silence()
    visitor.cancel(page)
    visitor.expect_words(page, visitor.CANCELLED)
    visitor.expect_trying_again_is_offered(page)
