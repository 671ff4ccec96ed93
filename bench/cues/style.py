"""Common style of the cues' pictures: colours, names, limits, marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bench.pad.observe import Recording
from testkit.attacks import BONA_FIDE

PERSON, ATTACK, LIMIT, COUNTED = "#0072b2", "#d55e00", "#444444", "#009e73"
"""Colours in every picture: a living person, an attack, a limit, and evidence that counts for the person."""
RANGE, ASKED, NOTHING = "#ececec", "#d5ede5", "#f3f3f3"
_LINES = (("-", "o"), ("--", "s"), (":", "^"))
"""Line styles and markers of several persons, or several attacks, in one plot."""
STYLE = {
    "svg.hashsalt": "cues",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.4,
}
_SHOWN = {
    "bona_fide": "living person",
    "bona_fide_active": "living person",
    "print": "photograph on paper",
    "screen_still": "photograph on a display",
    "warped_photo": "photograph, lids and lips squeezed",
    "cutout": "photograph with eye holes",
    "puppet": "animated portrait",
    "puppet_obeys": "animated portrait that obeys",
    "loop": "clip in a loop",
    "frozen": "frozen stream",
}


def colour_of(recording: Recording) -> str:
    return PERSON if recording.species in BONA_FIDE else ATTACK


def with_lines(recordings: Sequence[Recording]) -> Iterator[tuple[Recording, str, str]]:
    """Each recording with a line style and a marker; colours distinguish persons from attacks only."""
    met = dict.fromkeys((PERSON, ATTACK), 0)
    for recording in recordings:
        dashes, marker = _LINES[met[colour_of(recording)]]
        met[colour_of(recording)] += 1
        yield recording, dashes, marker


def name_of(recording: Recording) -> str:
    return _SHOWN[recording.species]


def title_of(recording: Recording) -> str:
    return name_of(recording).capitalize()


def draw_limit(axes: Any, height: float, meaning: str = "") -> None:
    """Draw a limit as a line, with its meaning beside the plot."""
    axes.axhline(height, color=LIMIT, linestyle="--", linewidth=1.0, label="limit")
    note(axes, meaning, (1.0, height), (4, 0), axes.get_yaxis_transform(), va="center")


def note(axes: Any, text: str, place: Any, off: tuple[int, int], of: Any = "data", **style: str) -> None:
    """Write `text` at `off` points from `place`; `of`: the coordinate system of `place`."""
    axes.annotate(text, place, off, of, "offset points", fontsize=8, **({"color": LIMIT} | style))


def mark_counted(axes: Any, seconds: Sequence[float], label: str) -> None:
    for second in seconds:
        axes.axvline(second, color=COUNTED, label=label)


def mark_refused(axes: Any, second: float, height: float) -> None:
    axes.plot(second, height, "X", color=LIMIT, markersize=8, label="refused", zorder=3)


def legend(figure: Any, columns: int = 5) -> None:
    """Draw one legend below the panels, with each name once."""
    named: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=columns)
