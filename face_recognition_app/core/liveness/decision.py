"""Liveness verdict from the cues: observations in, a decision out. Reads no pixels and no clock, does no I/O."""

from __future__ import annotations

import random
from collections.abc import Set
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum

from core.features.values import FrameSamples
from core.liveness import limits
from core.liveness.challenge import Challenge
from core.liveness.continuity import Continuity, FrameFingerprint
from core.liveness.cues.body import BodyCue
from core.liveness.cues.movements import BlinkCue, MoireCue, MouthCue, SpoofCue, TurnCue
from core.liveness.cues.skin import SkinCue
from core.liveness.observation import FaceReading
from core.liveness.pace import Pace
from core.liveness.policy import REQUIREMENTS, Policy, Requirements
from core.liveness.repetition import Repetition
from vocabulary.faces import Action


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
    moire: MoireCue = field(default_factory=MoireCue)
    blink: BlinkCue = field(default_factory=BlinkCue)
    mouth: MouthCue = field(default_factory=MouthCue)
    turn: TurnCue = field(default_factory=TurnCue)
    skin: SkinCue = field(default_factory=SkinCue)
    body: BodyCue = field(default_factory=BodyCue)
    repetition: Repetition = field(default_factory=Repetition)
    continuity: Continuity = field(default_factory=Continuity)
    pace: Pace = field(default_factory=Pace)
    readings: int = 0
    observed_ms: int = 0
    """Sum of the times between readings, each counted up to PAUSE_MS."""
    last_at_ms: int = 0
    last_seen_ms: int = 0
    restarted_ms: int | None = None
    """When evidence last began anew."""
    reached: float = 0.0
    """Largest share so far of the evidence that the policy requires, 0..1 in PROGRESS_STEPS steps; 1 once it passed."""

    @classmethod
    def begin(
        cls,
        policy: Policy,
        challenge_id: str,
        source: random.Random,
        steps: int | None = None,
        allowed: Set[Action] | None = None,
    ) -> Liveness:
        """`steps` and `allowed` replace those of the policy. Raises TooFewActions."""
        requirements = REQUIREMENTS[policy]
        if not requirements.steps:
            return cls(policy)
        possible = requirements.actions if allowed is None else allowed
        return cls(policy, Challenge.draw(challenge_id, steps or requirements.steps, possible, source))

    @property
    def verdict(self) -> Verdict:
        if self.policy is Policy.NONE:
            return Verdict.NOT_REQUIRED
        if self.failure is not None:
            return Verdict.FAILED
        proved = self.spoof.passed and self.acted and self._moire_passed and self.alive and self.watched
        return Verdict.PASSED if proved else Verdict.PENDING

    @property
    def failure(self) -> str | None:
        """Reason code of the refusal; None while nothing refuses the person."""
        if self.policy is Policy.NONE:
            return None
        if self.continuity.failure is not None:
            return self.continuity.failure
        if self.spoof.refused or (self._requirements.moire and self.moire.refused):
            return "spoof_suspected"
        if self._requirements.watched and self.repetition.failure is not None:
            return self.repetition.failure
        return self.challenge.failure if self.challenge is not None else None

    @property
    def acted(self) -> bool:
        """Whether the challenge was done; without one, whether the person blinked, spoke or turned to both sides."""
        if self._requirements.steps:
            return self.challenge is not None and self.challenge.passed
        return self.blink.seen or self.mouth.seen or self.turn.seen

    @property
    def alive(self) -> bool:
        """Whether skin and shoulders move as a living person's; docs/liveness.md has the rule."""
        return not self._requirements.alive or (self.skin.change or 0.0) >= self._skin_must_change

    @property
    def _skin_must_change(self) -> float:
        """Minimum of `skin.change`, which depends on what else was seen. Infinite where shoulders must move and do not.

        A challenge requires shoulders in view: the skin of an animated portrait changes, its shoulders stay.
        """
        if self.challenge is None and (self.mouth.seen or self.turn.seen):
            return limits.SKIN_CHANGED
        if self.challenge is None and self.body.motion is None:
            return limits.SKIN_CHANGED_MUCH
        if self.body.motion is None or self.body.motion < limits.BODY_MOVED:
            return float("inf")
        return limits.SKIN_CHANGED if self.blink.count >= limits.MANY_BLINKS else limits.SKIN_CHANGED_MORE

    @property
    def watched(self) -> bool:
        if not self._requirements.watched:
            return True
        return self.observed_ms >= limits.OBSERVED_MS or self.readings >= limits.OBSERVED_READINGS

    @property
    def doubtful(self) -> bool:
        """Whether there is evidence against the person, even if it is not yet enough to refuse."""
        mistaken = self.challenge is not None and self.challenge.mistakes > 0
        scored = len(self.spoof.scores) >= limits.MIN_SCORES and self.spoof.doubtful
        patterned = self._requirements.moire and len(self.moire.peaks) >= limits.MIN_MOIRES and self.moire.doubtful
        return mistaken or scored or patterned

    @property
    def passive_passed(self) -> bool:
        return self.spoof.passed and self._moire_passed

    @property
    def begins_again(self) -> bool:
        """Whether the person should hear now that evidence begins anew."""
        return self.restarted_ms is not None and self.last_seen_ms - self.restarted_ms < limits.BEGIN_AGAIN_MS

    @property
    def was_seen(self) -> bool:
        """Whether a face was seen for as long as proof takes, so that missing proof speaks against the person."""
        return self.observed_ms >= limits.OBSERVED_MS

    @property
    def instruction(self) -> str | None:
        """What the person should do next, as a guidance code."""
        if self.verdict is not Verdict.PENDING:
            return None
        if self.challenge is not None and self.challenge.current is not None:
            return str(self.challenge.current)
        if self.acted and not self.alive:
            return "move_back" if self.challenge is not None and self.body.motion is None else "smile"
        return "hold_still" if self.acted else "blink"

    @property
    def steps_done(self) -> int:
        return self.challenge.done if self.challenge is not None else int(self.acted)

    @property
    def steps_total(self) -> int:
        return len(self.challenge.actions) if self.challenge is not None else 1

    @property
    def progress(self) -> tuple[object, ...]:
        """Value whose change requires a checkpoint: progress that a client was told, or evidence against the person.

        It contains the `progress` of every part of the evidence.
        """
        cues = (getattr(self, name).progress for name in _CUES)
        asked = self.challenge and self.challenge.progress
        return *cues, asked, self.passive_passed, self.steps_done, self.reached, self.verdict

    @property
    def _requirements(self) -> Requirements:
        return REQUIREMENTS[self.policy]

    @property
    def _moire_passed(self) -> bool:
        return self.moire.passed or not self._requirements.moire

    def check_continuity(self, fingerprint: FrameFingerprint, late_ms: int | None = None) -> bool:
        """Check the continuity of a frame, with or without a face. Returns whether its bytes are new.

        `late_ms`: as Pace has it.
        """
        if self.policy is Policy.NONE:
            return True
        if not self._accepts(fingerprint.at_ms) or fingerprint.at_ms < self.last_seen_ms:
            return False
        self.last_seen_ms = fingerprint.at_ms
        self.pace.observe(fingerprint.at_ms, late_ms)
        resized = self.continuity.is_resized(fingerprint.size)
        is_new = self.continuity.observe(fingerprint)
        if resized:
            self.restart(fingerprint.at_ms)
        return is_new

    def observe(self, reading: FaceReading, frame_samples: FrameSamples | None) -> None:
        """Weigh one reading of the person. A reading older than the last is ignored."""
        if not self._accepts(reading.at_ms):
            return
        if self.readings:
            self.observed_ms += min(reading.at_ms - self.last_at_ms, limits.PAUSE_MS)
        self.last_at_ms = reading.at_ms
        self.readings += 1
        self.spoof.observe(reading, self.least_live_score(reading))
        self.moire.observe(reading)
        if self.challenge is not None:
            self.challenge.observe(reading)
        if self._requirements.alive:
            self._observe_cues(reading, frame_samples)
        if self._requirements.watched:
            self.repetition.observe(reading)
        self.reached = max(self.reached, self._share())

    def suspect(self, reading: FaceReading) -> None:
        """Weigh only evidence against the person: for frames that may not count in favour."""
        if self.policy is Policy.NONE or self.failure is not None:
            return
        limit = self.least_live_score(reading)
        if reading.live_score is not None and reading.live_score < limit:
            self.spoof.observe(reading, limit)
        if reading.moire is not None and reading.moire >= limits.MOIRE:
            self.moire.observe(reading)

    def least_live_score(self, reading: FaceReading) -> float:
        return self._requirements.least_live_score(reading.spoof_networks)

    def restart(self, at_ms: int) -> None:
        """Drop all evidence for the person, complete or not: it was seen with another geometry, or by another embedder.
        What speaks against the person stays, and the challenge is asked for again from its first step."""
        self.restarted_ms = at_ms
        self.blink, self.mouth, self.turn = BlinkCue(), MouthCue(), TurnCue()
        self.skin, self.body, self.repetition = SkinCue(), BodyCue(), Repetition(failure=self.repetition.failure)
        self.readings = self.observed_ms = 0
        if self.challenge is not None:
            self.challenge.restart()

    def interrupt(self) -> None:
        """Drop incomplete evidence: a frame showed no single face, or another person. Complete evidence stays."""
        self.blink = BlinkCue(count=self.blink.count)
        self.mouth = MouthCue(seen=self.mouth.seen)
        self.turn = self.turn if self.turn.seen else TurnCue()
        self.skin.interrupt()
        self.body.interrupt()
        if self.challenge is not None:
            self.challenge.interrupt()

    def _share(self) -> float:
        """How much of the evidence that the policy requires is there now, as `reached`."""
        if self.verdict is Verdict.PASSED:
            return 1.0
        parts = [len(self.spoof.scores) / limits.MIN_SCORES, self.steps_done / self.steps_total]
        if self._requirements.moire:
            parts.append(len(self.moire.peaks) / limits.MIN_MOIRES)
        if self._requirements.alive:
            parts.append((self.skin.change or 0.0) / self._skin_must_change)
        if self._requirements.watched:
            parts.append(max(self.observed_ms / limits.OBSERVED_MS, self.readings / limits.OBSERVED_READINGS))
        mean = sum(min(1.0, part) for part in parts) / len(parts)
        return min(int(mean * limits.PROGRESS_STEPS), limits.PROGRESS_STEPS - 1) / limits.PROGRESS_STEPS

    def _accepts(self, at_ms: int) -> bool:
        return self.policy is not Policy.NONE and at_ms >= self.last_at_ms and self.failure is None

    def _observe_cues(self, reading: FaceReading, frame_samples: FrameSamples | None) -> None:
        self.blink.observe(reading)
        self.mouth.observe(reading)
        self.turn.observe(reading)
        if frame_samples is not None:
            self.skin.observe(reading, frame_samples.skin)
            self.body.observe(reading, frame_samples.thumbnail)


_CUES = tuple(field.name for field in fields(Liveness) if field.default_factory is not MISSING)
"""Names of the parts of the evidence that every session has."""
