"""Liveness policies: what is asked of the person, and what must be proved."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.liveness.actions import MOVEMENTS
from vocabulary.faces import Action


class Policy(StrEnum):
    """From nothing to everything; docs/liveness.md tells how to choose.

    none: nothing. passive: the person looks into the camera, and blinks or speaks. active: a short random
    challenge, and neither skin nor shoulders nor a display's grid. strict: a longer one, and these as well.
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
    """`steps` of a challenge, drawn from `actions`; `moire`: no display's grid may be seen; `alive`: skin must live,
    and shoulders where they are seen; `watched`: for repetition, and long enough for a loop to show."""

    steps: int
    moire: bool
    alive: bool
    watched: bool
    actions: frozenset[Action] = frozenset()


_AT_A_DESK = MOVEMENTS - {Action.MOVE_CLOSER}
"""What needs no room; a phone is moved more easily than a head before a webcam."""

DEMANDS: dict[Policy, Demands] = {
    Policy.NONE: Demands(0, False, False, False),
    Policy.PASSIVE: Demands(0, True, True, True),
    Policy.ACTIVE: Demands(2, False, False, False, _AT_A_DESK),
    Policy.STRICT: Demands(3, True, True, False, MOVEMENTS),
}
