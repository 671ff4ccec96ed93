"""Replays recorded streams under a policy through the service's own session state, with a simulated clock."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from bench.pad.observe import Part, Recording, Task, load, show_progress
from core.liveness.decision import Liveness
from core.liveness.policy import REQUIREMENTS, Policy
from core.types import Embedding
from gallery.thresholds import threshold_for
from recognition.sessions.state import Flow, Match, Outcome
from recognition.streaming.sight import observe
from testkit.attacks import BONA_FIDE, RESPONDING, Split
from testkit.attacks.stage.stream import NEUTRAL
from testkit.recorded_sight import RecordedSight
from vocabulary.sessions import Purpose

SESSION_S = 30.0
_NO_MATCH_FRAMES = 8
_MATCH_FMR = 1e-4
_DRAWS = 500
_VOLUNTARY = ("bona_fide", "bona_fide_brief")
"""Recordings of real people who do nothing on request: skipped under policies that ask for actions."""


@dataclass(frozen=True, slots=True)
class Try:
    """Result of one stream. `reason` is None after a success; `seconds` from the first frame to the decision."""

    policy: str
    species: str
    person: str
    index: int
    success: bool
    reason: str | None
    responded: bool
    seconds: float


def tasks(split: Split, species: Sequence[str], count: int, policies: Sequence[Policy]) -> list[Task]:
    return [
        Task(split, name, index, part)
        for name in species
        for part in dict.fromkeys(part_for(name, policy) for policy in policies)
        if part is not None
        for index in range(count)
    ]


def part_for(species: str, policy: Policy) -> Part | None:
    """The part of a species' streams to replay under a policy; None to skip it."""
    if species in _VOLUNTARY:
        return None if _asks(policy) else "frames"
    if species in RESPONDING and _asks(policy):
        return "takes"
    return "frames" if species != "bona_fide_active" else None


def _asks(policy: Policy) -> bool:
    return REQUIREMENTS[policy].steps > 0


def play(recording: Recording, policy: Policy, number: int = 0) -> Try | None:
    """Replay one recording under its challenge `number`. None where it is inconclusive: the challenge needs an action
    that it cannot show, or it was decided before the attack began."""
    flow = begin(recording, policy, number)
    if flow is None:
        return None
    shown = responding(recording, flow) if recording.stages and "frames" not in recording.shown else None
    at = -1
    for at, seen in enumerate(shown or recording.shown["frames"]):
        outcome = _shown(flow, recording, seen, round(at * 1000 / recording.fps))
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
    """Begin a session as the service does, with the `number`-th challenge that the recording can show.

    A real person whose clip shows only two actions is asked for no more.
    """
    steps = REQUIREMENTS[policy].steps
    if recording.species in BONA_FIDE and "frames" not in recording.shown:
        steps = min(steps, len(recording.repertoire))
    for draw in range(_DRAWS):
        source = random.Random(f"{recording.species}/{recording.person}/{recording.index}/{number}/{draw}")
        liveness = Liveness.begin(policy, "bench", source, steps)
        asked = set(liveness.challenge.actions) if liveness.challenge is not None else set()
        if "frames" in recording.shown or {str(action) for action in asked} <= recording.repertoire:
            return Flow(Purpose.AUTHENTICATION, "claimed", 1, _NO_MATCH_FRAMES, liveness)
    return None


def responding(recording: Recording, flow: Flow) -> Iterator[RecordedSight]:
    """Yield frames of a person who performs each action that the session asks for, after a delay, until it counts."""
    source = random.Random(f"{recording.species}/{recording.index}")
    number = rested = waited = 0
    delay = source.randint(6, 12)
    while number < SESSION_S * recording.fps:
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


def _sent_anew(seen: RecordedSight, number: int) -> RecordedSight:
    """Give a frame of a repeated take another digest, as a camera would: equal digests count as a replay."""
    return replace(seen, sha256=hashlib.sha256(f"{seen.sha256}/{number}".encode()).hexdigest())


def _stage(recording: Recording, flow: Flow, number: int) -> int:
    swapped = flow.liveness.steps_done >= recording.swap_step and number >= recording.swap_after_s * recording.fps
    return recording.stages - 1 if swapped else 0


def _shown(flow: Flow, recording: Recording, sight: RecordedSight, at_ms: int) -> Outcome | None:
    seen = observe(flow, flow.plan(at_ms), sight)
    return flow.observe(seen, None if seen.probe is None else _match(recording, seen.probe))


def _match(recording: Recording, embedding: Embedding) -> Match:
    threshold = threshold_for(_MATCH_FMR, _NO_MATCH_FRAMES)
    similarity = 1.0 if recording.claimed is None else float(recording.claimed @ embedding)
    return Match("claimed", similarity, threshold)


@dataclass(frozen=True, slots=True)
class _Job:
    """One recording to replay under a policy, with `draws` challenges where it asks for actions."""

    path: Path
    policy: Policy
    draws: int


def play_all(paths: Mapping[Task, Path], policies: Sequence[Policy], draws: int = 1, workers: int = 1) -> list[Try]:
    """Replay all recordings under all policies in worker processes, with a progress bar on stderr."""
    jobs = [
        _Job(path, policy, draws if _asks(policy) else 1)
        for policy in policies
        for task, path in paths.items()
        if task.part == part_for(task.species, policy)
    ]
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # Matrices are small: threads would only contend.
    tries: list[Try] = []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for number, done in enumerate(pool.map(_try, jobs), start=1):
            tries += done
            show_progress(number, len(jobs), "streams tried")
    return tries


def _try(job: _Job) -> list[Try]:
    recording = load(job.path)
    tries = [play(recording, job.policy, number) for number in range(job.draws)]
    return [one for one in tries if one is not None]
