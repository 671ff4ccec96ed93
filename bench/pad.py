"""How well the liveness policies tell real people from simulated attacks.

    python -m bench.pad [--split tuning|test] [--species a,b] [--count N] [--draws N] [--json FILE] [--html FILE]

Streams of tools.attacks are looked at once by the real engine (bench.observe) and replayed through
recognition.flow with a simulated clock. APCER is the share of attack tries that end as a success,
whatever the reason for which the others end; recognition is left out of it, in that every face
counts as the claimed one's, except in `swap`, where the claimed one is the second of two faces.
Under a policy that asks for actions each stream is tried with several challenges.
BPCER is the share of real people's tries that are refused; a stream that ends before a decision is
a non-response and counted apart (ISO/IEC 30107-3). Tries of one person are not independent of
each other: the bounds hold for the tries, not for the few people behind them.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import math
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from statistics import NormalDist, median
from typing import Any, get_args

import numpy as np

from bench.observe import Part, Recording, Seen, Task, load, observe, show_progress
from core.liveness.body import BodyCue
from core.liveness.decision import Liveness
from core.liveness.observation import FaceReading
from core.liveness.policy import DEMANDS, Policy
from core.liveness.skin import SkinCue
from core.traces import Traces
from core.types import Embedding
from gallery.thresholds import threshold_for
from recognition.flow import HARMLESS_TO_LIVENESS, Flow, Match, Observation, Outcome, Purpose
from tools.attacks import ATTACKS, BONA_FIDE, MAKERS, RESPONDING, Split
from tools.attacks.screens import Display
from tools.attacks.stream import NEUTRAL, generator
from tools.clips import encode_jpeg, shared_data_available

HEADER = (
    "Self-tested on simulated and sample attacks made from a few people's clips and photographs. "
    "Not certified to ISO/IEC 30107-3, and no statement about attack instruments that are not listed."
)
CONFIDENCE = 0.95
_SESSION_S = 30.0
_NO_MATCH_FRAMES = 8
_MATCH_FMR = 1e-4
_DRAWS = 500
_VOLUNTARY = ("bona_fide", "bona_fide_brief")
"""Real people who do not know what they are asked: nothing to be learnt from them where a policy asks."""


@dataclass(frozen=True, slots=True)
class Try:
    """How one stream ended. `reason` is None after a success; `seconds` from the first frame to the decision."""

    policy: str
    species: str
    person: str
    index: int
    success: bool
    reason: str | None
    responded: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """Of one species under one policy. `error` is the APCER of an attack and the BPCER of real people, `bound` its
    upper limit at CONFIDENCE; times in seconds, of tries that were decided, of real people those let through."""

    policy: str
    species: str
    attack: bool
    tries: int
    people: int
    errors: int
    error: float
    bound: float
    non_response: float
    p50_s: float | None
    p95_s: float | None
    reasons: Mapping[str, int]


def upper_bound(errors: int, tries: int, confidence: float = CONFIDENCE) -> float:
    """The one-sided upper limit of a rate: the p at which `errors` or fewer of `tries` have probability 1 - confidence.

    C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case
    of the binomial", Biometrika 26(4), 1934. Found by bisection; 0 of 300 gives 0.0099.
    """
    if not 0 <= errors <= tries:
        raise ValueError(f"{errors} errors of {tries} tries")
    if errors == tries:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(errors, tries, middle) > 1 - confidence else (low, middle)
    return high


def _at_most(errors: int, tries: int, rate: float) -> float:
    """The lower tail of the binomial distribution, for 0 < rate < 1."""
    ways = math.lgamma(tries + 1)
    return sum(
        math.exp(
            ways
            - math.lgamma(k + 1)
            - math.lgamma(tries - k + 1)
            + k * math.log(rate)
            + (tries - k) * math.log1p(-rate)
        )
        for k in range(errors + 1)
    )


def play(recording: Recording, policy: Policy, number: int = 0) -> Try | None:
    """Replay one recording under its challenge `number`. None where it says nothing: an action that it cannot show
    would be asked of it, or it was decided before the attack in it began."""
    flow = begin(recording, policy, number)
    if flow is None:
        return None
    shown = responding(recording, flow) if recording.stages and "frames" not in recording.shown else None
    at = -1
    for at, seen in enumerate(shown or recording.shown["frames"]):
        outcome = flow.observe(_observation(flow, recording, seen, round(at * 1000 / recording.fps)))
        if outcome is not None:
            if shown is None and at < recording.attack_begins:
                return None
            return _ended(recording, policy, outcome, True, at)
    return _ended(recording, policy, flow.time_is_up(), False, at)


def _ended(recording: Recording, policy: Policy, outcome: Outcome, responded: bool, at: int) -> Try:
    return Try(
        policy=str(policy),
        species=recording.species,
        person=recording.person,
        index=recording.index,
        success=outcome.success,
        reason=None if outcome.reason is None else str(outcome.reason),
        responded=responded,
        seconds=(at + 1) / recording.fps,
    )


def begin(recording: Recording, policy: Policy, number: int = 0) -> Flow | None:
    """A session as the service begins it; its challenge, the recording's `number`, is one that it can show.

    A real person whose clip shows two things only is asked for no more.
    """
    steps = DEMANDS[policy].steps
    if recording.species in BONA_FIDE and "frames" not in recording.shown:
        steps = min(steps, len(recording.repertoire))
    for draw in range(_DRAWS):
        source = random.Random(f"{recording.species}/{recording.person}/{recording.index}/{number}/{draw}")
        liveness = Liveness.begin(policy, "bench", source, steps)
        asked = set(liveness.challenge.actions) if liveness.challenge is not None else set()
        if "frames" in recording.shown or {str(action) for action in asked} <= recording.repertoire:
            return Flow(Purpose.AUTHENTICATION, "claimed", 1, _NO_MATCH_FRAMES, liveness)
    return None


def responding(recording: Recording, flow: Flow) -> Iterator[Seen]:
    """Who does what the session asks for, after a natural delay, and again where it was not seen."""
    source = random.Random(f"{recording.species}/{recording.index}")
    number = rested = waited = 0
    delay = source.randint(6, 12)
    while number < _SESSION_S * recording.fps:
        stage = _stage(recording, flow, number)
        wanted = flow.liveness.instruction
        take = recording.shown.get(f"{stage}/{wanted}")
        if take is not None and waited >= delay:
            for seen in take:
                yield _sent_anew(seen, number)
                number += 1
                if _stage(recording, flow, number) != stage:
                    break
            waited, delay = 0, source.randint(6, 12)
            continue
        rest = recording.shown[f"{stage}/{NEUTRAL}"]
        yield _sent_anew(rest[rested % len(rest)], number)
        number, rested, waited = number + 1, rested + 1, waited + 1


def _sent_anew(seen: Seen, number: int) -> Seen:
    """A take that is shown again stands for another one: who does it again does not send the same bytes."""
    return replace(seen, sha256=hashlib.sha256(f"{seen.sha256}/{number}".encode()).hexdigest())


def _stage(recording: Recording, flow: Flow, number: int) -> int:
    swapped = flow.liveness.steps_done >= recording.swap_step and number >= recording.swap_after_s * recording.fps
    return recording.stages - 1 if swapped else 0


def _observation(flow: Flow, recording: Recording, seen: Seen, at_ms: int) -> Observation:
    """As recognition.analysis makes it of a frame."""
    plan, issues, mark = flow.plan(at_ms), set(seen.quality.issues), seen.mark(at_ms)
    reading = seen.reading(at_ms, scored=plan.spoof)
    is_probe = plan.probe and not issues
    if not is_probe and not (plan.identity and issues <= HARMLESS_TO_LIVENESS):
        return Observation(mark, seen.box, seen.quality, reading)
    assert seen.embedding is not None
    match = _match(recording, seen.embedding) if is_probe else None
    traces = seen.traces if plan.identity else None
    return Observation(mark, seen.box, seen.quality, reading, traces, seen.embedding, is_probe, match)


def _match(recording: Recording, embedding: Embedding) -> Match:
    threshold = threshold_for(_MATCH_FMR, _NO_MATCH_FRAMES)
    similarity = 1.0 if recording.claimed is None else float(recording.claimed @ embedding)
    return Match("claimed", similarity, threshold)


def row(policy: str, species: str, tries: Sequence[Try]) -> Row:
    attack = species in ATTACKS
    errors = sum(t.success if attack else t.responded and not t.success for t in tries)
    times = [t.seconds for t in tries if t.responded and (attack or t.success)]
    reasons = [t.reason or "accepted" for t in tries]
    return Row(
        policy=policy,
        species=species,
        attack=attack,
        tries=len(tries),
        people=len({t.person for t in tries}),
        errors=errors,
        error=errors / len(tries),
        bound=upper_bound(errors, len(tries)),
        non_response=sum(not t.responded for t in tries) / len(tries),
        p50_s=round(float(np.percentile(times, 50)), 2) if times else None,
        p95_s=round(float(np.percentile(times, 95)), 2) if times else None,
        reasons={reason: reasons.count(reason) for reason in sorted(set(reasons))},
    )


def tasks(split: Split, species: Sequence[str], count: int, policies: Sequence[Policy]) -> list[Task]:
    return [
        Task(split, name, index, part)
        for name in species
        for part in dict.fromkeys(part_for(name, policy) for policy in policies)
        if part is not None
        for index in range(count)
    ]


def part_for(species: str, policy: Policy) -> Part | None:
    """What of a species is shown to a policy; None where nothing would be learnt."""
    if species in _VOLUNTARY:
        return None if _asks(policy) else "frames"
    if species in RESPONDING and _asks(policy):
        return "takes"
    return "frames" if species != "bona_fide_active" else None


def _asks(policy: Policy) -> bool:
    return DEMANDS[policy].steps > 0


@dataclass(frozen=True, slots=True)
class _Job:
    """One recording to be tried under a policy, with `draws` challenges where it asks."""

    species: str
    path: Path
    policy: Policy
    draws: int


def evaluate(
    paths: Mapping[Task, Path], policies: Sequence[Policy], draws: int = 1, workers: int = 1
) -> tuple[list[Row], list[Try]]:
    """By worker processes, with a bar on standard error."""
    jobs = [
        _Job(task.species, path, policy, draws if _asks(policy) else 1)
        for policy in policies
        for task, path in paths.items()
        if task.part == part_for(task.species, policy)
    ]
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # Many small matrices: threads would only wait for each other.
    tries: list[Try] = []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for number, done in enumerate(pool.map(_try, jobs), start=1):
            tries += done
            show_progress(number, len(jobs), "streams tried")
    groups = dict.fromkeys((one.policy, one.species) for one in tries)
    rows = [row(*group, [one for one in tries if (one.policy, one.species) == group]) for group in groups]
    return rows, tries


def _try(job: _Job) -> list[Try]:
    recording = load(job.path)
    tries = [play(recording, job.policy, number) for number in range(job.draws)]
    return [one for one in tries if one is not None]


def table(rows: Sequence[Row]) -> str:
    lines = [HEADER, ""]
    for policy in dict.fromkeys(row.policy for row in rows):
        lines += [
            f"policy {policy}",
            "  species             N people   error  <=95 %  no resp.  p50 s  p95 s  how they ended",
        ]
        lines += [_line(row) for row in rows if row.policy == policy]
        lines.append("")
    return "\n".join([*lines, "error: APCER of attacks, BPCER of bona_fide"])


def _line(row: Row) -> str:
    times = "".join(f"{'-' if time is None else f'{time:.1f}':>7}" for time in (row.p50_s, row.p95_s))
    reasons = ", ".join(f"{name} {count}" for name, count in row.reasons.items())
    return (
        f"  {row.species:<16} {row.tries:4} {row.people:6}  {row.error:6.3f}  {row.bound:6.3f}"
        f"  {row.non_response:8.3f}{times}  {reasons}"
    )


Cue = Callable[[Sequence[Seen]], float]


def _live_score(frames: Sequence[Seen]) -> float:
    scores = [seen.live_score for seen in frames if seen.live_score is not None]
    return median(scores) if scores else 0.0


def _reach(name: str) -> Cue:
    """How far a measure goes to and fro: its third largest less its third smallest value."""

    def cue(frames: Sequence[Seen]) -> float:
        readings = [seen.reading(0, scored=False) for seen in frames]
        values = sorted(float(getattr(reading, name)) for reading in readings if reading is not None)
        return values[-3] - values[2] if len(values) > 5 else 0.0

    return cue


def _no_moire(frames: Sequence[Seen]) -> float:
    """The upper quartile of the peaks, negative: the less of a grid, the livelier."""
    peaks = [seen.moire for seen in frames if seen.moire is not None]
    return -float(np.percentile(peaks, 75)) if peaks else 0.0


def _skin_change(frames: Sequence[Seen]) -> float:
    cue = SkinCue()
    for reading, traces in _traced(frames):
        cue.observe(reading, traces.skin)
    return cue.change or 0.0


def _body_motion(frames: Sequence[Seen]) -> float:
    cue = BodyCue()
    for reading, traces in _traced(frames):
        cue.observe(reading, traces.thumbnail)
    return cue.motion or 0.0


def _traced(frames: Sequence[Seen]) -> Iterator[tuple[FaceReading, Traces]]:
    for at_ms, seen in enumerate(frames):
        reading = seen.reading(at_ms, scored=False)
        if reading is not None and seen.traces is not None:
            yield reading, seen.traces


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
    """A page that needs nothing else: tables, plots and pictures are in it."""
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
        axes.hist(seconds, bins=np.arange(0.0, _SESSION_S + 0.5, 0.5), alpha=0.6, label=name)
    axes.set_xlabel("seconds to the decision, all policies")
    axes.legend()
    return _embedded(figure)


def _displays(tries: Sequence[Try]) -> str:
    """Which displays `passive` lets through: those whose dots the camera cannot tell apart."""
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
    from matplotlib.figure import Figure  # Only reports need it, and it is slow to load.

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


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if not shared_data_available():
        print("pad: the shared clips and pictures are not here (SHARED_DATA_DIR)", file=sys.stderr)
        return 2
    wanted = tasks(options.split, options.species, options.count, options.policy)
    paths = observe(wanted, options.workers)
    rows, tries = evaluate(paths, options.policy, options.draws, options.workers)
    print(table(rows))
    if options.json:
        result = {"about": HEADER, "split": options.split, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(result | {"tries": [asdict(one) for one in tries]}, indent=1))
    if options.html:
        recordings = {task: load(path) for task, path in paths.items()}
        options.html.write_text(report(options.split, recordings, rows, tries))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.pad", description="Liveness against simulated attacks.")
    parser.add_argument("--split", choices=get_args(Split), default="tuning", help="whose streams (%(default)s)")
    parser.add_argument("--species", type=_names, default=list(MAKERS), help=f"of {', '.join(MAKERS)}")
    parser.add_argument("--count", type=int, default=20, help="streams of each species (%(default)s)")
    parser.add_argument("--draws", type=int, default=1, help="challenges for each stream (%(default)s)")
    parser.add_argument("--policy", type=lambda text: [Policy(p) for p in text.split(",")], default=list(Policy))
    parser.add_argument("--workers", type=int, default=2, help="processes that look at streams (%(default)s)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--html", type=Path, help="write a report with plots to this file")
    return parser


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = sorted(set(names) - set(MAKERS))
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
