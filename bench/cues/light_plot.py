"""Draws how a face reflects the colours of the screen, and the same face without reflection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from bench.cues.frames import Glow, glowing
from bench.cues.style import ATTACK, LIMIT, NOTHING, PERSON, draw_limit, legend, mark_counted
from bench.pad.observe import Recording
from core.liveness import limits
from core.liveness.cues.light import Colour
from testkit.attacks.stage.stream import FPS

_SHARE = 0.08
"""Share of the screen's light that falls on the face."""
_PALE = {Colour.RED: "#fbdada", Colour.GREEN: "#daf2da", Colour.BLUE: "#dce1fb", Colour.WHITE: "#ffffff"}
_MEASURES = ("red over green,\nlogarithm", "blue over green,\nlogarithm", "best agreement\nso far, 0 to 1")


def draw_light(figure: Any, recordings: Sequence[Recording]) -> None:
    """Draw the one stream with and without the screen's light."""
    (recording,) = recordings
    grid = figure.subplots(3, 2, sharex=True, sharey="row")
    _face(grid[:, 0], glowing(recording, _SHARE), PERSON, f"Living person, {_SHARE:.0%} of the screen's light added")
    _face(grid[:, 1], glowing(recording, 0.0), ATTACK, "The same without it, as a recording is")
    for axes, name in zip(grid[:, 0], _MEASURES, strict=True):
        axes.set_ylabel(name)
    grid[2, 0].set(xlim=(0, None), ylim=(-0.05, 1.05))
    figure.align_ylabels()
    legend(figure)


def _face(rows: Sequence[Any], glows: Sequence[Glow], colour: str, title: str) -> None:
    for ratio, axes in enumerate(rows[:2]):
        _bands(axes, glows)
        _tints(axes, glows, ratio, colour)
    _agreement(rows[2], glows, colour)
    _name_colours(rows[0], glows)
    for second in [glow.second for glow in glows if (glow.agreement or 0.0) >= limits.LIGHT_AGREEMENT][:1]:
        for axes in rows:
            mark_counted(axes, [second], "the light is seen")
    rows[0].set_title(title, pad=16)
    rows[2].set_xlabel("time, s")


def _steps(glows: Sequence[Glow]) -> Iterator[list[Glow]]:
    for _, group in groupby(glows, lambda glow: glow.step):
        yield list(group)


def _told(glows: Sequence[Glow]) -> Iterator[tuple[Colour, float, float]]:
    """Colours that the screen should show, each with its begin and end in seconds."""
    for step in _steps(glows):
        colour = step[-1].colour
        if colour is not None:
            yield colour, step[0].second - 1 / FPS, step[-1].second


def _bands(axes: Any, glows: Sequence[Glow]) -> None:
    for colour, begin, end in _told(glows):
        axes.axvspan(begin, end, color=_PALE[colour], linewidth=0)


def _name_colours(axes: Any, glows: Sequence[Glow]) -> None:
    style = {"color": LIMIT, "fontsize": 6.5, "ha": "center", "transform": axes.get_xaxis_transform()}
    for colour, begin, end in _told(glows):
        axes.text((begin + end) / 2, 1.03, colour.name.lower(), **style)


def _tints(axes: Any, glows: Sequence[Glow], ratio: int, colour: str) -> None:
    """Draw all readings as thin lines, and each answer over the readings whose median it is."""
    axes.plot([glow.second for glow in glows], [glow.tint[ratio] for glow in glows], color=colour, linewidth=0.8)
    for step in _steps(glows):
        answer = step[-1].answer
        if answer is not None:
            settled = [glow.second for glow in step if glow.measured]
            height = answer[ratio]
            axes.plot(
                settled, [height] * len(settled), color=colour, linewidth=3.5, alpha=0.6, label="settled, measured"
            )


def _agreement(axes: Any, glows: Sequence[Glow], colour: str) -> None:
    judged = [(glow.second, glow.agreement) for glow in glows if glow.agreement is not None]
    seconds, agreements = [second for second, _ in judged], [agreement for _, agreement in judged]
    axes.axvspan(0, min(seconds, default=glows[-1].second), color=NOTHING, label="too few answers yet")
    axes.plot(seconds, agreements, "o-", color=colour, markersize=3.5)
    draw_limit(axes, limits.LIGHT_AGREEMENT)
