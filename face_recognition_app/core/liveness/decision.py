"""From cues to one verdict."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum

from core.liveness.challenge import Challenge
from core.liveness.cues import LIVE_SCORE, BlinkCue, MouthCue, SpoofCue
from core.liveness.observation import FaceReading


class Policy(StrEnum):
    """What is asked of the person.

    none: nothing. passive: the anti-spoof network on several frames, and a natural blink or speech.
    active: the anti-spoof network, and a random challenge.
    """

    NONE = "none"
    PASSIVE = "passive"
    ACTIVE = "active"


class Verdict(StrEnum):
    NOT_REQUIRED = "not_required"
    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(slots=True)
class Liveness:
    """All liveness evidence of one session; passes only when every required piece is there."""

    policy: Policy
    challenge: Challenge | None = None
    spoof: SpoofCue = field(default_factory=SpoofCue)
    blink: BlinkCue = field(default_factory=BlinkCue)
    mouth: MouthCue = field(default_factory=MouthCue)
    last_at_ms: int = 0

    @classmethod
    def begin(cls, policy: Policy, challenge_id: str, source: random.Random) -> Liveness:
        return cls(policy, Challenge.draw(challenge_id, source) if policy is Policy.ACTIVE else None)

    @property
    def verdict(self) -> Verdict:
        if self.policy is Policy.NONE:
            return Verdict.NOT_REQUIRED
        if self.failure is not None:
            return Verdict.FAILED
        return Verdict.PASSED if self.spoof.passed and self._moved else Verdict.PENDING

    @property
    def failure(self) -> str | None:
        if self.spoof.refused:
            return "spoof_suspected"
        if self.challenge is not None and self.challenge.timed_out:
            return "liveness_timeout"
        return None

    @property
    def instruction(self) -> str | None:
        """What the person should do next, as a guidance code."""
        if self.verdict is not Verdict.PENDING:
            return None
        if self.challenge is not None and self.challenge.current is not None:
            return str(self.challenge.current)
        return "hold_still" if self._moved else "blink"

    @property
    def steps_done(self) -> int:
        return self.challenge.done if self.challenge is not None else int(self._moved)

    @property
    def steps_total(self) -> int:
        return len(self.challenge.actions) if self.challenge is not None else 1

    @property
    def _moved(self) -> bool:
        if self.challenge is not None:
            return self.challenge.passed
        return self.blink.seen or self.mouth.seen

    def observe(self, reading: FaceReading) -> None:
        """Take one reading. Readings older than the last are refused: time does not run backwards."""
        if reading.at_ms < self.last_at_ms or self.policy is Policy.NONE or self.verdict is Verdict.FAILED:
            return
        self.last_at_ms = reading.at_ms
        self.spoof.observe(reading)
        if self.challenge is not None:
            self.challenge.observe(reading)
        else:
            self.blink.observe(reading)
            self.mouth.observe(reading)

    def suspect(self, reading: FaceReading) -> None:
        """Take what speaks against a frame that may not speak for anybody."""
        if self.policy is not Policy.NONE and reading.live_score is not None and reading.live_score < LIVE_SCORE:
            self.spoof.observe(reading)

    def interrupt(self) -> None:
        """No single face was there: evidence half gathered is dropped, evidence complete stays."""
        self.blink = BlinkCue(seen=self.blink.seen)
        self.mouth = MouthCue(seen=self.mouth.seen)
        if self.challenge is not None:
            self.challenge.interrupt()
