"""Draws the passive cues, which ask nothing of the person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np

from bench.cues.frames import strongest
from bench.cues.moments import Moment, after_each, followed, moments, rises, scored, seconds_of
from bench.cues.style import (
    COUNTED,
    LIMIT,
    RANGE,
    colour_of,
    draw_limit,
    legend,
    mark_counted,
    mark_refused,
    name_of,
    note,
    title_of,
    with_lines,
)
from bench.pad.observe import Recording
from core.features.moire import Spectrum
from core.features.values import THUMBNAIL_WIDTH
from core.liveness import limits
from core.liveness.cues.movements import BlinkCue, MoireCue, MouthCue, SpoofCue
from core.liveness.decision import Liveness
from core.liveness.observation import FaceReading
from core.liveness.policy import REQUIREMENTS, Policy


def draw_anti_spoof(figure: Any, recordings: Sequence[Recording]) -> None:
    axes = figure.subplots()
    for recording, dashes, marker in with_lines(recordings):
        _scores(axes, recording, dashes, marker)
    networks = max(moment.reading.spoof_networks for recording in recordings for moment in scored(recording))
    draw_limit(axes, REQUIREMENTS[Policy.PASSIVE].least_live_score(networks))
    axes.set(xlabel="time, s", ylabel="score, 0 attack, 1 person", ylim=(-0.03, 1.03))
    axes.set_title("Anti-spoof network: scores (marks), and their median so far (lines)")
    legend(figure)


def _scores(axes: Any, recording: Recording, dashes: str, marker: str) -> None:
    cue, asked, colour = SpoofCue(), scored(recording), colour_of(recording)
    requirements = REQUIREMENTS[Policy.PASSIVE]
    said = after_each(
        asked,
        lambda moment: cue.observe(moment.reading, requirements.least_live_score(moment.reading.spoof_networks)),
        lambda: (median(cue.scores), cue.refused),
    )
    seconds, medians = seconds_of(asked), [middle for middle, _ in said]
    axes.plot(seconds, cue.scores, marker, color=colour, markersize=3.5, alpha=0.45)
    axes.plot(seconds, medians, dashes, color=colour, label=name_of(recording))
    for second in rises(seconds, [refused for _, refused in said])[:1]:
        mark_refused(axes, second, medians[seconds.index(second)])


def draw_moire(figure: Any, recordings: Sequence[Recording]) -> None:
    places = figure.add_gridspec(1, 3, width_ratios=(1, 1, 2))
    for column, recording in enumerate(recordings):
        axes = figure.add_subplot(places[column])
        image = _spectrum(axes, np.fft.fftshift(strongest(recording), axes=0), colour_of(recording))
        axes.set(xlabel="across, cycles/pixel", ylabel="down, cycles/pixel", title=title_of(recording))
        axes.text(0.01, 0.0, "face", color=LIMIT, fontsize=7, va="center")
        axes.label_outer()
    figure.colorbar(image, ax=figure.axes, label="above its surroundings, decades", extend="both")
    axes = figure.add_subplot(places[2])
    for recording in recordings:
        _moire_peaks(axes, recording)
    draw_limit(axes, limits.MOIRE)
    axes.set(xlabel="time, s", ylabel="strongest pattern, decades", ylim=(0, None), title="Frame by frame")
    legend(figure)


def _spectrum(axes: Any, decades: Spectrum, colour: str) -> Any:
    """Draw the spectrum with a ring around its strongest place."""
    rows, columns = decades.shape
    row, column = np.unravel_index(np.argmax(decades), decades.shape)
    place = column / (2 * (columns - 1)), row / rows - 0.5
    axes.plot(*place, "o", markersize=11, markerfacecolor="none", markeredgecolor=colour, clip_on=False)
    half = 0.5 / rows
    edges = (-half, 0.5 + half, 0.5 - half, -0.5 - half)
    return axes.imshow(decades, "magma", vmin=0, vmax=2 * limits.MOIRE, extent=edges, interpolation="none")


def _moire_peaks(axes: Any, recording: Recording) -> None:
    cue, asked = MoireCue(), scored(recording)
    for moment in asked:
        cue.observe(moment.reading)
    axes.plot(seconds_of(asked), cue.peaks, "o-", color=colour_of(recording), markersize=3, label=name_of(recording))


def draw_blink(figure: Any, recordings: Sequence[Recording]) -> None:
    grid = figure.subplots(2, len(recordings), sharex="col", sharey="row", squeeze=False)
    for column, recording in zip(grid.T, recordings, strict=True):
        _lids(column, recording)
    grid[0, 0].set(ylabel="lids apart, share\nof the eye's width", ylim=(0, None))
    grid[1, 0].set(ylabel="blink coefficient,\n0 open, 1 closed", ylim=(0, 1))
    legend(figure)


def _lids(column: Sequence[Any], recording: Recording) -> None:
    opening, coefficient = column
    cue, shown = BlinkCue(), moments(recording)
    said = after_each(shown, lambda moment: cue.observe(moment.reading), lambda: (_open_eye(cue), cue.count))
    seconds = seconds_of(shown)
    opening.plot(seconds, [moment.reading.eye_opening for moment in shown], color=colour_of(recording))
    coefficient.plot(seconds, [moment.reading.blink for moment in shown], color=colour_of(recording))
    opening.plot(seconds, [limits.BLINK_NARROWING * eye for (eye, _), _ in said], "--", color=LIMIT, label="limit")
    coefficient.plot(seconds, [blink + limits.BLINK_RISE for (_, blink), _ in said], "--", color=LIMIT)
    for axes in (opening, coefficient):
        mark_counted(axes, rises(seconds, [count for _, count in said]), "a blink is counted")
    opening.set_title(title_of(recording))
    coefficient.set_xlabel("time, s")


def _open_eye(cue: BlinkCue) -> tuple[float, float]:
    """Median lid opening and blink coefficient of the readings that the cue takes for an open eye."""
    known = cue.open_readings
    return median(r.eye_opening for r in known), median(r.blink for r in known)


def draw_speech(figure: Any, recordings: Sequence[Recording]) -> None:
    panels = figure.subplots(1, len(recordings), sharey=True, squeeze=False)[0]
    for axes, recording in zip(panels, recordings, strict=True):
        _lips(axes, recording)
    panels[0].set(ylabel="lips apart, share of\nthe irises' distance", ylim=(0, None))
    legend(figure)


def _lips(axes: Any, recording: Recording) -> None:
    cue, shown = MouthCue(), moments(recording)
    seen = after_each(shown, lambda moment: cue.observe(moment.reading), lambda: cue.seen)
    seconds, openings = seconds_of(shown), [moment.reading.mouth_opening for moment in shown]
    least = sorted(openings)[2]
    axes.axhspan(least, least + limits.MOUTH_RANGE, color=RANGE, label="range of a photograph")
    axes.plot(seconds, openings, color=colour_of(recording))
    mark_counted(axes, rises(seconds, seen), "speech is seen")
    axes.set(xlabel="time, s", title=title_of(recording))


def draw_skin(figure: Any, recordings: Sequence[Recording]) -> None:
    axes = figure.subplots()
    for recording, dashes, _ in with_lines(recordings):
        _skin_change(axes, recording, dashes)
    draw_limit(axes, limits.SKIN_CHANGED, "of who speaks, or\nblinks again")
    draw_limit(axes, limits.SKIN_CHANGED_MORE, "where shoulders\nmove")
    draw_limit(axes, limits.SKIN_CHANGED_MUCH, "where shoulders\nare not seen")
    axes.set(xlabel="time, s", ylabel="share of the skin's brightness", xlim=(0, None), ylim=(0, None))
    axes.set_title("Skin: largest change so far")
    legend(figure, 3)


def _skin_change(axes: Any, recording: Recording, dashes: str) -> None:
    liveness, shown = Liveness(Policy.PASSIVE), moments(recording)
    said = after_each(
        shown,
        lambda moment: liveness.observe(_unscored(moment), moment.seen.frame_samples()),
        lambda: (liveness.skin.change, liveness.alive),
    )
    seconds, changes = seconds_of(shown), [np.nan if change is None else change for change, _ in said]
    axes.step(seconds, changes, dashes, where="post", color=colour_of(recording), label=name_of(recording))
    for second in rises(seconds, [alive for _, alive in said]):
        axes.plot(second, changes[seconds.index(second)], "o", color=COUNTED, label="counts as living skin")
    still = liveness.body.motion is not None and liveness.body.motion < limits.BODY_MOVED
    if still and not liveness.mouth.seen:
        note(axes, "shoulders are still: never", (seconds[-1], changes[-1]), (-4, 3), ha="right")


def _unscored(moment: Moment) -> FaceReading:
    """The reading without the scores of network and grid, which would end the session before the skin is judged."""
    return replace(moment.reading, live_score=None, moire=None)


def draw_shoulders(figure: Any, recordings: Sequence[Recording]) -> None:
    path, extent = figure.subplots(1, 2, width_ratios=(1, 1.3))
    for recording, dashes, _ in with_lines(recordings):
        cue, motions, places = followed(recording)
        assert cue.at_rest is not None
        across, down = np.array(places).reshape(-1, 2).T / (cue.at_rest.box.width * THUMBNAIL_WIDTH) * 100
        path.plot(across, down, dashes, color=colour_of(recording), linewidth=1.0)
        extent.plot(
            seconds_of(moments(recording)), motions, dashes, color=colour_of(recording), label=name_of(recording)
        )
    draw_limit(extent, limits.BODY_MOVED)
    path.set(
        xlabel="to the right, % of the face's width",
        ylabel="down, % of the face's width",
        title="Path of the shoulders",
    )
    path.set_aspect("equal", "datalim")
    path.invert_yaxis()
    extent.set(xlabel="time, s", ylabel="% of the face's width", xlim=(0, None), ylim=(0, None), title="Extent so far")
    legend(figure)
