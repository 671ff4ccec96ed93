from __future__ import annotations

from vocabulary.faces import Action, Guidance, Issue
from vocabulary.sessions import REASONS, Reason
from wire.codes import GUIDANCE_MESSAGES


def test_every_code_has_its_own_words() -> None:
    assert set(GUIDANCE_MESSAGES) == set(Guidance)
    assert set(REASONS) == set(Reason)
    assert len(set(GUIDANCE_MESSAGES.values())) == len(Guidance)
    assert len({told.meaning for told in REASONS.values()}) == len(Reason)


def test_what_the_engine_asks_of_a_person_is_guidance() -> None:
    assert {*map(str, Issue), *map(str, Action)} < set(Guidance)
