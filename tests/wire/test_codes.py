from __future__ import annotations

import pytest

from vocabulary.faces import Action, Issue
from wire.codes import GUIDANCE_MESSAGES, REASON_MEANINGS, Guidance, Reason


@pytest.mark.parametrize("code", Guidance)
def test_every_guidance_has_a_sentence_for_the_person(code: Guidance) -> None:
    assert GUIDANCE_MESSAGES[code].endswith(".")


@pytest.mark.parametrize("code", Reason)
def test_every_reason_has_a_sentence_for_the_backend(code: Reason) -> None:
    assert REASON_MEANINGS[code].endswith(".")


def test_no_two_codes_say_the_same() -> None:
    assert len(set(GUIDANCE_MESSAGES.values())) == len(Guidance)
    assert len(set(REASON_MEANINGS.values())) == len(Reason)


@pytest.mark.parametrize("code", [*Issue, *Action])
def test_what_the_engine_asks_of_a_person_is_guidance(code: str) -> None:
    assert code in set(Guidance)
