"""Draws the signs of a replayed recording: repeated bytes, or repeated motion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.cues.moments import differences, rises, track_of
from bench.cues.style import ATTACK, LIMIT, NOTHING, PERSON, legend, mark_refused, note, title_of
from bench.pad.observe import Recording
from core.liveness import limits
from core.liveness.continuity import Continuity
from recognition.streaming.sight import fingerprint_of

_UNLIKE = 1.5
"""Differences of stretches are drawn up to this value; larger ones are equally irrelevant."""


def draw_repetition(figure: Any, recordings: Sequence[Recording]) -> None:
    from matplotlib import colormaps

    shades = colormaps["Greys_r"].with_extremes(under=ATTACK, bad=NOTHING)
    panels = figure.subplots(1, len(recordings))
    for axes, recording in zip(panels, recordings, strict=True):
        seconds, track, refused = track_of(recording)
        ends = seconds[limits.FORWARD_READINGS - 1 :]
        image = axes.imshow(
            differences(track),
            extent=(ends[0], ends[-1], ends[0], ends[-1]),
            origin="lower",
            cmap=shades,
            vmin=limits.FORWARD_ALIKE,
            vmax=_UNLIKE,
            interpolation="none",
        )
        for second in refused:
            axes.axhline(second, color=LIMIT, linewidth=1.0)
            note(axes, "refused", (ends[-1], second), (-3, 3), ha="right")
        axes.set(xlabel="earlier stretch ends, s", ylabel="newest stretch ends, s", title=title_of(recording))
    figure.colorbar(image, ax=panels, label="difference, shares of its own motion", extend="both")


def draw_continuity(figure: Any, recordings: Sequence[Recording]) -> None:
    axes = figure.subplots()
    for row, recording in enumerate(recordings):
        _bytes(axes, row, recording)
    axes.set_yticks(range(len(recordings)), [title_of(recording) for recording in recordings])
    axes.set(xlabel="time, s", ylim=(len(recordings) - 0.6, -0.6), title="Bytes of each frame")
    legend(figure)


def _bytes(axes: Any, row: int, recording: Recording) -> None:
    cue, frames = Continuity(), recording.shown["frames"]
    seconds = np.arange(len(frames)) / recording.fps
    before, old, failed = set[str](), list[bool](), list[bool]()
    for seen, second in zip(frames, seconds, strict=True):
        old.append(seen.sha256 in before)
        before.add(seen.sha256)
        cue.observe(fingerprint_of(seen, round(second * 1000)))
        failed.append(cue.failure is not None)
    for known, colour, label in ((False, PERSON, "new bytes"), (True, ATTACK, "bytes of an earlier frame")):
        drawn = np.array(old) == known
        axes.scatter(seconds[drawn], np.full(drawn.sum(), row), 22, colour, marker="|", label=label)
    for second in rises(seconds.tolist(), failed):
        mark_refused(axes, second, row)
        note(axes, str(cue.failure), (second, row), (0, 8))
