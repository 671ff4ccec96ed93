"""Observations of a stream frame by frame, and the results of the service's own cues."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from bench.pad.observe import Recording
from bench.pad.tries import responding
from core.liveness import limits
from core.liveness.challenge import Challenge
from core.liveness.cues.body import BodyCue
from core.liveness.observation import FaceReading
from core.liveness.repetition import Repetition, Track, difference
from recognition.sessions.state import SPOOF_EVERY_FRAMES, Flow
from testkit.recorded_sight import RecordedSight

_REST_AFTER_S = 1.0

Matrix = npt.NDArray[np.float64]
Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class Moment:
    """Frame `number` of a stream, which shows a face, `second` seconds after the stream's beginning."""

    number: int
    second: float
    seen: RecordedSight
    reading: FaceReading


def moments(recording: Recording) -> list[Moment]:
    """The frames with a face; network and grid scores at the interval at which sessions take them."""
    found = []
    for number, seen in enumerate(recording.shown["frames"]):
        if seen.face is None:
            continue
        second, is_scored = number / recording.fps, number % SPOOF_EVERY_FRAMES == 0
        reading = seen.reading(round(second * 1000), scored=is_scored, tinted=False)
        found.append(Moment(number, second, seen, reading))
    return found


def scored(recording: Recording) -> list[Moment]:
    """The moments with network and grid scores."""
    return [moment for moment in moments(recording) if moment.reading.live_score is not None]


def after_each(shown: Sequence[Moment], tell: Callable[[Moment], None], ask: Callable[[], Said]) -> list[Said]:
    """The value of a cue after each moment that is fed to it."""
    answers = []
    for moment in shown:
        tell(moment)
        answers.append(ask())
    return answers


def seconds_of(shown: Sequence[Moment]) -> list[float]:
    return [moment.second for moment in shown]


def rises(seconds: Sequence[float], counts: Sequence[int]) -> list[float]:
    """Times at which a count (from 0) or a state (from false) increased."""
    return [second for second, (old, new) in zip(seconds, pairwise([0, *counts]), strict=True) if new > old]


def followed(recording: Recording) -> tuple[BodyCue, list[float], list[tuple[float, float]]]:
    """The cue, its motion so far after each moment, and the place of the shoulders relative to the background, in
    pixels of the thumbnail."""
    cue, motions, places = BodyCue(), [], []
    for moment in moments(recording):
        cue.observe(moment.reading, moment.seen.frame_samples().thumbnail)
        motions.append(np.nan if cue.motion is None else cue.motion)
        places += [shift[2:] for shift in cue.shifts[-1:]]
    return cue, motions, places


def track_of(recording: Recording) -> tuple[list[float], Track, list[float]]:
    """Times and places of the face, and the times at which the cue refused it."""
    cue, shown = Repetition(), moments(recording)
    seconds = seconds_of(shown)
    said = after_each(
        shown, lambda moment: cue.observe(moment.reading), lambda: (cue.track[-1], cue.failure is not None)
    )
    return seconds, np.array([motion for motion, _ in said]), rises(seconds, [bad for _, bad in said])


def differences(track: Track) -> Matrix:
    """Difference of each stretch (row) from each that ended before it began (column); nan where not compared."""
    length = limits.FORWARD_READINGS
    stretches = np.lib.stride_tricks.sliding_window_view(track, length, axis=0).transpose(0, 2, 1)
    found = np.full((len(stretches), len(stretches)), np.nan)
    for now in range(length, len(stretches)):
        for before in range(now - length + 1):
            pair = np.concatenate([stretches[before], stretches[now]])
            found[now, before] = difference(pair, length, reverse=False)
    return np.where(np.isfinite(found), found, np.nan)


@dataclass(frozen=True, slots=True)
class Answer:
    """A reading during a challenge: the action that is `asked`, whether the face must be at rest first, and the number
    of steps `done` after it."""

    second: float
    reading: FaceReading
    asked: str | None
    resting: bool
    done: int


def answering(recording: Recording, flow: Flow, challenge: Challenge) -> Iterator[Answer]:
    """Readings of a response to the challenge, until shortly after it is passed or the recording ends."""
    passed_at = None
    for number, seen in enumerate(responding(recording, flow)):
        if seen.face is None:
            flow.liveness.interrupt()
            continue
        second = number / recording.fps
        reading = seen.reading(round(second * 1000), scored=False, tinted=False)
        asked, resting = challenge.current, challenge.neutral_held < limits.NEUTRAL_HELD
        flow.liveness.observe(reading, None)
        yield Answer(second, reading, asked, resting, challenge.done)
        passed_at = second if challenge.passed and passed_at is None else passed_at
        if passed_at is not None and second - passed_at > _REST_AFTER_S:
            return
