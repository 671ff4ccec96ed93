"""A picture of each liveness cue, of what the service computes.

    python -m bench.cue_pictures [--out docs/pictures]

Streams of the tuning people are looked at by the real engine (bench.observe), and the service's own cues and limits
run over what it saw. The pictures show numbers and spectra: nobody's face is in them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice, pairwise
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from bench.observe import REPOSITORY, Part, Recording, Seen, Task, load, observe
from bench.pad import begin, responding
from core.frames import ImageLimits, decode_image
from core.liveness import limits
from core.liveness.actions import Neutral
from core.liveness.body import BodyCue
from core.liveness.challenge import Challenge
from core.liveness.continuity import Continuity
from core.liveness.cues import BlinkCue, MoireCue, MouthCue, SpoofCue
from core.liveness.decision import Liveness
from core.liveness.observation import FaceReading
from core.liveness.policy import Policy
from core.liveness.repetition import Repetition, Track, difference
from core.traces import moire
from core.traces.thumbnail import WIDTH
from core.types import MeshFace, RgbImage
from recognition.flow import SPOOF_EVERY_FRAMES, Flow
from tools.attacks import BONA_FIDE, MAKERS
from tools.attacks.stream import FPS
from tools.clips import encode_jpeg, shared_data_available

FOLDER = REPOSITORY / "docs" / "pictures"
PERSON, ATTACK, LIMIT, COUNTED = "#0072b2", "#d55e00", "#444444", "#009e73"
"""The same in every picture: a living person, an attack, a limit, and where something counts for the person."""
_RANGE, _ASKED, _NOTHING = "#ececec", "#d5ede5", "#f3f3f3"
_LINES = (("-", "o"), ("--", "s"), (":", "^"))
"""Of several persons, or several attacks, in one plot."""
_STYLE = {
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
_ANY_PICTURE = ImageLimits(max_bytes=10 * 2**20, max_pixels=25_000_000)
_REST_AFTER_S = 1.0
_UNLIKE = 1.5
"""A difference of stretches from which on it is no matter how large it is."""

Decades = npt.NDArray[np.float32]
"""(rows, columns) of a spectrum; nan where no pattern is looked for."""
Matrix = npt.NDArray[np.float64]
Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class Picture:
    """What is drawn of which streams; `size` in inches."""

    tasks: tuple[Task, ...]
    size: tuple[float, float]
    draw: Callable[[Any, Sequence[Recording]], None]


@dataclass(frozen=True, slots=True)
class Moment:
    """Frame `number` of a stream, which shows a face, `second`s after its beginning."""

    number: int
    second: float
    seen: Seen
    reading: FaceReading


def moments(recording: Recording) -> list[Moment]:
    """The network and the grid are asked for as often as sessions do it beside their probes."""
    found = []
    for number, seen in enumerate(recording.shown["frames"]):
        second = number / recording.fps
        reading = seen.reading(round(second * 1000), scored=number % SPOOF_EVERY_FRAMES == 0)
        if reading is not None:
            found.append(Moment(number, second, seen, reading))
    return found


def _asked(recording: Recording) -> list[Moment]:
    return [moment for moment in moments(recording) if moment.reading.live_score is not None]


def _said(shown: Sequence[Moment], tell: Callable[[Moment], None], ask: Callable[[], Said]) -> list[Said]:
    """What a cue says after each moment that it is told of."""
    answers = []
    for moment in shown:
        tell(moment)
        answers.append(ask())
    return answers


def _seconds(shown: Sequence[Moment]) -> list[float]:
    return [moment.second for moment in shown]


def _rises(seconds: Sequence[float], counts: Sequence[int]) -> list[float]:
    """When a count that began at 0, or a state that began false, grew."""
    return [second for second, (old, new) in zip(seconds, pairwise([0, *counts]), strict=True) if new > old]


def _colour(recording: Recording) -> str:
    return PERSON if recording.species in BONA_FIDE else ATTACK


def _lines(recordings: Sequence[Recording]) -> Iterator[tuple[Recording, str, str]]:
    """Each with its line and its marker: colours tell persons from attacks, these one attack from the other."""
    met = dict.fromkeys((PERSON, ATTACK), 0)
    for recording in recordings:
        dashes, marker = _LINES[met[_colour(recording)]]
        met[_colour(recording)] += 1
        yield recording, dashes, marker


def _name(recording: Recording) -> str:
    return _SHOWN[recording.species]


def _title(recording: Recording) -> str:
    return _name(recording).capitalize()


def _limit(axes: Any, height: float, meaning: str = "") -> None:
    """A line, and beside the plot whose limit it is."""
    axes.axhline(height, color=LIMIT, linestyle="--", linewidth=1.0, label="limit")
    _note(axes, meaning, (1.0, height), (4, 0), axes.get_yaxis_transform(), va="center")


def _note(axes: Any, text: str, place: Any, off: tuple[int, int], of: Any = "data", **style: str) -> None:
    """`off` the place in points; `of`: what the place is measured in."""
    axes.annotate(text, place, off, of, "offset points", fontsize=8, **({"color": LIMIT} | style))


def _counts(axes: Any, seconds: Sequence[float], label: str) -> None:
    for second in seconds:
        axes.axvline(second, color=COUNTED, label=label)


def _refused(axes: Any, second: float, height: float) -> None:
    axes.plot(second, height, "X", color=LIMIT, markersize=8, label="refused", zorder=3)


def _legend(figure: Any, columns: int = 5) -> None:
    """Below the panels, each name once."""
    named: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=columns)


def _anti_spoof(figure: Any, recordings: Sequence[Recording]) -> None:
    axes = figure.subplots()
    for recording, dashes, marker in _lines(recordings):
        _scores(axes, recording, dashes, marker)
    _limit(axes, limits.LIVE_SCORE)
    axes.set(xlabel="time, s", ylabel="score, 0 attack, 1 person", ylim=(-0.03, 1.03))
    axes.set_title("Anti-spoof network: scores (marks), and their median so far (lines)")
    _legend(figure)


def _scores(axes: Any, recording: Recording, dashes: str, marker: str) -> None:
    cue, asked, colour = SpoofCue(), _asked(recording), _colour(recording)
    said = _said(asked, lambda moment: cue.observe(moment.reading), lambda: (median(cue.scores), cue.refused))
    seconds, medians = _seconds(asked), [middle for middle, _ in said]
    axes.plot(seconds, cue.scores, marker, color=colour, markersize=3.5, alpha=0.45)
    axes.plot(seconds, medians, dashes, color=colour, label=_name(recording))
    for second in _rises(seconds, [refused for _, refused in said])[:1]:
        _refused(axes, second, medians[seconds.index(second)])


def _moire(figure: Any, recordings: Sequence[Recording]) -> None:
    places = figure.add_gridspec(1, 3, width_ratios=(1, 1, 2))
    for column, recording in enumerate(recordings):
        axes = figure.add_subplot(places[column])
        image = _spectrum(axes, np.fft.fftshift(_strongest(recording), axes=0), _colour(recording))
        axes.set(xlabel="across, cycles/pixel", ylabel="down, cycles/pixel", title=_title(recording))
        axes.text(0.01, 0.0, "face", color=LIMIT, fontsize=7, va="center")
        axes.label_outer()
    figure.colorbar(image, ax=figure.axes, label="above its surroundings, decades", extend="both")
    axes = figure.add_subplot(places[2])
    for recording in recordings:
        _moire_peaks(axes, recording)
    _limit(axes, limits.MOIRE)
    axes.set(xlabel="time, s", ylabel="strongest pattern, decades", ylim=(0, None), title="Frame by frame")
    _legend(figure)


def _spectrum(axes: Any, decades: Decades, colour: str) -> Any:
    """With a ring around the strongest place."""
    rows, columns = decades.shape
    row, column = np.unravel_index(np.nanargmax(decades), decades.shape)
    place = column / (2 * (columns - 1)), row / rows - 0.5
    axes.plot(*place, "o", markersize=11, markerfacecolor="none", markeredgecolor=colour, clip_on=False)
    half = 0.5 / rows
    edges = (-half, 0.5 + half, 0.5 - half, -0.5 - half)
    return axes.imshow(decades, "magma", vmin=0, vmax=2 * limits.MOIRE, extent=edges, interpolation="none")


def _moire_peaks(axes: Any, recording: Recording) -> None:
    cue, asked = MoireCue(), _asked(recording)
    for moment in asked:
        cue.observe(moment.reading)
    axes.plot(_seconds(asked), cue.peaks, "o-", color=_colour(recording), markersize=3, label=_name(recording))


def _strongest(recording: Recording) -> Decades:
    """The spectrum of the frame that shows the strongest pattern."""
    found = max(_asked(recording), key=lambda moment: moment.reading.moire or 0.0)
    assert found.seen.face is not None
    return standing_out(picture_of(recording, found.number), found.seen.face)


def picture_of(recording: Recording, number: int) -> RgbImage:
    """The frame as the service sees it."""
    stream = MAKERS[recording.species](recording.split, recording.index)
    (frame,) = islice(stream.frames(), number, number + 1)
    return decode_image(encode_jpeg(frame, stream.jpeg_quality), _ANY_PICTURE)


def standing_out(rgb: RgbImage, face: MeshFace) -> Decades:
    """What core.traces.moire_peak is the largest of: the spectrum of brightness or of colour, whichever has it."""
    patch = moire._patch(rgb, face)
    assert patch is not None
    planes = patch.astype(np.float32)
    spectra = [_stands_out(planes.mean(axis=2)), _stands_out(planes[:, :, 0] - planes[:, :, 2])]
    return max(spectra, key=lambda spectrum: float(np.nanmax(spectrum)))


def _stands_out(plane: npt.NDArray[np.float32]) -> Decades:
    spectrum = np.fft.rfft2((plane - plane.mean()) * moire._WINDOW)
    decades = np.log10(spectrum.real**2 + spectrum.imag**2 + 1e-3).astype(np.float32)
    above = decades - moire._around(decades) - moire._HANDICAP
    return np.where(moire._IN_BAND, above, np.float32(np.nan))


def _blink(figure: Any, recordings: Sequence[Recording]) -> None:
    grid = figure.subplots(2, len(recordings), sharex="col", sharey="row", squeeze=False)
    for column, recording in zip(grid.T, recordings, strict=True):
        _lids(column, recording)
    grid[0, 0].set(ylabel="lids apart, share\nof the eye's width", ylim=(0, None))
    grid[1, 0].set(ylabel="blink coefficient,\n0 open, 1 closed", ylim=(0, 1))
    _legend(figure)


def _lids(column: Sequence[Any], recording: Recording) -> None:
    opening, coefficient = column
    cue, shown = BlinkCue(), moments(recording)
    said = _said(shown, lambda moment: cue.observe(moment.reading), lambda: (_open_eye(cue), cue.count))
    seconds = _seconds(shown)
    opening.plot(seconds, [moment.reading.eye_opening for moment in shown], color=_colour(recording))
    coefficient.plot(seconds, [moment.reading.blink for moment in shown], color=_colour(recording))
    opening.plot(seconds, [limits.BLINK_NARROWING * eye for (eye, _), _ in said], "--", color=LIMIT, label="limit")
    coefficient.plot(seconds, [blink + limits.BLINK_RISE for (_, blink), _ in said], "--", color=LIMIT)
    for axes in (opening, coefficient):
        _counts(axes, _rises(seconds, [count for _, count in said]), "a blink is counted")
    opening.set_title(_title(recording))
    coefficient.set_xlabel("time, s")


def _open_eye(cue: BlinkCue) -> tuple[float, float]:
    """Lid opening and coefficient of this person's open eye, as far as it is known."""
    known = cue.open_readings
    return median(r.eye_opening for r in known), median(r.blink for r in known)


def _speech(figure: Any, recordings: Sequence[Recording]) -> None:
    panels = figure.subplots(1, len(recordings), sharey=True, squeeze=False)[0]
    for axes, recording in zip(panels, recordings, strict=True):
        _lips(axes, recording)
    panels[0].set(ylabel="lips apart, share of\nthe irises' distance", ylim=(0, None))
    _legend(figure)


def _lips(axes: Any, recording: Recording) -> None:
    cue, shown = MouthCue(), moments(recording)
    seen = _said(shown, lambda moment: cue.observe(moment.reading), lambda: cue.seen)
    seconds, openings = _seconds(shown), [moment.reading.mouth_opening for moment in shown]
    least = sorted(openings)[2]
    axes.axhspan(least, least + limits.MOUTH_RANGE, color=_RANGE, label="range of a photograph")
    axes.plot(seconds, openings, color=_colour(recording))
    _counts(axes, _rises(seconds, seen), "speech is seen")
    axes.set(xlabel="time, s", title=_title(recording))


def _skin(figure: Any, recordings: Sequence[Recording]) -> None:
    axes = figure.subplots()
    for recording, dashes, _ in _lines(recordings):
        _skin_change(axes, recording, dashes)
    _limit(axes, limits.SKIN_CHANGED, "of who speaks, or\nblinks again")
    _limit(axes, limits.SKIN_CHANGED_MORE, "where shoulders\nmove")
    _limit(axes, limits.SKIN_CHANGED_MUCH, "where shoulders\nare not seen")
    axes.set(xlabel="time, s", ylabel="share of the skin's brightness", xlim=(0, None), ylim=(0, None))
    axes.set_title("Skin: largest change so far")
    _legend(figure, 3)


def _skin_change(axes: Any, recording: Recording, dashes: str) -> None:
    liveness, shown = Liveness(Policy.PASSIVE), moments(recording)
    said = _said(
        shown,
        lambda moment: liveness.observe(_unscored(moment), moment.seen.traces),
        lambda: (liveness.skin.change, liveness.alive),
    )
    seconds, changes = _seconds(shown), [np.nan if change is None else change for change, _ in said]
    axes.step(seconds, changes, dashes, where="post", color=_colour(recording), label=_name(recording))
    for second in _rises(seconds, [alive for _, alive in said]):
        axes.plot(second, changes[seconds.index(second)], "o", color=COUNTED, label="counts as living skin")
    still = liveness.body.motion is not None and liveness.body.motion < limits.BODY_MOVED
    if still and not liveness.mouth.seen:
        _note(axes, "shoulders are still: never", (seconds[-1], changes[-1]), (-4, 3), ha="right")


def _unscored(moment: Moment) -> FaceReading:
    """What the network and the grid say would end the session before the skin is judged."""
    return replace(moment.reading, live_score=None, moire=None)


def _shoulders(figure: Any, recordings: Sequence[Recording]) -> None:
    path, extent = figure.subplots(1, 2, width_ratios=(1, 1.3))
    for recording, dashes, _ in _lines(recordings):
        cue, motions, places = _followed(recording)
        assert cue.at_rest is not None
        across, down = np.array(places).reshape(-1, 2).T / (cue.at_rest.box.width * WIDTH) * 100
        path.plot(across, down, dashes, color=_colour(recording), linewidth=1.0)
        extent.plot(_seconds(moments(recording)), motions, dashes, color=_colour(recording), label=_name(recording))
    _limit(extent, limits.BODY_MOVED)
    path.set(
        xlabel="to the right, % of the face's width",
        ylabel="down, % of the face's width",
        title="Path of the shoulders",
    )
    path.set_aspect("equal", "datalim")
    path.invert_yaxis()
    extent.set(xlabel="time, s", ylabel="% of the face's width", xlim=(0, None), ylim=(0, None), title="Extent so far")
    _legend(figure)


def _followed(recording: Recording) -> tuple[BodyCue, list[float], list[tuple[float, float]]]:
    """The cue, its motion so far after each moment, and where the shoulders then were against the background, in
    pixels of the thumbnail."""
    cue, motions, places = BodyCue(), [], []
    for moment in moments(recording):
        assert moment.seen.traces is not None
        cue.observe(moment.reading, moment.seen.traces.thumbnail)
        motions.append(np.nan if cue.motion is None else cue.motion)
        places += [shift[2:] for shift in cue.shifts[-1:]]
    return cue, motions, places


def _repetition(figure: Any, recordings: Sequence[Recording]) -> None:
    from matplotlib import colormaps

    shades = colormaps["Greys_r"].with_extremes(under=ATTACK, bad=_NOTHING)
    panels = figure.subplots(1, len(recordings))
    for axes, recording in zip(panels, recordings, strict=True):
        seconds, track, refused = _track(recording)
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
            _note(axes, "refused", (ends[-1], second), (-3, 3), ha="right")
        axes.set(xlabel="earlier stretch ends, s", ylabel="newest stretch ends, s", title=_title(recording))
    figure.colorbar(image, ax=panels, label="difference, shares of its own motion", extend="both")


def _track(recording: Recording) -> tuple[list[float], Track, list[float]]:
    cue, shown = Repetition(), moments(recording)
    said = _said(shown, lambda moment: cue.observe(moment.reading), lambda: (cue.track[-1], cue.failure is not None))
    return _seconds(shown), np.array([motion for motion, _ in said]), _rises(_seconds(shown), [bad for _, bad in said])


def differences(track: Track) -> Matrix:
    """Of each stretch (row) from each that ended before it began (column); nan where none is looked for."""
    length = limits.FORWARD_READINGS
    stretches = np.lib.stride_tricks.sliding_window_view(track, length, axis=0).transpose(0, 2, 1)
    found = np.full((len(stretches), len(stretches)), np.nan)
    for now in range(length, len(stretches)):
        for before in range(now - length + 1):
            pair = np.concatenate([stretches[before], stretches[now]])
            found[now, before] = difference(pair, length, reverse=False)
    return np.where(np.isfinite(found), found, np.nan)


def _continuity(figure: Any, recordings: Sequence[Recording]) -> None:
    axes = figure.subplots()
    for row, recording in enumerate(recordings):
        _bytes(axes, row, recording)
    axes.set_yticks(range(len(recordings)), [_title(recording) for recording in recordings])
    axes.set(xlabel="time, s", ylim=(len(recordings) - 0.6, -0.6), title="Bytes of each frame")
    _legend(figure)


def _bytes(axes: Any, row: int, recording: Recording) -> None:
    cue, frames = Continuity(), recording.shown["frames"]
    seconds = np.arange(len(frames)) / recording.fps
    before, old, failed = set[str](), list[bool](), list[bool]()
    for seen, second in zip(frames, seconds, strict=True):
        old.append(seen.sha256 in before)
        before.add(seen.sha256)
        cue.observe(seen.mark(round(second * 1000)))
        failed.append(cue.failure is not None)
    for known, colour, label in ((False, PERSON, "new bytes"), (True, ATTACK, "bytes of an earlier frame")):
        drawn = np.array(old) == known
        axes.scatter(seconds[drawn], np.full(drawn.sum(), row), 22, colour, marker="|", label=label)
    for second in _rises(seconds.tolist(), failed):
        _refused(axes, second, row)
        _note(axes, str(cue.failure), (second, row), (0, 8))


@dataclass(frozen=True, slots=True)
class Answer:
    """A reading of one who answers a challenge: the action that is `asked` of it, whether the face has to be at rest
    first, and how many steps are `done` with it."""

    second: float
    reading: FaceReading
    asked: str | None
    resting: bool
    done: int


def _challenge(figure: Any, recordings: Sequence[Recording]) -> None:
    grid = figure.subplots(len(_MEASURES), len(recordings), sharex="col", sharey="row", squeeze=False)
    for column, recording in zip(grid.T, recordings, strict=True):
        _answer(column, recording)
    for axes, measure in zip(grid[:, 0], _MEASURES, strict=True):
        axes.set_ylabel(measure.name)
        axes.margins(y=0.15)
    figure.align_ylabels()
    _legend(figure)


def _answer(rows: Sequence[Any], recording: Recording) -> None:
    flow = begin(recording, Policy.ACTIVE)
    assert flow is not None
    assert flow.liveness.challenge is not None
    answers = list(answering(recording, flow, flow.liveness.challenge))
    neutral, seconds = Neutral.of(flow.liveness.challenge.neutral_readings), [answer.second for answer in answers]
    for axes, measure in zip(rows, _MEASURES, strict=True):
        _steps(axes, answers)
        axes.plot(seconds, [measure.of(answer.reading, neutral) for answer in answers], color=_colour(recording))
        for rest in measure.rest:
            axes.axhline(rest, color=LIMIT, linestyle=":", linewidth=0.8, label="limit of rest")
        for limit in measure.limits:
            axes.axhline(limit, color=LIMIT, linestyle="--", linewidth=1.0, label="limit of an action")
    _name_steps(rows[0], answers)
    rows[0].set_title(_title(recording), pad=16)
    rows[-1].set_xlabel("time, s")


def answering(recording: Recording, flow: Flow, challenge: Challenge) -> Iterator[Answer]:
    """Until a moment after the challenge is passed, or for as long as the person tries."""
    passed_at = None
    for number, seen in enumerate(responding(recording, flow)):
        second = number / recording.fps
        reading = seen.reading(round(second * 1000), scored=False)
        asked, resting = challenge.current, challenge.neutral_held < limits.NEUTRAL_HELD
        if reading is None:
            flow.liveness.interrupt()
            continue
        flow.liveness.observe(reading, None)
        yield Answer(second, reading, asked, resting, challenge.done)
        passed_at = second if challenge.passed and passed_at is None else passed_at
        if passed_at is not None and second - passed_at > _REST_AFTER_S:
            return


@dataclass(frozen=True, slots=True)
class Measure:
    """The face is at rest within the limits of `rest`, and acts beyond the `limits`."""

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
    """Where the face must be at rest, and where what is asked may be shown; a line where a step is done."""
    for (asked, resting), group in groupby(answers, lambda answer: (answer.asked, answer.resting)):
        if asked is not None:
            seconds = [answer.second for answer in group]
            colour, label = (_RANGE, "must be at rest") if resting else (_ASKED, "may be shown")
            axes.axvspan(seconds[0] - 0.5 / FPS, seconds[-1] + 0.5 / FPS, color=colour, linewidth=0, label=label)
    _counts(axes, _rises([answer.second for answer in answers], [answer.done for answer in answers]), "step is done")


def _name_steps(axes: Any, answers: Sequence[Answer]) -> None:
    for asked, group in groupby(answers, lambda answer: answer.asked):
        if asked is not None:
            seconds = [answer.second for answer in group]
            _note(axes, asked, (seconds[0], 1.0), (2, 3), ("data", "axes fraction"), color=COUNTED)


def _tasks(*streams: tuple[str, int], part: Part = "frames") -> tuple[Task, ...]:
    return tuple(Task("tuning", species, index, part) for species, index in streams)


PICTURES = {
    "anti_spoof": Picture(_tasks(("bona_fide", 0), ("print", 1), ("screen_still", 1)), (7.5, 3.2), _anti_spoof),
    "moire": Picture(_tasks(("bona_fide", 0), ("screen_still", 1)), (8.5, 3.2), _moire),
    "blink": Picture(_tasks(("bona_fide", 0), ("print", 1), ("warped_photo", 2)), (8.5, 3.8), _blink),
    "speech": Picture(_tasks(("bona_fide", 0), ("print", 2), ("warped_photo", 2)), (8.5, 2.8), _speech),
    "skin": Picture(_tasks(("bona_fide", 0), ("bona_fide", 2), ("warped_photo", 2), ("cutout", 2)), (8.0, 3.4), _skin),
    "shoulders": Picture(_tasks(("bona_fide", 0), ("warped_photo", 2), ("puppet", 0)), (8.0, 3.4), _shoulders),
    "repetition": Picture(_tasks(("bona_fide", 3), ("loop", 3)), (8.5, 3.6), _repetition),
    "continuity": Picture(_tasks(("bona_fide", 0), ("frozen", 0), ("loop", 0)), (7.5, 2.2), _continuity),
    "challenge": Picture(_tasks(("bona_fide_active", 2), ("puppet_obeys", 0), part="takes"), (8.5, 6.2), _challenge),
}
"""By file name."""


def write(folder: Path, recordings: Mapping[Task, Recording]) -> list[Path]:
    """Scalable, and the same bytes for the same numbers."""
    from matplotlib import style  # Slow to load, and only needed here.
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.svg" for name in PICTURES}
    with style.context(["default", _STYLE]):
        for name, picture in PICTURES.items():
            figure = Figure(figsize=picture.size, layout="constrained")
            picture.draw(figure, [recordings[task] for task in picture.tasks])
            figure.savefig(paths[name], metadata={"Date": None, "Creator": None})
    return list(paths.values())


def tasks() -> list[Task]:
    """Of all pictures, each once."""
    return list(dict.fromkeys(task for picture in PICTURES.values() for task in picture.tasks))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.cue_pictures", description="Pictures of the liveness cues.")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder that they go to (%(default)s)")
    options = parser.parse_args(arguments)
    if not shared_data_available():
        print("cue_pictures: the shared clips and pictures are not here (SHARED_DATA_DIR)", file=sys.stderr)
        return 2
    recordings = {task: load(path) for task, path in observe(tasks()).items()}
    for path in write(options.out, recordings):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
