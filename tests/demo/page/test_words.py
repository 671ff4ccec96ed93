"""The page has a sentence for every code, in every language."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.demo.page.driver import FakeSocket, expect_outcome, headline, module, press, streaming, until
from vocabulary.errors import CLOSE_CODES, SOCKET, ErrorCode
from vocabulary.faces import Action, Guidance
from vocabulary.sessions import Reason, SessionKind

LANGUAGES = ("en", "id", "tr")
OF_THE_DOORS = {
    ErrorCode.ATTEMPTS_EXCEEDED,
    ErrorCode.BAD_REQUEST,
    ErrorCode.BUSY,
    ErrorCode.CHALLENGE_IMPOSSIBLE,
    ErrorCode.ERROR,
    ErrorCode.FORBIDDEN,
    ErrorCode.HEADERS_TOO_LARGE,
    ErrorCode.INTERNAL,
    ErrorCode.INVALID_SUBJECT_ID,
    ErrorCode.LENGTH_REQUIRED,
    ErrorCode.METHOD_NOT_ALLOWED,
    ErrorCode.NOT_FOUND,
    ErrorCode.OVERLOADED,
    ErrorCode.POLICY_TOO_WEAK,
    ErrorCode.REQUEST_TIMEOUT,
    ErrorCode.REQUEST_TOO_LARGE,
    ErrorCode.SUBJECT_NOT_FOUND,
    ErrorCode.UNAUTHORIZED,
    ErrorCode.UNAVAILABLE,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.VALIDATION_ERROR,
}
"""Errors of `demo/sessions/` and `demo/face/`, and of what stands before them."""
OF_THE_CAMERA = {"NotAllowedError", "NotFoundError", "NotReadableError", "insecure", "ended", "no_picture", "camera"}
Catalogue = dict[str, dict[str, str]]


@pytest.fixture
def catalogues(page: Page) -> dict[str, Catalogue]:
    """The exports of each language's module."""
    return {language: _exports(page, language) for language in LANGUAGES}


def _exports(page: Page, language: str) -> Catalogue:
    """The objects that a language's module exports, found as the page's own loader finds it."""
    script = """async ([index, language]) => {
        const loader = await (await fetch(index)).text();
        const path = loader.split("import(").find((text) => text.startsWith(`"./${language}.`)).split('"')[1];
        return {...await import(new URL(path, index))};
    }"""
    exported: dict[str, Any] = page.evaluate(script, [module(page, "words/index"), language])
    assert exported.pop("dir") == "ltr"
    return exported


def test_every_code_has_a_sentence_in_every_language(page: Page, catalogues: dict[str, Catalogue]) -> None:
    endings = {*SOCKET, *OF_THE_DOORS, *map(str, CLOSE_CODES), "1006", *OF_THE_CAMERA}
    for language, catalogue in catalogues.items():
        assert not (set(Guidance) - catalogue["guidance"].keys()), language
        assert not (set(Guidance) - catalogue["hints"].keys()), language
        assert not (set(Reason) - catalogue["reasons"].keys()), language
        assert not (set(SessionKind) - catalogue["success"].keys()), language
        assert not (set(SessionKind) - catalogue["failure"].keys()), language
        script = f"""async (codes) => {{
            const {{ ending, useLanguage }} = await import({module(page, "words/index")!r});
            await useLanguage({language!r});
            const unknown = ending("no such code")[0];
            return codes.filter((code) => ending(code)[0] === unknown || ending(code).length !== 2);
        }}"""
        assert page.evaluate(script, sorted(endings)) == [], language


def test_the_languages_have_the_same_keys_and_gaps(catalogues: dict[str, Catalogue]) -> None:
    def shape(catalogue: Catalogue) -> dict[str, dict[str, tuple[list[str], int]]]:
        return {
            part: {key: (sorted(re.findall(r"\{\w+\}", text)), text.count("|")) for key, text in entries.items()}
            for part, entries in catalogue.items()
        }

    english = shape(catalogues["en"])
    assert shape(catalogues["id"]) == english
    assert shape(catalogues["tr"]) == english


def test_no_sentence_is_left_in_another_language(catalogues: dict[str, Catalogue]) -> None:
    english = {part: set(entries.values()) for part, entries in catalogues["en"].items()}
    for language in ("id", "tr"):
        for part, entries in catalogues[language].items():
            assert not english[part] & set(entries.values()), language


def test_every_text_of_the_markup_is_in_the_catalogue(page: Page, catalogues: dict[str, Catalogue]) -> None:
    used = set(page.evaluate("[...document.querySelectorAll('[data-t]')].map((part) => part.dataset.t)"))
    assert used <= catalogues["en"]["page"].keys()
    assert all(page.evaluate("[...document.querySelectorAll('[data-t]')].map((part) => part.textContent)"))


def test_each_thing_that_one_may_be_unable_to_do_can_be_said(page: Page) -> None:
    values = page.evaluate("[...document.querySelectorAll('[name=avoid]')].flatMap(({value}) => value.split(' '))")
    assert sorted(values) == sorted(Action)


def test_the_browsers_language_is_spoken_and_another_can_be_chosen(page: Page) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'languages', {value: ['de-DE', 'tr-TR', 'en']})")
    page.reload()
    expect(page.get_by_role("heading", name="Yüz tan")).to_be_visible()
    page.get_by_label("Dil").select_option("Bahasa Indonesia")
    expect(page.get_by_role("button", name="Daftarkan wajah saya")).to_be_visible()
    assert page.evaluate("[document.documentElement.lang, document.documentElement.dir]") == ["id", "ltr"]
    assert page.title() == "Pengenalan wajah"
    page.reload()
    expect(page.get_by_role("heading", name="Pengenalan wajah")).to_be_visible()


def test_a_language_that_cannot_be_loaded_changes_nothing(page: Page) -> None:
    page.route("**/words/tr*", lambda route: route.abort())
    page.get_by_label("Language").select_option("Türkçe")
    expect(page.get_by_label("Language")).to_have_value("en")
    expect(page.get_by_role("heading", name="Face recognition")).to_be_visible()


def test_no_words_of_the_server_reach_the_person(page: Page, fake_socket: FakeSocket) -> None:
    streaming(page, fake_socket)
    fake_socket.answer(1, "a_code_that_is_new")
    fake_socket.answer(2, "hold_still")
    expect(headline(page)).to_have_text("Hold still.")
    fake_socket.complete("enrollment", success=False, reason="a_reason_that_is_new")
    expect_outcome(page, "Your face was not saved.")
    press(page, "Try again")
    until(page, lambda: len(fake_socket.connections) == 2)
    fake_socket.send(type="error", code="an_error_that_is_new", message="raw words of the server", retryable=False)
    fake_socket.close(4400)
    expect_outcome(page, "It broke off.")
    assert "raw words" not in page.inner_text("body")
