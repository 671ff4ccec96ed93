"""Actions of a challenge, recognised by comparing a face with the same person's neutral face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from core.liveness import limits
from core.liveness.observation import FaceReading
from vocabulary.faces import Action

MOVEMENTS = frozenset(Action) - {Action.LIGHT}
"""Actions without the light, which an operator must enable: some people must not look at a screen that flashes."""

MAY_COINCIDE = frozenset({Action.SMILE, Action.OPEN_MOUTH})
"""The only actions that may be done at once: people smile with an open mouth. Two others at once count as neither,
because a video of pairs would pass too many challenges."""

KNOWN_BY_VERSION: dict[int, frozenset[Action]] = {
    1: frozenset({Action.BLINK, Action.TURN_LEFT, Action.TURN_RIGHT}),
    2: MOVEMENTS,
    3: frozenset(Action),
}
"""Actions that a client can show its user, by the challenge version that it supports."""
NEWEST_VERSION = max(KNOWN_BY_VERSION)


def known_by(version: int) -> frozenset[Action]:
    """Actions that a client of this challenge version can show; a newer version than ours includes all of ours."""
    return KNOWN_BY_VERSION[min(version, NEWEST_VERSION)]


@dataclass(frozen=True, slots=True)
class Neutral:
    """Measures of a person's face at rest; units as in FaceReading."""

    yaw: float
    pitch: float
    smile: float
    mouth_opening: float
    mouth_width: float
    size: float

    @classmethod
    def of(cls, readings: Sequence[FaceReading]) -> Neutral:
        return cls(
            yaw=median(r.yaw for r in readings),
            pitch=median(r.pitch for r in readings),
            smile=median(r.smile for r in readings),
            mouth_opening=median(r.mouth_opening for r in readings),
            mouth_width=median(r.mouth_width for r in readings),
            size=median(r.size for r in readings),
        )

    def matches(self, reading: FaceReading) -> bool:
        """Whether the reading shows a face at rest; its eyes may blink."""
        return (
            max(abs(reading.yaw - self.yaw), abs(reading.pitch - self.pitch)) <= limits.NEUTRAL_DEG
            and reading.smile - self.smile <= limits.NEUTRAL_SMILE
            and reading.mouth_opening - self.mouth_opening <= limits.NEUTRAL_MOUTH
            and abs(reading.size / self.size - 1.0) <= limits.NEUTRAL_SIZE
        )

    def actions_in(self, reading: FaceReading) -> frozenset[Action]:
        """Actions that one reading shows. A blink takes several readings; a nod counts only once it is undone."""
        turned = reading.yaw - self.yaw
        widened = reading.mouth_width >= self.mouth_width * limits.SMILE_WIDENING
        signs = {
            Action.TURN_LEFT: turned >= limits.TURN_DEG,
            Action.TURN_RIGHT: turned <= -limits.TURN_DEG,
            Action.NOD: self.pitch - reading.pitch >= limits.NOD_DEG,
            Action.SMILE: reading.smile - self.smile >= limits.SMILE_RISE and widened,
            Action.OPEN_MOUTH: reading.mouth_opening - self.mouth_opening >= limits.MOUTH_OPENED,
            Action.MOVE_CLOSER: reading.size >= self.size * limits.CLOSER,
        }
        return frozenset(action for action, seen in signs.items() if seen)
