"""The page of the API's documentation in a real browser, under its own Content-Security-Policy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from testkit.service import LiveService

CHROMIUM = shutil.which("chromium")
SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, live_service: LiveService) -> Iterator[Page]:
    """A page that fails its test at anything that the console reports: refused sources, failed requests, errors."""
    context = browser.new_context(base_url=live_service.base_url)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type in ("error", "warning") else None)
    yield page
    context.close()
    assert problems == []


def test_an_operation_is_shown_and_can_be_tried_out(page: Page, live_service: LiveService) -> None:
    page.goto("/api/docs")
    operation = page.locator(".opblock", has_text="/api/v1/subjects/").first
    operation.locator(".opblock-summary-control").click()
    page.get_by_role("button", name="Authorize").first.click()
    page.get_by_label("auth-bearer-value").first.fill(live_service.api_key)
    page.get_by_label("Apply credentials").first.click()
    page.get_by_role("button", name="Close").first.click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table")
    expect(answer).to_contain_text("next_cursor")
    expect(answer.locator("tbody .response-col_status").first).to_contain_text("200")
