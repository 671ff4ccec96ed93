"""What happens to people is no failed attempt: six times, and the person still gets in. Real frames, real networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from core.liveness.policy import Policy
from core.types import RgbImage
from gallery.people import Sample
from recognition.models import FailedAttempts
from recognition.sessions import lifecycle
from recognition.sessions.lease import Lease
from recognition.sessions.state import Flow, Outcome
from recognition.streaming.analysis import EngineSight, find_match
from recognition.streaming.sight import observe
from recognition.worker import Worker
from testkit.clips import SHARED_DATA, encode_jpeg, read_clip
from tests.conftest import needs_shared_data
from tests.enrolling import enroll
from tests.recognition.support import Backend, asked
from vocabulary.faces import Guidance, Issue
from vocabulary.sessions import Reason

pytestmark = [needs_shared_data, pytest.mark.django_db(transaction=True)]

LIMIT_MS = 30_000
Timed = Iterator[tuple[int, RgbImage]]


@dataclass(frozen=True, slots=True)
class Film:
    """What happened to a session: its outcome, and the guidance codes in their order."""

    flow: Flow
    outcome: Outcome
    guidance: list[Guidance]


@pytest.fixture(scope="module")
def person() -> list[RgbImage]:
    """A person who speaks: 640x480."""
    return [scaled(frame, 640, 480) for frame in read_clip(SHARED_DATA / "live" / "d10.mp4", 0, 120)]


@pytest.fixture
def enrolled(worker: Worker, backend: Backend, person: list[RgbImage]) -> Backend:
    vector = worker.engine.embed(worker.engine.analyse(encode_jpeg(person[0]), worker.limits))
    assert vector is not None
    enroll(backend.tenant, "alice", [Sample(vector, 1.0)], worker.deciding.gallery, worker.deciding.rules)
    return backend


def filmed(
    worker: Worker, backend: Backend, frames: Timed, policy: Policy = Policy.PASSIVE, late_ms: int | None = None
) -> Film:
    flow = begun(worker, backend, policy).flow
    guidance: list[Guidance] = []
    for at_ms, rgb in frames:
        data, plan = encode_jpeg(rgb), flow.plan(at_ms)
        seen = observe(flow, plan, EngineSight(worker.engine, worker.engine.analyse(data, worker.limits), data))
        outcome = flow.observe(seen, find_match(worker.deciding, backend.tenant, flow, seen), late_ms)
        guidance.append(flow.guidance(seen.quality))
        if outcome is not None:
            return Film(flow, outcome, guidance)
    return Film(flow, flow.time_is_up(), guidance)


def begun(worker: Worker, backend: Backend, policy: Policy) -> Lease:
    created = lifecycle.create(worker.deciding, backend.tenant, asked("authentication", "alice", policy), None)
    return lifecycle.connect(worker.deciding, created.session)


def upright(frame: RgbImage) -> RgbImage:
    """What a turned phone sends: the middle of the picture, 480x640."""
    return scaled(frame[:, 140:500], 480, 640)


def scaled(frame: RgbImage, width: int, height: int) -> RgbImage:
    return np.asarray(cv2.resize(frame, (width, height)), np.uint8)


def over_time(frames: list[RgbImage], every_ms: int, until_ms: int = LIMIT_MS) -> Timed:
    return ((at, frames[at // every_ms % len(frames)]) for at in range(0, until_ms, every_ms))


def in_the_dark(frames: list[RgbImage]) -> Timed:
    return over_time([np.multiply(frame, 0.01).astype(np.uint8) for frame in frames], 300)


def out_of_the_picture(frames: list[RgbImage]) -> Timed:
    return over_time([np.ascontiguousarray(np.roll(frame, 320, axis=1)[:, :300]) for frame in frames[:20]], 300)


def over_a_slow_network(frames: list[RgbImage]) -> Timed:
    return over_time(frames, 900)


def from_a_frozen_camera(frames: list[RgbImage]) -> Timed:
    return over_time(frames[:1], 100)


def with_a_phone_that_is_turned_all_the_time(frames: list[RgbImage]) -> Timed:
    for at, frame in over_time(frames, 300):
        yield at, upright(frame) if at // 2_000 % 2 else frame


def with_a_sender_that_adapts_all_the_time(frames: list[RgbImage]) -> Timed:
    for at, frame in over_time(frames, 300):
        yield at, scaled(frame, 480, 360) if at // 2_000 % 2 else frame


def without_a_frame(frames: list[RgbImage]) -> Timed:
    return iter(())


MISHAPS: dict[Callable[[list[RgbImage]], Timed], Reason] = {
    in_the_dark: Reason.TIMEOUT,
    out_of_the_picture: Reason.TIMEOUT,
    over_a_slow_network: Reason.CONNECTION_TOO_SLOW,
    from_a_frozen_camera: Reason.STREAM_FROZEN,
    with_a_phone_that_is_turned_all_the_time: Reason.TIMEOUT,
    with_a_sender_that_adapts_all_the_time: Reason.TIMEOUT,
    without_a_frame: Reason.TIMEOUT,
}


@pytest.mark.parametrize("policy", [Policy.PASSIVE, Policy.ACTIVE])
@pytest.mark.parametrize("mishap", MISHAPS, ids=lambda mishap: mishap.__name__)
def test_whatever_happened_six_times_the_person_gets_in(
    worker: Worker,
    enrolled: Backend,
    person: list[RgbImage],
    mishap: Callable[[list[RgbImage]], Timed],
    policy: Policy,
) -> None:
    film = filmed(worker, enrolled, mishap(person), policy)
    assert (film.outcome.success, film.outcome.reason) == (False, MISHAPS[mishap])
    for _ in range(6):
        lease = begun(worker, enrolled, policy)
        lease.flow = deepcopy(film.flow)
        decision = lifecycle.decide(worker.deciding, lease, film.outcome)
        assert decision.attempts_left is not None
        assert decision.attempts_left > 1
    if policy is Policy.PASSIVE:
        assert not FailedAttempts.across_tenants.exists()
    lease = begun(worker, enrolled, Policy.PASSIVE)
    assert filmed(worker, enrolled, over_time(person, 100, 12_000)).outcome.success


def test_who_turns_the_phone_is_told_and_goes_on(worker: Worker, enrolled: Backend, person: list[RgbImage]) -> None:
    once = ((at, upright(frame) if at >= 2_000 else frame) for at, frame in over_time(person, 100, 12_000))
    film = filmed(worker, enrolled, once)
    assert film.outcome.success
    turned = [at for at, code in enumerate(film.guidance) if code is Guidance.BEGIN_AGAIN]
    assert turned == list(range(20, 32))
    assert film.flow.liveness.observed_ms <= 100 * len(film.guidance) - 2_000


def test_who_sends_too_few_frames_hears_it_within_five_seconds(
    worker: Worker, enrolled: Backend, person: list[RgbImage]
) -> None:
    film = filmed(worker, enrolled, over_time(person, 900, 5_000))
    assert film.guidance[-1] is Guidance.CONNECTION_TOO_SLOW
    assert Guidance.CONNECTION_TOO_SLOW not in filmed(worker, enrolled, over_time(person, 250, 3_000)).guidance


def test_a_service_that_is_slow_blames_neither_the_connection_nor_the_person(
    worker: Worker, enrolled: Backend, person: list[RgbImage]
) -> None:
    film = filmed(worker, enrolled, over_time(person, 900), late_ms=0)
    assert film.outcome.reason is Reason.TIMEOUT
    assert Guidance.CONNECTION_TOO_SLOW not in film.guidance


def test_the_frames_of_the_dark_are_dark_and_those_beside_show_nobody(
    worker: Worker, enrolled: Backend, person: list[RgbImage]
) -> None:
    """What is played as a mishap is that mishap."""
    dark = set(filmed(worker, enrolled, in_the_dark(person[:10])).guidance)
    assert dark & {Guidance.TOO_DARK, Guidance.NO_FACE}
    assert Guidance(Issue.NO_FACE) in filmed(worker, enrolled, out_of_the_picture(person)).guidance
