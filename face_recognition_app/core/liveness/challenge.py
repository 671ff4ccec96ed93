"""A random sequence of actions that a recording cannot know."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median

from core.liveness.cues import BlinkCue
from core.liveness.observation import FaceReading

CHALLENGE_STEPS = 2
STEP_WINDOW_MS = 10_000
TURN_DEG = 12.0
"""Yaw away from this person's own neutral; living people who only talk stay within 6."""
NEUTRAL_DEG = 6.0
NEUTRAL_MAX_YAW_DEG = 15.0
NEUTRAL_READINGS = 3


class Action(StrEnum):
    BLINK = "blink"
    TURN_LEFT = "turn_left"
    TURN_RIGHT = "turn_right"


@dataclass(slots=True)
class Challenge:
    """Actions to be done in order, each from the neutral pose and within its own time.

    The neutral pose is this person's own: the median yaw of the first readings that face the camera.
    """

    id: str
    actions: list[Action]
    done: int = 0
    step_began_ms: int | None = None
    was_neutral: bool = False
    neutral_yaws: list[float] = field(default_factory=list)
    blink: BlinkCue = field(default_factory=BlinkCue)
    timed_out: bool = False

    @classmethod
    def draw(cls, challenge_id: str, source: random.Random) -> Challenge:
        return cls(challenge_id, source.sample(list(Action), CHALLENGE_STEPS))

    @property
    def current(self) -> Action | None:
        return self.actions[self.done] if self.done < len(self.actions) else None

    @property
    def passed(self) -> bool:
        return not self.timed_out and self.current is None

    def observe(self, reading: FaceReading) -> None:
        action = self.current
        if action is None or self.timed_out or not self._knows_neutral(reading):
            return
        if self.step_began_ms is None:
            self.step_began_ms = reading.at_ms
        if reading.at_ms - self.step_began_ms > STEP_WINDOW_MS:
            self.timed_out = True
        elif self._performed(action, reading):
            self.done += 1
            self.step_began_ms = reading.at_ms
            self.was_neutral = False
            self.blink = BlinkCue()

    def interrupt(self) -> None:
        """The face was lost: what was begun counts no more, what was done stays."""
        self.was_neutral = False
        self.blink = BlinkCue()

    def _knows_neutral(self, reading: FaceReading) -> bool:
        if len(self.neutral_yaws) < NEUTRAL_READINGS:
            if abs(reading.yaw) <= NEUTRAL_MAX_YAW_DEG:
                self.neutral_yaws.append(reading.yaw)
            return False
        return True

    def _performed(self, action: Action, reading: FaceReading) -> bool:
        turned = reading.yaw - median(self.neutral_yaws)
        self.was_neutral = self.was_neutral or abs(turned) <= NEUTRAL_DEG
        if not self.was_neutral:
            return False
        if action is Action.BLINK:
            self.blink.observe(reading)
            return self.blink.seen
        return turned >= TURN_DEG if action is Action.TURN_LEFT else turned <= -TURN_DEG
