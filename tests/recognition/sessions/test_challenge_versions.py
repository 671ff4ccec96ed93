"""Old clients get a clear error for challenges that they do not support."""

from __future__ import annotations

import pytest

from core.liveness.actions import MOVEMENTS, NEWEST_VERSION, known_by
from core.liveness.challenge import Challenge
from recognition.sessions.terms import check_client
from vocabulary.faces import Action
from wire.errors import ChallengeUnsupported

OF_VERSION_1 = [Action.BLINK, Action.TURN_LEFT, Action.TURN_RIGHT]
NEWER = sorted(MOVEMENTS - set(OF_VERSION_1))


def test_each_version_knows_its_own() -> None:
    assert known_by(1) == set(OF_VERSION_1)
    assert known_by(2) == MOVEMENTS
    assert known_by(NEWEST_VERSION) == known_by(NEWEST_VERSION + 1) == set(Action)


@pytest.mark.parametrize(
    ("version", "challenge_id", "actions"),
    [(1, "v1.abc", OF_VERSION_1), (1, "v2.abc", OF_VERSION_1), (2, "v2.abc", NEWER), (9, "v2.abc", NEWER)],
    ids=["of its own version", "newer, but known", "new", "newer than we are"],
)
def test_a_client_that_can_show_the_challenge_is_served(version: int, challenge_id: str, actions: list[Action]) -> None:
    check_client(version, Challenge(challenge_id, actions))


def test_a_client_that_cannot_is_told_which_actions() -> None:
    with pytest.raises(ChallengeUnsupported, match="asks for nod, smile, which a client of challenge version 1 cannot"):
        check_client(1, Challenge("v2.abc", [Action.NOD, Action.BLINK, Action.SMILE]))
    with pytest.raises(ChallengeUnsupported, match="asks for light, which a client of challenge version 2 cannot"):
        check_client(2, Challenge("v3.abc", [Action.NOD, Action.LIGHT]))
