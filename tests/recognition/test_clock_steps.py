"""The machine's clock is set by hours while people are before the camera, and nobody notices."""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import pairwise

import httpx
import pytest

from database import clock
from recognition.models import AttemptKind, FailedAttempts, Session
from recognition.retention.rules import enforce_in_turn
from recognition.sessions import known_devices, lifecycle, lockout
from recognition.sessions.lease import AlreadyDecided, Lease
from recognition.sessions.refusals import AttemptsExceeded
from recognition.sessions.state import Flow, FramePlan
from recognition.worker import Worker
from testkit.patience import PATIENCE_S
from tests.clocks import STEPS_S, step
from tests.recognition.conftest import Configure
from tests.recognition.failing import LIMIT, LOCK_S, begun, fail, locked
from tests.recognition.support import Backend, Faces, asked, connect
from vocabulary.sessions import SessionStatus

HOUR_S = 3_600.0
"""Far less than a step, and far more than a busy machine's delay."""
JPEG = {"content-type": "image/jpeg"}

each_step = pytest.mark.parametrize("seconds", STEPS_S, ids=["forwards", "back"])
each_database = pytest.mark.usefixtures("each_database")


@pytest.fixture
def frame_times(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time of each frame in milliseconds since its session began."""
    times: list[int] = []
    plan = Flow.plan

    def noted(flow: Flow, at_ms: int) -> FramePlan:
        times.append(at_ms)
        return plan(flow, at_ms)

    monkeypatch.setattr(Flow, "plan", noted)
    return times


@pytest.fixture
def unhurried(configure: Configure) -> Worker:
    """A worker whose sessions do not end on a busy machine, but would with a step of the clock."""
    return configure(enrollment_time_limit_s=HOUR_S, recognition_time_limit_s=HOUR_S, no_match_frames=1_000)


def go_on(times: list[int]) -> bool:
    return all(earlier <= later for earlier, later in pairwise(times)) and times[-1] - times[0] < HOUR_S * 1000


async def session_of(worker: Worker, backend: Backend) -> Session:
    created = await worker.database.run(
        lifecycle.create, worker.deciding, backend.tenant, asked("identification"), None
    )
    return created.session


@each_step
async def test_a_socket_goes_on_and_so_does_a_reconnect(
    unhurried: Worker,
    backend: Backend,
    faces: Faces,
    frame_times: list[int],
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
) -> None:
    token = lifecycle.token_of(unhurried.deciding, await session_of(unhurried, backend))
    async with connect(token) as socket:
        first = await socket.greeted()
        assert (await socket.ask(faces.astronaut))["type"] == "frame_processed"
        step(monkeypatch, seconds)
        assert (await socket.ask(faces.astronaut))["type"] == "frame_processed"
        assert await socket.is_silent()
    async with connect(token) as socket:
        second = await socket.greeted()
        assert (await socket.ask(faces.astronaut))["type"] == "frame_processed"
        assert await socket.is_silent()
    assert (second["resumed"], second["expires_at"]) == (True, first["expires_at"])
    assert len(frame_times) == 3
    assert go_on(frame_times)


@each_step
async def test_frames_over_http_go_on(
    unhurried: Worker,
    backend: Backend,
    api: httpx.AsyncClient,
    faces: Faces,
    frame_times: list[int],
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
) -> None:
    frames = f"/api/v1/sessions/{(await session_of(unhurried, backend)).pk}/frames/"
    assert (await api.post(frames, content=faces.astronaut, headers=JPEG)).json()["type"] == "frame_processed"
    step(monkeypatch, seconds)
    assert (await api.post(frames, content=faces.astronaut, headers=JPEG)).json()["type"] == "frame_processed"
    assert go_on(frame_times)


@each_step
@each_database
def test_a_lease_goes_on_and_so_does_the_next(
    unhurried: Worker, alice: Backend, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    first = begun(unhurried, alice)
    step(monkeypatch, seconds)
    second = lifecycle.connect(unhurried.deciding, first.session)
    for lease in (first, second):
        assert 0 <= lease.elapsed_ms < HOUR_S * 1000
        assert 0 < lease.seconds_left <= HOUR_S
    assert abs(first.began_s - second.began_s) < HOUR_S
    assert lifecycle.expire_overdue(unhurried.deciding) == 0
    assert Session.across_tenants.get().status == SessionStatus.IN_PROGRESS


def test_a_database_whose_clock_was_set_back_takes_no_frame_back(unhurried: Worker, alice: Backend) -> None:
    lease = begun(unhurried, alice)
    lease.flow.probed_at_ms = 7_000
    assert lease.session.started_at is not None
    stepped = Lease.at(
        lease.session.started_at - timedelta(hours=3), lease.session, lease.flow, lease.protection, resumed=True
    )
    assert 7_000 <= stepped.elapsed_ms < HOUR_S * 1000
    assert 0 < stepped.seconds_left <= HOUR_S - 7


@each_step
@each_database
def test_a_session_waits_for_its_first_connection(
    unhurried: Worker, alice: Backend, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    request = asked("authentication", "alice")
    session = lifecycle.create(unhurried.deciding, alice.tenant, request, None).session
    step(monkeypatch, seconds)
    assert not lifecycle.connect(unhurried.deciding, session).resumed


@each_step
@each_database
def test_a_lock_stays_with_the_time_that_is_left(
    worker: Worker, alice: Backend, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    held = begun(worker, alice, device_id="phone")
    known_devices.remember(alice.tenant, "alice", "phone")
    fail(worker, alice, LIMIT, device_id="phone")
    step(monkeypatch, seconds)
    with pytest.raises(AttemptsExceeded) as refused:
        begun(worker, alice, device_id="phone")
    with pytest.raises(AlreadyDecided) as ended:
        lifecycle.connect(worker.deciding, held.session)
    [lock] = [lock for lock in lockout.locks_of(alice.tenant, "alice") if lock.kind == AttemptKind.DEVICE]
    for left_ms in (refused.value.retry_after_ms, ended.value.decision.retry_after_ms, lock.retry_after_ms):
        assert left_ms is not None
        assert (LOCK_S - HOUR_S / 4) * 1000 < left_ms <= LOCK_S * 1000


@each_step
@each_database
def test_a_lock_ends_when_its_time_is_over(
    configure: Configure, alice: Backend, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    worker = configure(attempts_lock_s=1.0)
    fail(worker, alice, LIMIT)
    step(monkeypatch, seconds)
    end = time.monotonic() + PATIENCE_S
    while locked(alice, "alice"):
        assert time.monotonic() < end, "a lock of a second does not end"
        time.sleep(0.05)
    assert not begun(worker, alice).resumed


@each_step
@each_database
def test_failures_count_together_before_and_after(
    worker: Worker, alice: Backend, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    fail(worker, alice, LIMIT - 1)
    step(monkeypatch, seconds)
    enforce_in_turn(worker.deciding)
    fail(worker, alice)
    assert locked(alice, "alice")


@each_step
@each_database
def test_retention_deletes_nothing_early_and_keeps_nothing_longer(
    configure: Configure, alice: Backend, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    worker = configure(attempts_window_s=HOUR_S)
    fail(worker, alice)
    step(monkeypatch, seconds)
    assert enforce_in_turn(worker.deciding) == 0
    FailedAttempts.across_tenants.update(stale_at=clock.now() - timedelta(seconds=1))
    assert enforce_in_turn(worker.deciding)
    assert not FailedAttempts.across_tenants.exists()
