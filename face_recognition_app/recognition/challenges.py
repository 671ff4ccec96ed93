"""Which challenges a client can show to its person: it says which version of them it knows."""

from __future__ import annotations

from collections.abc import Sequence

from core.liveness.challenge import Action
from wire.errors import ChallengeUnsupported

KNOWN_BY_VERSION: dict[int, frozenset[Action]] = {
    1: frozenset({Action.BLINK, Action.TURN_LEFT, Action.TURN_RIGHT}),
    2: frozenset(Action),
}
NEWEST_VERSION = max(KNOWN_BY_VERSION)


def known_by(version: int) -> frozenset[Action]:
    return KNOWN_BY_VERSION[min(version, NEWEST_VERSION)]


def check_client(version: int, challenge_id: str, actions: Sequence[Action]) -> None:
    """Raises ChallengeUnsupported when a client cannot show what a challenge asks for."""
    unknown = [action for action in actions if action not in known_by(version)]
    if version < _version_of(challenge_id) and unknown:
        raise ChallengeUnsupported(
            f"the session asks for {', '.join(unknown)}, which a client of challenge version {version} cannot show"
        )


def _version_of(challenge_id: str) -> int:
    return int(challenge_id.partition(".")[0].removeprefix("v"))
