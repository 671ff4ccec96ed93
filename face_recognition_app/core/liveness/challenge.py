"""Challenge: a random sequence of actions, which a recording cannot predict."""

from __future__ import annotations

import random
from collections.abc import Set
from dataclasses import dataclass, field

from core.liveness import limits
from core.liveness.actions import MAY_COINCIDE, Neutral
from core.liveness.cues.light import Colour, LightCue
from core.liveness.cues.movements import BlinkCue
from core.liveness.observation import FaceReading
from vocabulary.faces import Action


class TooFewActions(ValueError):
    """The challenge has more steps than there are allowed actions."""


@dataclass(slots=True)
class Challenge:
    """Actions to be done in order, each from the person's own neutral face and within its own time.

    Any other action counts as a mistake, except a blink. A person who tries everything, or a recording of another
    sequence, makes too many mistakes.
    """

    id: str
    actions: list[Action]
    done: int = 0
    step_began_ms: int | None = None
    neutral_readings: list[FaceReading] = field(default_factory=list)
    neutral_held: int = 0
    blink: BlinkCue = field(default_factory=BlinkCue)
    light: LightCue | None = None
    doing: int = 0
    nodding: bool = False
    astray: int = 0
    mistakes: int = 0
    failure: str | None = None

    @classmethod
    def draw(cls, challenge_id: str, steps: int, allowed: Set[Action], source: random.Random) -> Challenge:
        """Draw `steps` different actions of `allowed`. Raises TooFewActions."""
        if len(allowed) < steps:
            raise TooFewActions(f"{steps} steps of {len(allowed)} actions")
        actions = source.sample(sorted(allowed), steps)
        return cls(challenge_id, actions, light=LightCue.draw(source) if Action.LIGHT in actions else None)

    @property
    def current(self) -> Action | None:
        return self.actions[self.done] if self.done < len(self.actions) else None

    @property
    def passed(self) -> bool:
        return self.failure is None and self.current is None

    @property
    def progress(self) -> tuple[object, ...]:
        return self.done, self.step_began_ms, self.mistakes, self.colour

    @property
    def colour(self) -> Colour | None:
        """Colour that the person's screen should show now; None unless the current step is the light."""
        asked = self.current is Action.LIGHT and self.failure is None
        return self.light.colour if self.light is not None and asked else None

    def step_remaining_ms(self, at_ms: int) -> int | None:
        """What is left of the current step's time; None before its time runs, and after the last step."""
        if self.step_began_ms is None or self.current is None or self.failure is not None:
            return None
        passed_ms = max(0, at_ms - self._judged_from_ms)
        return max(0, limits.STEP_WINDOW_MS - passed_ms)

    def observe(self, reading: FaceReading) -> None:
        action = self.current
        if action is None or self.failure is not None or not self._knows_neutral(reading):
            return
        if self.step_began_ms is None:
            self.step_began_ms = reading.at_ms
        if reading.at_ms > self._judged_from_ms + limits.STEP_WINDOW_MS:
            self.failure = "liveness_timeout"
        elif self._performed(action, reading):
            self._next_step(reading)

    def restart(self) -> None:
        """Begin again with the first step of the same actions. Mistakes stay, and no colour is shown a second time."""
        self.done, self.step_began_ms, self.neutral_readings = 0, None, []
        self._restart_step()

    def interrupt(self) -> None:
        """Restart the current step, because the face was lost. Steps that were done stay done."""
        self._restart_step()

    @property
    def _judged_from_ms(self) -> int:
        assert self.step_began_ms is not None
        return self.step_began_ms + limits.STEP_GRACE_MS

    def _knows_neutral(self, reading: FaceReading) -> bool:
        if len(self.neutral_readings) < limits.NEUTRAL_READINGS:
            if abs(reading.yaw) <= limits.NEUTRAL_MAX_YAW_DEG:
                self.neutral_readings.append(reading)
            return False
        return True

    def _performed(self, action: Action, reading: FaceReading) -> bool:
        neutral = Neutral.of(self.neutral_readings)
        at_rest = neutral.matches(reading)
        if self.neutral_held < limits.NEUTRAL_HELD:
            self.neutral_held = self.neutral_held + 1 if at_rest else 0
            return False
        shown = neutral.actions_in(reading)
        if action is Action.BLINK:
            self.blink.observe(reading)
            self._count_mistakes(reading, bool(shown))
            return self.blink.seen
        if self.light is not None and action is Action.LIGHT:
            self.light.observe(reading)
            self._count_mistakes(reading, bool(shown))
            return self.light.seen
        doing = shown in ({action}, MAY_COINCIDE) and action in shown
        self._count_mistakes(reading, bool(shown) and action not in shown)
        self.doing = self.doing + 1 if doing else 0
        if action is Action.NOD:
            self.nodding = self.nodding or self.doing >= limits.ACTION_READINGS
            return self.nodding and neutral.pitch - reading.pitch <= limits.NOD_DEG / 2
        return self.doing >= limits.ACTION_READINGS

    def _count_mistakes(self, reading: FaceReading, something_else: bool) -> None:
        judged = reading.at_ms >= self._judged_from_ms
        self.astray = self.astray + 1 if something_else and judged else 0
        if self.astray < limits.MISTAKE_READINGS:
            return
        self.mistakes += 1
        self._restart_step()
        if self.mistakes > limits.MISTAKES_ALLOWED:
            self.failure = "wrong_action"

    def _next_step(self, reading: FaceReading) -> None:
        self.done += 1
        self.step_began_ms = reading.at_ms
        self._restart_step()

    def _restart_step(self) -> None:
        self.neutral_held = self.astray = self.doing = 0
        self.nodding = False
        self.blink = BlinkCue()
        if self.light is not None:
            self.light.interrupt()
