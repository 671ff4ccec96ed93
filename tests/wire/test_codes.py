from __future__ import annotations

from vocabulary.faces import Action, Guidance, Issue
from vocabulary.sessions import Reason
from wire.codes import GUIDANCE_MESSAGES, REASON_MEANINGS


def test_every_code_has_its_own_words() -> None:
    assert set(GUIDANCE_MESSAGES) == set(Guidance)
    assert set(REASON_MEANINGS) == set(Reason)
    assert len(set(GUIDANCE_MESSAGES.values())) == len(Guidance)
    assert len(set(REASON_MEANINGS.values())) == len(Reason)


def test_what_the_engine_asks_of_a_person_is_guidance() -> None:
    assert {*map(str, Issue), *map(str, Action)} < set(Guidance)
