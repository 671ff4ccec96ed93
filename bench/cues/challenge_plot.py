"""Draws how a face answers a challenge, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from bench.cues.moments import Answer, answering, rises
from bench.cues.style import ASKED, COUNTED, LIMIT, RANGE, colour_of, legend, mark_counted, note, title_of
from bench.pad.observe import Recording
from bench.pad.tries import begin
from core.liveness import limits
from core.liveness.actions import Neutral
from core.liveness.observation import FaceReading
from core.liveness.policy import Policy
from testkit.attacks.stage.stream import FPS


def draw_challenge(figure: Any, recordings: Sequence[Recording]) -> None:
    grid = figure.subplots(len(_MEASURES), len(recordings), sharex="col", sharey="row", squeeze=False)
    for column, recording in zip(grid.T, recordings, strict=True):
        _answer(column, recording)
    for axes, measure in zip(grid[:, 0], _MEASURES, strict=True):
        axes.set_ylabel(measure.name)
        axes.margins(y=0.15)
    figure.align_ylabels()
    legend(figure)


def _answer(rows: Sequence[Any], recording: Recording) -> None:
    flow = begin(recording, Policy.ACTIVE)
    assert flow is not None
    assert flow.liveness.challenge is not None
    answers = list(answering(recording, flow, flow.liveness.challenge))
    neutral, seconds = Neutral.of(flow.liveness.challenge.neutral_readings), [answer.second for answer in answers]
    for axes, measure in zip(rows, _MEASURES, strict=True):
        _steps(axes, answers)
        axes.plot(seconds, [measure.of(answer.reading, neutral) for answer in answers], color=colour_of(recording))
        for rest in measure.rest:
            axes.axhline(rest, color=LIMIT, linestyle=":", linewidth=0.8, label="limit of rest")
        for limit in measure.limits:
            axes.axhline(limit, color=LIMIT, linestyle="--", linewidth=1.0, label="limit of an action")
    _name_steps(rows[0], answers)
    rows[0].set_title(title_of(recording), pad=16)
    rows[-1].set_xlabel("time, s")


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure of an action: at rest within the limits of `rest`, acting beyond `limits`."""

    name: str
    of: Callable[[FaceReading, Neutral], float]
    rest: tuple[float, ...]
    limits: tuple[float, ...]


_UPRIGHT = (limits.NEUTRAL_DEG, -limits.NEUTRAL_DEG)
_MEASURES = (
    Measure("yaw,\ndegrees", lambda face, rest: face.yaw - rest.yaw, _UPRIGHT, (limits.TURN_DEG, -limits.TURN_DEG)),
    Measure("pitch,\ndegrees", lambda face, rest: face.pitch - rest.pitch, _UPRIGHT, (-limits.NOD_DEG,)),
    Measure(
        "smile,\n0 to 1", lambda face, rest: face.smile - rest.smile, (limits.NEUTRAL_SMILE,), (limits.SMILE_RISE,)
    ),
    Measure(
        "lips\napart",
        lambda face, rest: face.mouth_opening - rest.mouth_opening,
        (limits.NEUTRAL_MOUTH,),
        (limits.MOUTH_OPENED,),
    ),
    Measure("lids\napart", lambda face, _: face.eye_opening, (), ()),
)


def _steps(axes: Any, answers: Sequence[Answer]) -> None:
    """Mark when the face must be at rest and when the action may be shown; a line where a step is done."""
    for (asked, resting), group in groupby(answers, lambda answer: (answer.asked, answer.resting)):
        if asked is not None:
            seconds = [answer.second for answer in group]
            colour, label = (RANGE, "must be at rest") if resting else (ASKED, "may be shown")
            axes.axvspan(seconds[0] - 0.5 / FPS, seconds[-1] + 0.5 / FPS, color=colour, linewidth=0, label=label)
    mark_counted(
        axes, rises([answer.second for answer in answers], [answer.done for answer in answers]), "step is done"
    )


def _name_steps(axes: Any, answers: Sequence[Answer]) -> None:
    for asked, group in groupby(answers, lambda answer: answer.asked):
        if asked is not None:
            seconds = [answer.second for answer in group]
            note(axes, asked, (seconds[0], 1.0), (2, 3), ("data", "axes fraction"), color=COUNTED)
