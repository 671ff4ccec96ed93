"""Evidence of a decision: the numbers that explain it later, without pictures."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from core.liveness.decision import Liveness


@dataclass(frozen=True, slots=True)
class Evidence:
    """Results of the cues, under their names. `live_score_worst` and the median are None when nothing was measured."""

    policy: str
    verdict: str
    failure: str | None
    readings: int
    observed_ms: int
    live_scores: int
    live_score_median: float | None
    live_score_worst: float | None
    moire: float | None
    blinks: int
    spoke: bool
    turned: bool
    skin_change: float | None
    body_motion: float | None
    repetition: float | None
    stillness: float | None
    challenge_id: str | None
    steps_asked: list[str]
    steps_done: int
    mistakes: int
    light: float | None

    @classmethod
    def of(cls, liveness: Liveness) -> Evidence:
        challenge, scores = liveness.challenge, liveness.spoof.scores
        return cls(
            policy=str(liveness.policy),
            verdict=str(liveness.verdict),
            failure=liveness.failure,
            readings=liveness.readings,
            observed_ms=liveness.observed_ms,
            live_scores=len(scores),
            live_score_median=_median(scores),
            live_score_worst=min(scores, default=None),
            moire=liveness.moire.height,
            blinks=liveness.blink.count,
            spoke=liveness.mouth.seen,
            turned=liveness.turn.seen,
            skin_change=liveness.skin.change,
            body_motion=liveness.body.motion,
            repetition=liveness.repetition.alike,
            stillness=liveness.repetition.stillness,
            challenge_id=challenge.id if challenge else None,
            steps_asked=[str(action) for action in challenge.actions] if challenge else [],
            steps_done=challenge.done if challenge else 0,
            mistakes=challenge.mistakes if challenge else 0,
            light=challenge.light.agreement if challenge and challenge.light else None,
        )


def _median(values: list[float]) -> float | None:
    return round(median(values), 4) if values else None
