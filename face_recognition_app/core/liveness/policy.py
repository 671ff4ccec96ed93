"""What is asked of the person, and what must be proved."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from enum import StrEnum

from core.liveness.actions import Action


class Policy(StrEnum):
    """From nothing to everything; docs/liveness.md tells how to choose.

    none: nothing. passive: the person looks into the camera, and blinks or speaks. active: a short random
    challenge. strict: a longer one, and all that passive looks at as well.
    """

    NONE = "none"
    PASSIVE = "passive"
    ACTIVE = "active"
    STRICT = "strict"

    @property
    def strength(self) -> int:
        return list(Policy).index(self)


@dataclass(frozen=True, slots=True)
class Demands:
    """`steps` of a challenge; `surface`: no paper or display may be seen; `alive`: skin or shoulders must be seen to
    live; `watched`: frames are watched for repetition and long enough for a loop to show."""

    steps: int
    surface: bool
    alive: bool
    watched: bool


DEMANDS: dict[Policy, Demands] = {
    Policy.NONE: Demands(0, False, False, False),
    Policy.PASSIVE: Demands(0, True, True, True),
    Policy.ACTIVE: Demands(2, False, False, False),
    Policy.STRICT: Demands(3, True, True, False),
}

EVERYTHING: Set[Action] = frozenset(Action)
