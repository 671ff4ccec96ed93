"""Renders the error rates as an HTML page with plots of single cues, displays and times, and a frame per species."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from statistics import NormalDist, median
from typing import Any

import numpy as np

from bench.pad.observe import Recording, Task
from bench.pad.rates import HEADER, Row
from bench.pad.tries import SESSION_S, Try
from core.features.values import FrameSamples
from core.liveness.cues.body import BodyCue
from core.liveness.cues.skin import SkinCue
from core.liveness.observation import FaceReading
from core.liveness.policy import Policy
from testkit.attacks import ATTACKS, BONA_FIDE, MAKERS, Split
from testkit.attacks.screens import Display
from testkit.attacks.stage.stream import generator
from testkit.clips import encode_jpeg
from testkit.recorded_sight import RecordedFace, RecordedSight

Cue = Callable[[Sequence[RecordedSight]], float]


def _live_score(frames: Sequence[RecordedSight]) -> float:
    scores = [face.live_score for face in _faces(frames)]
    return median(scores) if scores else 0.0


def _faces(frames: Sequence[RecordedSight]) -> list[RecordedFace]:
    return [seen.face for seen in frames if seen.face is not None]


def _reach(name: str) -> Cue:
    """Range of a measure: its third largest minus its third smallest value."""

    def cue(frames: Sequence[RecordedSight]) -> float:
        readings = [seen.reading(0, scored=False, tinted=False) for seen in frames if seen.face is not None]
        values = sorted(float(getattr(reading, name)) for reading in readings)
        return values[-3] - values[2] if len(values) > 5 else 0.0

    return cue


def _no_moire(frames: Sequence[RecordedSight]) -> float:
    """Negative upper quartile of the moire peaks: a weaker grid scores higher."""
    peaks = [face.moire for face in _faces(frames) if face.moire is not None]
    return -float(np.percentile(peaks, 75)) if peaks else 0.0


def _skin_change(frames: Sequence[RecordedSight]) -> float:
    cue = SkinCue()
    for reading, frame_samples in _sampled(frames):
        cue.observe(reading, frame_samples.skin)
    return cue.change or 0.0


def _body_motion(frames: Sequence[RecordedSight]) -> float:
    cue = BodyCue()
    for reading, frame_samples in _sampled(frames):
        cue.observe(reading, frame_samples.thumbnail)
    return cue.motion or 0.0


def _sampled(frames: Sequence[RecordedSight]) -> Iterator[tuple[FaceReading, FrameSamples]]:
    for at_ms, seen in enumerate(frames):
        if seen.face is not None:
            yield seen.reading(at_ms, scored=False, tinted=False), seen.frame_samples()


CUES: dict[str, Cue] = {
    "median of the anti-spoof score": _live_score,
    "absence of a display's grid, decades": _no_moire,
    "change of the skin, shares of brightness": _skin_change,
    "motion of the shoulders, % of the face's width": _body_motion,
    "reach of the blink coefficient": _reach("blink"),
    "reach of the mouth opening": _reach("mouth_opening"),
    "reach of the yaw, degrees": _reach("yaw"),
}


def report(split: Split, recordings: Mapping[Task, Recording], rows: Sequence[Row], tries: Sequence[Try]) -> str:
    """A self-contained page with tables, plots and pictures."""
    head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    body = "".join(
        f"<tr>{''.join(f'<td>{_cell(getattr(r, key))}</td>' for key in _COLUMNS.values())}</tr>" for r in rows
    )
    plots = [_det(name, cue, recordings) for name, cue in CUES.items()]
    pictures = "".join(_sample(split, name) for name in dict.fromkeys(task.species for task in recordings))
    return (
        "<!doctype html><meta charset=utf-8><title>Presentation attacks</title>"
        "<style>body{font:15px sans-serif;margin:2em auto;max-width:70em}td,th{padding:.2em .7em;text-align:right}"
        "figure{display:inline-block;margin:.5em}figure img{height:200px}</style>"
        f"<h1>Presentation attacks, {split} people</h1><p><b>{HEADER}</b></p>"
        f"<table><tr>{head}</tr>{body}</table><h2>Single cues</h2>"
        "<p>Share of attacks that look livelier than a threshold against the share of real people who do not.</p>"
        f"{''.join(plots)}<h2>Displays</h2>{_displays(tries)}"
        f"<h2>Time to decision</h2>{_times(tries)}<h2>Samples</h2>{pictures}"
    )


_COLUMNS = {
    "policy": "policy",
    "species": "species",
    "N": "tries",
    "people": "people",
    "APCER / BPCER": "error",
    "95 % upper bound": "bound",
    "non-response": "non_response",
    "p50 s": "p50_s",
    "p95 s": "p95_s",
}


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def _det(name: str, cue: Cue, recordings: Mapping[Task, Recording]) -> str:
    """Detection error trade-off, both axes in normal deviates: A. Martin et al., Eurospeech 1997."""
    values: dict[str, list[float]] = {}
    for task, recording in recordings.items():
        if "frames" in recording.shown:
            values.setdefault(task.species, []).append(cue(recording.shown["frames"]))
    real = np.array(values.get("bona_fide", []))
    figure, axes = _figure()
    ticks = (0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99)
    for number, (species, scores) in enumerate(values.items()):
        if species in ATTACKS and len(real):
            limits = np.unique(np.concatenate([real, scores]))
            apcer = [float((np.array(scores) >= limit).mean()) for limit in limits]
            bpcer = [float((real < limit).mean()) for limit in limits]
            style = "-" if number < 10 else ":"
            axes.plot(_deviates(apcer), _deviates(bpcer), style, color=f"C{number % 10}", label=species, linewidth=1)
    for set_ticks, label in ((axes.set_xticks, axes.set_xlabel), (axes.set_yticks, axes.set_ylabel)):
        set_ticks(_deviates(ticks), [f"{tick:g}" for tick in ticks])
        label("APCER" if label == axes.set_xlabel else "BPCER")
    axes.set_title(name)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    return _embedded(figure)


def _deviates(rates: Sequence[float]) -> list[float]:
    return [NormalDist().inv_cdf(min(max(rate, 0.005), 0.995)) for rate in rates]


def _times(tries: Sequence[Try]) -> str:
    figure, axes = _figure()
    for name, group in (("attacks", ATTACKS), ("real people let through", BONA_FIDE)):
        seconds = [t.seconds for t in tries if t.responded and t.species in group and (t.success or group is ATTACKS)]
        axes.hist(seconds, bins=np.arange(0.0, SESSION_S + 0.5, 0.5), alpha=0.6, label=name)
    axes.set_xlabel("seconds to the decision, all policies")
    axes.legend()
    return _embedded(figure)


def _displays(tries: Sequence[Try]) -> str:
    """Plot of the displays that `passive` accepts: those whose dots the camera cannot resolve."""
    figure, axes = _figure()
    shown = [t for t in tries if t.species == "screen" and t.policy == Policy.PASSIVE]
    dots = [Display.draw(generator("display", t.species, t.person, t.index)).dots for t in shown]
    for success, name in ((False, "refused"), (True, "let through")):
        chosen = [number for number, t in zip(dots, shown, strict=True) if t.success is success]
        axes.hist(chosen, bins=np.arange(0.6, 2.6, 0.2), alpha=0.6, label=name)
    axes.set_xlabel("dots of the display for each pixel of the frame")
    axes.set_ylabel("streams of a video on a display")
    axes.legend()
    return _embedded(figure)


def _figure() -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # Slow to load, and only reports need it.

    figure = Figure(figsize=(6, 4.5), layout="constrained")
    return figure, figure.subplots()


def _embedded(figure: Any) -> str:
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=90)
    return f'<img src="data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}">'


def _sample(split: Split, species: str) -> str:
    frame = list(islice(MAKERS[species](split, 0).frames(), 21))[-1]
    data = base64.b64encode(encode_jpeg(frame, 80)).decode()
    return f'<figure><img src="data:image/jpeg;base64,{data}"><figcaption>{species}</figcaption></figure>'
