"""Liveness policies: what the person is asked to do, and what must be proved."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.liveness.actions import MOVEMENTS
from core.liveness.limits import LIVE_SCORES, STRICT_LIVE_SCORES
from vocabulary.faces import Action


class Policy(StrEnum):
    """Policies from the weakest to the strongest; docs/liveness.md helps to choose.

    none: no check. passive: the person looks into the camera, and blinks or speaks. active: a short random challenge,
    without checks of skin, shoulders and moire. strict: a longer challenge, with these checks.
    """

    NONE = "none"
    PASSIVE = "passive"
    ACTIVE = "active"
    STRICT = "strict"

    @property
    def strength(self) -> int:
        return list(Policy).index(self)


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a policy requires. `steps`: length of the challenge, drawn from `actions`. `moire`: no moire may be found.
    `alive`: skin, and shoulders in view, must move. `watched`: motion must not repeat, over a time in which a loop
    would show. `live_scores`: least median of the anti-spoof scores, with one network and with two."""

    steps: int
    moire: bool
    alive: bool
    watched: bool
    live_scores: tuple[float, float]
    actions: frozenset[Action] = frozenset()

    def least_live_score(self, networks: int) -> float:
        return self.live_scores[min(networks, len(self.live_scores)) - 1]


_AT_A_DESK = MOVEMENTS - {Action.MOVE_CLOSER}
"""Movements without moving closer, which is easy with a phone but not before a webcam."""

REQUIREMENTS: dict[Policy, Requirements] = {
    Policy.NONE: Requirements(0, False, False, False, LIVE_SCORES),
    Policy.PASSIVE: Requirements(0, True, True, True, LIVE_SCORES),
    Policy.ACTIVE: Requirements(2, False, False, False, LIVE_SCORES, _AT_A_DESK),
    Policy.STRICT: Requirements(3, True, True, False, STRICT_LIVE_SCORES, MOVEMENTS),
}
