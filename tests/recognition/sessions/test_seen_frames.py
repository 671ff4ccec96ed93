"""Seen frames are remembered, and a replay of them is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

import database.clock
from config.settings import Settings, SettingsError, load
from core.liveness.policy import Policy
from core.types import Embedding
from gallery.models import Template
from recognition.models import Decision, FailedAttempts, SeenFrame, Session
from recognition.retention import batches, rounds, rules
from recognition.sessions import lifecycle, seen_frames
from recognition.sessions.lease import Lease
from recognition.sessions.state import CANCELLATION, KeptSample, Match, Outcome
from recognition.worker import Worker
from testkit.patience import PATIENCE_S
from tests.recognition.conftest import Configure
from tests.recognition.failing import unable_to_sign
from tests.recognition.support import Backend, asked, decision_of, side_by_side
from vocabulary.sessions import Reason

FRAMES = [f"{2 * number:016x}" for number in range(40)]
"""Even digests: the half that is remembered."""
OTHERS = [f"{2 * number:016x}" for number in range(1000, 1040)]
NO_MATCH = Outcome(False, Reason.NO_MATCH, None, None)
ALICE = Match("alice", 0.9, 0.4)
SUCCESS = Outcome(True, None, "alice", ALICE)
REFUSING = sorted(seen_frames.REFUSING)


@pytest.fixture
def begun(worker: Worker, astronaut_embedding: Embedding) -> Callable[..., Lease]:
    """A session that sent some frames and matches."""

    def begin(backend: Backend, frames: list[str], policy: Policy = Policy.ACTIVE) -> Lease:
        request = asked("identification", liveness=policy)
        connection = lifecycle.connect(
            worker.deciding, lifecycle.create(worker.deciding, backend.tenant, request, None).session
        )
        connection.flow.liveness.continuity.digests = list(frames)
        connection.flow.match, connection.flow.matched_probe = ALICE, astronaut_embedding.tobytes()
        return connection

    return begin


Begin = Callable[..., Lease]


def remembered(backend: Backend) -> set[str]:
    return set(SeenFrame.objects.filter(tenant=backend.tenant).values_list("digest", flat=True))


@pytest.mark.parametrize("policy", REFUSING)
@pytest.mark.parametrize("again", [FRAMES, [*OTHERS, FRAMES[7]]], ids=["all of it", "one frame"])
def test_frames_that_succeeded_once_do_not_succeed_again(
    worker: Worker, alice: Backend, begun: Begin, policy: Policy, again: list[str]
) -> None:
    assert lifecycle.decide(worker.deciding, begun(alice, FRAMES, policy), SUCCESS).success
    replay = lifecycle.decide(worker.deciding, begun(alice, again, policy), SUCCESS)
    assert (replay.success, replay.reason, replay.subject_id) == (False, "replay_suspected", "")
    assert lifecycle.decide(worker.deciding, begun(alice, ["e" * 16], policy), SUCCESS).success


@pytest.mark.parametrize("first", [Policy.PASSIVE, Policy.ACTIVE])
@pytest.mark.parametrize("outcome", [NO_MATCH, Outcome(False, Reason.TIMEOUT, None, None)])
def test_what_failed_is_remembered_too(
    worker: Worker, alice: Backend, begun: Begin, first: Policy, outcome: Outcome
) -> None:
    lifecycle.decide(worker.deciding, begun(alice, FRAMES, first), outcome)
    assert remembered(alice) == set(FRAMES)
    assert lifecycle.decide(worker.deciding, begun(alice, FRAMES), SUCCESS).reason == "replay_suspected"


def test_what_was_cancelled_is_remembered_too(worker: Worker, alice: Backend, begun: Begin) -> None:
    assert lifecycle.decide(worker.deciding, begun(alice, FRAMES), CANCELLATION).reason == "cancelled"
    assert remembered(alice) == set(FRAMES)
    assert lifecycle.decide(worker.deciding, begun(alice, FRAMES), SUCCESS).reason == "replay_suspected"


def test_without_liveness_nothing_is_remembered(worker: Worker, alice: Backend, begun: Begin) -> None:
    assert lifecycle.decide(worker.deciding, begun(alice, FRAMES, Policy.NONE), SUCCESS).success
    assert remembered(alice) == set()


def test_passive_sessions_remember_and_do_not_refuse(worker: Worker, alice: Backend, begun: Begin) -> None:
    for _ in range(2):
        assert lifecycle.decide(worker.deciding, begun(alice, FRAMES, Policy.PASSIVE), SUCCESS).success
    assert remembered(alice) == set(FRAMES)


def test_a_failure_keeps_its_own_reason(worker: Worker, alice: Backend, begun: Begin) -> None:
    lifecycle.decide(worker.deciding, begun(alice, FRAMES), SUCCESS)
    assert lifecycle.decide(worker.deciding, begun(alice, FRAMES), NO_MATCH).reason == "no_match"


def test_a_session_may_send_one_frame_twice(worker: Worker, alice: Backend, begun: Begin) -> None:
    """Repeated frames within one session are left to liveness."""
    assert lifecycle.decide(worker.deciding, begun(alice, [*FRAMES, *FRAMES]), SUCCESS).success


def test_a_locked_session_is_remembered(worker: Worker, alice: Backend, begun: Begin) -> None:
    connection = begun(alice, FRAMES)
    Session.across_tenants.filter(pk=connection.session.pk).update(device_id="phone")
    now = database.clock.now()
    FailedAttempts.objects.create(
        tenant=alice.tenant, kind="device", key="phone", locked_until=now + timedelta(seconds=60), stale_at=now
    )
    assert lifecycle.decide(worker.deciding, connection, SUCCESS).reason == "attempts_exceeded"
    assert remembered(alice) == set(FRAMES)


def test_a_replay_counts_as_a_failed_attempt(worker: Worker, alice: Backend, begun: Begin) -> None:
    lifecycle.decide(worker.deciding, begun(alice, FRAMES), SUCCESS)
    connection = begun(alice, FRAMES)
    Session.across_tenants.filter(pk=connection.session.pk).update(device_id="phone")
    lifecycle.decide(worker.deciding, connection, SUCCESS)
    assert set(FailedAttempts.across_tenants.values_list("kind", "key")) == {("device", "phone"), ("tenant", "")}


def test_a_replayed_enrolment_keeps_no_template(
    worker: Worker, backend: Backend, begun: Begin, astronaut_embedding: Embedding
) -> None:
    lifecycle.decide(worker.deciding, begun(backend, FRAMES), NO_MATCH)
    request = asked("enrollment", "bob", Policy.ACTIVE)
    connection = lifecycle.connect(
        worker.deciding, lifecycle.create(worker.deciding, backend.tenant, request, None).session
    )
    connection.flow.liveness.continuity.digests = list(FRAMES)
    connection.flow.samples = [KeptSample(astronaut_embedding.tobytes(), 0.9)] * 3
    decision = lifecycle.decide(worker.deciding, connection, Outcome(True, None, "bob", None))
    assert decision.reason == "replay_suspected"
    assert not Template.across_tenants.exists()


def test_a_session_that_its_client_left_is_remembered_when_it_is_ended(
    worker: Worker, alice: Backend, begun: Begin
) -> None:
    connection = begun(alice, FRAMES)
    connection.flow.match = None
    connection.save()
    Session.across_tenants.update(expires_at=database.clock.now() - timedelta(seconds=1))
    assert lifecycle.expire_overdue(worker.deciding) == 1
    assert not decision_of(connection.session).success
    assert remembered(alice) == set(FRAMES)


def test_of_one_recording_played_into_many_sessions_at_once_one_succeeds(
    worker: Worker, alice: Backend, begun: Begin
) -> None:
    connections = [begun(alice, FRAMES) for _ in range(8)]

    def deciding(connection: Lease) -> Callable[[], str]:
        return lambda: lifecycle.decide(worker.deciding, connection, SUCCESS).reason

    reasons = side_by_side([deciding(connection) for connection in connections])
    assert sorted(reasons, key=str) == ["", *["replay_suspected"] * 7]


def test_another_tenant_learns_nothing(worker: Worker, alice: Backend, rival: Backend, begun: Begin) -> None:
    lifecycle.decide(worker.deciding, begun(rival, FRAMES), NO_MATCH)
    assert lifecycle.decide(worker.deciding, begun(alice, FRAMES), SUCCESS).success


def test_a_decision_that_breaks_off_remembers_nothing(
    worker: Worker, alice: Backend, begun: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = begun(alice, FRAMES)
    with unable_to_sign(worker.deciding.signer, monkeypatch), pytest.raises(RuntimeError, match="no signature"):
        lifecycle.decide(worker.deciding, connection, SUCCESS)
    assert remembered(alice) == set()
    assert lifecycle.decide(worker.deciding, connection, SUCCESS).success


def forget_old(settings: Settings) -> int:
    return batches.apply_in_batches(rules.old_frames(settings, database.clock.now()))


def age(days: float) -> None:
    """Backdate all frames seen so far."""
    for frame in SeenFrame.across_tenants.all():
        SeenFrame.across_tenants.filter(pk=frame.pk).update(seen_at=frame.seen_at - timedelta(days=days))


def test_the_memory_goes_back_as_far_as_the_setting_says(alice: Backend, begun: Begin, configure: Configure) -> None:
    worker = configure(replay_memory_days=2)
    lifecycle.decide(worker.deciding, begun(alice, FRAMES), SUCCESS)
    age(days=1.9)
    assert forget_old(worker.settings) == 0
    age(days=0.2)
    assert forget_old(worker.settings) == len(FRAMES)
    assert lifecycle.decide(worker.deciding, begun(alice, FRAMES), SUCCESS).success


def test_what_is_replayed_is_remembered_anew(alice: Backend, begun: Begin, configure: Configure) -> None:
    worker = configure(replay_memory_days=2)
    lifecycle.decide(worker.deciding, begun(alice, FRAMES), SUCCESS)
    age(days=1.5)
    lifecycle.decide(worker.deciding, begun(alice, FRAMES), SUCCESS)
    age(days=1)
    assert forget_old(worker.settings) == 0


def test_old_frames_are_deleted_in_bounded_batches(
    worker: Worker, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 10)
    monkeypatch.setattr(batches, "BATCHES_AT_ONCE", 3)
    seen_frames.remember(backend.tenant, Policy.ACTIVE, FRAMES)
    age(days=worker.settings.replay_memory_days + 1)
    assert [forget_old(worker.settings) for _ in range(3)] == [30, 10, 0]


async def test_periodic_work_forgets_what_is_old(
    worker: Worker, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remember_long_ago() -> None:
        seen_frames.remember(backend.tenant, Policy.ACTIVE, FRAMES)
        age(days=worker.settings.replay_memory_days + 1)

    await worker.database.run(remember_long_ago)
    monkeypatch.setattr(rounds, "RETENTION_EVERY_S", 0.05)
    periodic_work = asyncio.create_task(rounds.run_periodic_work(worker))
    try:
        async with asyncio.timeout(PATIENCE_S):
            while await worker.database.run(remembered, backend):  # noqa: ASYNC110 - a thread makes it true
                await asyncio.sleep(0.05)
    finally:
        periodic_work.cancel()
        await asyncio.gather(periodic_work, return_exceptions=True)


async def test_a_chore_that_fails_keeps_no_other_from_being_done(
    worker: Worker, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def fail(_: object) -> None:
        raise RuntimeError("no database")

    tasks = (("failing", fail), ("working", lambda _: loop.call_soon_threadsafe(done.set)))
    monkeypatch.setattr(rounds, "PERIODIC_TASKS", tasks)
    monkeypatch.setattr(rounds, "TASKS_EVERY_S", 0.01)
    periodic_work = asyncio.create_task(rounds.run_periodic_work(worker))
    try:
        await asyncio.wait_for(done.wait(), PATIENCE_S)
    finally:
        periodic_work.cancel()
        await asyncio.gather(periodic_work, return_exceptions=True)


def test_the_memory_cannot_be_turned_off() -> None:
    assert Settings.model_fields["replay_memory_days"].default == 30
    with pytest.raises(SettingsError, match="FACE_REPLAY_MEMORY_DAYS"):
        load({"FACE_REPLAY_MEMORY_DAYS": "0"})


def test_a_decision_is_remembered_once(worker: Worker, alice: Backend, begun: Begin) -> None:
    connection = begun(alice, FRAMES)
    side_by_side([lambda: lifecycle.decide(worker.deciding, connection, SUCCESS)] * 4)
    assert Decision.across_tenants.get().success
