"""Failures are counted per subject and device, lock them for a time, and the lock cannot be bypassed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from core.liveness.policy import Policy
from core.types import Embedding
from gallery.models import Template
from recognition.models import AttemptKind, Decision, FailedAttempts
from recognition.sessions import lifecycle, lockout
from recognition.sessions.lease import AlreadyDecided, Lease
from recognition.sessions.lockout import LONGEST_WAIT_S, LockoutKey
from recognition.sessions.refusals import AttemptsExceeded
from recognition.sessions.state import CANCELLATION, KeptSample, Outcome
from recognition.worker import Worker
from tests.recognition.conftest import Configure
from tests.recognition.failing import (
    LIMIT,
    LOCK_S,
    NO_MATCH,
    WINDOW_S,
    Clock,
    begun,
    counted,
    fail,
    locked,
    matched,
    succeed,
    unable_to_sign,
)
from tests.recognition.support import Backend, Faces, asked, connect, decision_of, side_by_side
from vocabulary.sessions import REASONS, Reason, SessionStatus

JPEG = {"content-type": "image/jpeg"}


def test_the_limit_locks_the_subject_and_not_one_failure_less(worker: Worker, alice: Backend) -> None:
    fail(worker, alice, LIMIT - 1)
    assert not locked(alice, "alice")
    assert fail(worker, alice).reason == "no_match"
    assert locked(alice, "alice")
    with pytest.raises(AttemptsExceeded) as caught:
        begun(worker, alice)
    assert 0 < caught.value.details["retry_after_s"] <= LONGEST_WAIT_S
    assert caught.value.retry_after_ms == 1000 * caught.value.details["retry_after_s"]


@pytest.mark.parametrize("kind", ["authentication", "enrollment", "identification"])
def test_a_device_is_locked_whoever_it_claimed_to_be(worker: Worker, alice: Backend, kind: str) -> None:
    fail(worker, alice, LIMIT, kind=kind, device_id="phone")
    with pytest.raises(AttemptsExceeded):
        begun(worker, alice, "identification", "phone")
    begun(worker, alice, "identification", "tablet")


def test_an_identification_counts_against_nobody_who_is_enrolled(worker: Worker, alice: Backend) -> None:
    fail(worker, alice, LIMIT, kind="identification", device_id="phone")
    assert locked(alice, device_id="phone")
    begun(worker, alice)


@pytest.mark.parametrize("reason", [reason for reason, told in REASONS.items() if told.counts])
def test_what_somebody_was_seen_to_try_counts(worker: Worker, alice: Backend, reason: Reason) -> None:
    fail(worker, alice, LIMIT, reason)
    assert locked(alice, "alice")


@pytest.mark.parametrize("reason", [reason for reason, told in REASONS.items() if not told.counts])
def test_mishaps_and_giving_up_are_not_counted(worker: Worker, alice: Backend, reason: Reason) -> None:
    fail(worker, alice, LIMIT + 1, reason, device_id="phone")
    assert not FailedAttempts.across_tenants.exists()


def left(worker: Worker, backend: Backend, *, host: str = "", **session: Any) -> int | None:
    """What the greeting of a new session tells."""
    FailedAttempts.across_tenants.update(waits_until=None)
    kind = session.pop("kind", "authentication")
    subject_id = "" if kind == "identification" else "alice"
    created = lifecycle.create(worker.deciding, backend.tenant, asked(kind, subject_id, **session), None)
    token = lifecycle.token_of(worker.deciding, created.session)
    return lifecycle.connect_by_token(worker.deciding, token, host=host).attempts_left


def test_how_many_attempts_are_left_is_told_before_and_after_each(worker: Worker, alice: Backend) -> None:
    told = [(left(worker, alice), fail(worker, alice).attempts_left) for _ in range(LIMIT)]
    assert told == [(left, left - 1) for left in range(LIMIT, 0, -1)]


def test_the_tightest_counter_says_how_many_attempts_are_left(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding
) -> None:
    fail(worker, alice, 2, kind="identification", device_id="phone")
    assert left(worker, alice, device_id="phone") == LIMIT - 2
    assert left(worker, alice, device_id="tablet") == LIMIT
    assert left(worker, alice, kind="identification") is None
    assert left(worker, alice, kind="identification", host="192.0.2.1") == 4 * LIMIT
    assert succeed(worker, alice, astronaut_embedding).attempts_left is None


def test_what_the_deciding_transaction_refuses_is_counted(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding
) -> None:
    connection = begun(worker, alice, "enrollment", subject_id="bob")
    connection.flow.samples = [KeptSample(astronaut_embedding.tobytes(), 0.9)] * 3
    decision = lifecycle.decide(worker.deciding, connection, Outcome(True, None, "bob", None))
    assert decision.reason == "duplicate_face"
    assert counted() == {("subject", "bob"): 1, ("unnamed", "bob"): 1}


def test_failures_count_together_within_the_window_wherever_it_is_laid(
    worker: Worker, alice: Backend, clock: Clock
) -> None:
    fail(worker, alice)
    clock.advance(WINDOW_S - 1)
    fail(worker, alice, LIMIT - 2)
    clock.advance(1)
    fail(worker, alice)
    assert not locked(alice, "alice")
    clock.advance(WINDOW_S - 2)
    fail(worker, alice)
    assert locked(alice, "alice")


@pytest.mark.parametrize(("device_id", "lock_s"), [("phone", LOCK_S), ("", LONGEST_WAIT_S)], ids=["device", "subject"])
def test_a_lock_ends_at_its_time_and_the_count_begins_anew(
    worker: Worker, alice: Backend, clock: Clock, device_id: str, lock_s: float
) -> None:
    fail(worker, alice, LIMIT, device_id=device_id)
    clock.advance(lock_s - 1)
    assert locked(alice, "alice", device_id)
    clock.advance(1)
    fail(worker, alice, LIMIT - 1, device_id=device_id)
    assert not locked(alice, "alice", device_id)
    fail(worker, alice, device_id=device_id)
    assert locked(alice, "alice", device_id)


def test_strangers_who_fail_in_somebodys_name_slow_the_person_down_and_lock_nobody_out(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding, clock: Clock
) -> None:
    for _ in range(4):
        fail(worker, alice, LIMIT)
        assert locked(alice, "alice")
        clock.advance(LONGEST_WAIT_S)
        assert succeed(worker, alice, astronaut_embedding).success


def test_the_settings_say_how_many_how_fast_and_how_long(alice: Backend, clock: Clock, configure: Configure) -> None:
    worker = configure(attempts_limit=2, attempts_window_s=10.0, attempts_lock_s=20.0)
    fail(worker, alice)
    clock.advance(10)
    fail(worker, alice)
    assert not locked(alice, "alice")
    fail(worker, alice)
    assert lockout.locked_until(LockoutKey(alice.tenant, "alice", "")) == clock.now + timedelta(seconds=20)


def test_of_two_locks_the_longer_one_is_told(worker: Worker, alice: Backend, clock: Clock) -> None:
    fail(worker, alice, LIMIT, kind="identification", device_id="phone")
    clock.advance(100)
    fail(worker, alice, LIMIT, device_id="tablet")
    fail(worker, alice, LIMIT)
    until = lockout.locked_until(LockoutKey(alice.tenant, "alice", "phone"))
    assert until == clock.now + timedelta(seconds=LOCK_S - 100)


def test_a_success_forgives_what_failed_in_its_place_and_nothing_else(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding
) -> None:
    fail(worker, alice, LIMIT - 1)
    fail(worker, alice, LIMIT - 1, device_id="phone")
    fail(worker, alice, LIMIT - 1, kind="enrollment", subject_id="bob")
    connection = begun(worker, alice)
    assert lifecycle.decide(worker.deciding, connection, matched(connection, astronaut_embedding)).success
    assert counted() == {
        ("subject", "alice"): 2 * (LIMIT - 1),
        ("device", "phone"): LIMIT - 1,
        ("subject", "bob"): LIMIT - 1,
        ("unnamed", "bob"): LIMIT - 1,
    }


@pytest.mark.usefixtures("each_database")
def test_many_failures_at_once_are_counted_exactly(alice: Backend, configure: Configure) -> None:
    worker = configure(attempts_limit=21)
    connections = [begun(worker, alice, device_id="phone") for _ in range(20)]

    def deciding(connection: Lease) -> Callable[[], Decision]:
        return lambda: lifecycle.decide(worker.deciding, connection, NO_MATCH)

    results = side_by_side([deciding(connection) for connection in connections])
    assert [result.reason if isinstance(result, Decision) else result for result in results] == ["no_match"] * 20
    assert counted() == {("subject", "alice"): 20, ("device", "phone"): 20}
    assert not locked(alice, "alice", "phone")
    fail(worker, alice, device_id="phone")
    assert locked(alice, "alice", "phone")


@pytest.mark.usefixtures("each_database")
def test_of_many_at_once_no_more_are_heard_than_the_limit(worker: Worker, alice: Backend) -> None:
    connections = [begun(worker, alice) for _ in range(12)]

    def deciding(connection: Lease) -> Callable[[], str]:
        return lambda: lifecycle.decide(worker.deciding, connection, NO_MATCH).reason

    reasons = side_by_side([deciding(connection) for connection in connections])
    assert reasons.count("no_match") == LIMIT
    assert reasons.count("attempts_exceeded") == 12 - LIMIT


def test_a_session_that_was_made_before_the_lock_is_ended_when_it_connects(worker: Worker, alice: Backend) -> None:
    made_before = lifecycle.create(worker.deciding, alice.tenant, asked("authentication", "alice"), None).session
    fail(worker, alice, LIMIT)
    with pytest.raises(AlreadyDecided) as caught:
        lifecycle.connect(worker.deciding, made_before)
    decision = decision_of(made_before)
    assert caught.value.decision == decision
    assert (decision.success, decision.reason) == (False, "attempts_exceeded")
    assert decision.locked_until == lockout.locked_until(LockoutKey(alice.tenant, "alice", ""))
    assert decision.session.status == SessionStatus.FAILED
    assert decision.session.checkpoint == ""


def test_a_session_that_was_connected_before_the_lock_cannot_succeed_after_it(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding
) -> None:
    connected_before = begun(worker, alice)
    fail(worker, alice, LIMIT)
    decision = lifecycle.decide(worker.deciding, connected_before, matched(connected_before, astronaut_embedding))
    assert (decision.success, decision.reason, decision.subject_id) == (False, "attempts_exceeded", "")
    assert locked(alice, "alice")


def test_an_enrolment_that_was_connected_before_the_lock_keeps_no_template(
    worker: Worker, backend: Backend, astronaut_embedding: Embedding
) -> None:
    connection = begun(worker, backend, "enrollment")
    connection.flow.samples = [KeptSample(astronaut_embedding.tobytes(), 0.9)] * 3
    fail(worker, backend, LIMIT, kind="enrollment")
    assert (
        lifecycle.decide(worker.deciding, connection, Outcome(True, None, "alice", None)).reason == "attempts_exceeded"
    )
    assert not Template.across_tenants.exists()


def test_what_a_lock_refused_does_not_make_it_longer(worker: Worker, alice: Backend, clock: Clock) -> None:
    connections = [begun(worker, alice) for _ in range(LIMIT)]
    fail(worker, alice, LIMIT)
    until = lockout.locked_until(LockoutKey(alice.tenant, "alice", ""))
    clock.advance(10)
    for connection in connections:
        lifecycle.decide(worker.deciding, connection, NO_MATCH)
    assert lockout.locked_until(LockoutKey(alice.tenant, "alice", "")) == until


def test_a_cancellation_of_a_locked_session_stays_one(worker: Worker, alice: Backend) -> None:
    connection = begun(worker, alice)
    fail(worker, alice, LIMIT)
    assert lifecycle.decide(worker.deciding, connection, CANCELLATION).reason == "cancelled"


@pytest.mark.parametrize(
    "outcome", [CANCELLATION, Outcome(False, Reason.TIMEOUT, None, None)], ids=["cancel", "timeout"]
)
def test_giving_up_after_a_stranger_was_seen_counts(worker: Worker, alice: Backend, outcome: Outcome) -> None:
    for unmatched in (0, 1, 1, 1, 1):
        connection = begun(worker, alice)
        connection.flow.unmatched = unmatched
        lifecycle.decide(worker.deciding, connection, outcome)
    assert not locked(alice, "alice")
    last = begun(worker, alice)
    last.flow.unmatched = 1
    lifecycle.decide(worker.deciding, last, outcome)
    assert locked(alice, "alice")


GIVING_UP = pytest.mark.parametrize(
    "outcome", [CANCELLATION, Outcome(False, Reason.TIMEOUT, None, None)], ids=["cancel", "leave"]
)


def give_up(worker: Worker, backend: Backend, outcome: Outcome, times: int, device_id: str = "") -> None:
    for _ in range(times):
        connection = begun(worker, backend, device_id=device_id, liveness=Policy.ACTIVE)
        lifecycle.decide(worker.deciding, connection, outcome)


@GIVING_UP
def test_five_strangers_who_connect_and_give_up_lock_nobody(worker: Worker, alice: Backend, outcome: Outcome) -> None:
    give_up(worker, alice, outcome, LIMIT)
    lifecycle.create(worker.deciding, alice.tenant, asked("authentication", "alice"), None)


@GIVING_UP
def test_drawing_until_a_challenge_suits_takes_ever_longer_and_locks_nobody(
    worker: Worker, alice: Backend, outcome: Outcome
) -> None:
    give_up(worker, alice, outcome, int(LIMIT / lockout.GIVEN_UP_WEIGHT), "phone")
    key = LockoutKey(alice.tenant, "alice", "phone")
    with pytest.raises(AttemptsExceeded) as caught:
        lockout.ensure_free(key)
    give_up(worker, alice, outcome, 4, "phone")
    with pytest.raises(AttemptsExceeded) as longer:
        lockout.ensure_free(key)
    assert longer.value.details["retry_after_s"] > 1.5 * caught.value.details["retry_after_s"]
    assert not locked(alice, "alice", "phone")


def test_a_challenge_that_nobody_came_for_does_not_count(worker: Worker, alice: Backend) -> None:
    for _ in range(LIMIT):
        session = lifecycle.create(
            worker.deciding, alice.tenant, asked("authentication", "alice", Policy.ACTIVE), None
        ).session
        lifecycle.cancel(worker.deciding, session)
    assert not FailedAttempts.across_tenants.exists()


def test_giving_up_after_a_picture_was_doubted_counts(worker: Worker, alice: Backend) -> None:
    for _ in range(LIMIT):
        connection = begun(worker, alice, liveness=Policy.PASSIVE)
        connection.flow.liveness.spoof.scores = [0.1, 0.2, 0.9]
        lifecycle.decide(worker.deciding, connection, CANCELLATION)
    assert locked(alice, "alice")


def test_a_session_that_its_backend_cancels_counts_by_what_was_kept(worker: Worker, alice: Backend) -> None:
    for _ in range(LIMIT):
        connection = begun(worker, alice)
        connection.flow.unmatched = 3
        connection.save()
        lifecycle.cancel(worker.deciding, connection.session)
    assert locked(alice, "alice")


def test_a_request_that_was_answered_before_the_lock_gets_the_same_answer(worker: Worker, alice: Backend) -> None:
    request = asked("authentication", "alice")
    first = lifecycle.create(worker.deciding, alice.tenant, request, "key-1").session
    fail(worker, alice, LIMIT)
    assert lifecycle.create(worker.deciding, alice.tenant, request, "key-1").session.pk == first.pk


def test_another_tenant_is_not_touched(worker: Worker, alice: Backend, rival: Backend) -> None:
    fail(worker, alice, LIMIT)
    fail(worker, alice, LIMIT, device_id="phone")
    begun(worker, rival, "enrollment", "phone")
    fail(worker, rival, LIMIT - 1, kind="enrollment", device_id="phone")
    assert not locked(rival, "alice", "phone")
    lockout.forget_subject(rival.tenant, "alice")
    assert not lockout.lift_device(alice.tenant, "tablet")
    assert locked(alice, "alice")
    assert locked(alice, device_id="phone")


def test_a_decision_that_breaks_off_counts_nothing(
    worker: Worker, alice: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = begun(worker, alice)
    with unable_to_sign(worker.deciding.signer, monkeypatch), pytest.raises(RuntimeError, match="no signature"):
        lifecycle.decide(worker.deciding, connection, NO_MATCH)
    assert not FailedAttempts.across_tenants.exists()


def test_the_first_failures_cost_nothing_and_the_next_ones_time(worker: Worker, alice: Backend, clock: Clock) -> None:
    told = []
    for _ in range(LIMIT):
        fail(worker, alice, device_id="phone")
        told.append(wait_told(worker, alice, "phone"))
    assert told == [0, 0, 2, 4, LOCK_S]


def test_who_has_waited_may_try_again(worker: Worker, alice: Backend, clock: Clock) -> None:
    fail(worker, alice, 4, device_id="phone")
    clock.advance(3.5)
    assert wait_told(worker, alice, "phone") == 1
    clock.advance(0.5)
    assert wait_told(worker, alice, "phone") == 0


def test_a_session_that_was_made_before_waits_as_well_and_is_not_lost(
    worker: Worker, alice: Backend, clock: Clock
) -> None:
    made_before = lifecycle.create(worker.deciding, alice.tenant, asked("authentication", "alice"), None).session
    going_on = begun(worker, alice)
    fail(worker, alice, 3)
    with pytest.raises(AttemptsExceeded):
        lifecycle.connect(worker.deciding, made_before)
    assert lifecycle.connect(worker.deciding, going_on.session).resumed
    clock.advance(2)
    assert not lifecycle.connect(worker.deciding, made_before).resumed


def test_a_wait_never_grows_past_a_minute_and_zero_turns_it_off(alice: Backend, configure: Configure) -> None:
    worker = configure(attempts_limit=1_000)
    rule = lockout.rule_of(worker.settings, AttemptKind.DEVICE)
    assert [rule.wait_s(total) for total in (1, 499.75, 500, 501, 999)] == [0, 0, 2, 4, lockout.LONGEST_WAIT_S]
    worker = configure(attempts_first_wait_s=0.0)
    fail(worker, alice, LIMIT - 1)
    assert wait_told(worker, alice, "") == 0


def wait_told(worker: Worker, backend: Backend, device_id: str) -> int:
    """The `retry_after` in seconds that a backend gets for a new session of alice."""
    try:
        lifecycle.create(worker.deciding, backend.tenant, asked("authentication", "alice", device_id=device_id), None)
    except AttemptsExceeded as refusal:
        return int(refusal.details["retry_after_s"])
    return 0


async def test_the_api_says_how_long_to_wait(api: httpx.AsyncClient, worker: Worker, backend: Backend) -> None:
    await worker.database.run(fail, worker, backend, LIMIT, kind="identification", device_id="phone")
    response = await api.post("/api/v1/sessions/", json={"kind": "identification", "device_id": "phone"})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (429, "attempts_exceeded")
    assert 0 < error["details"]["retry_after_s"] <= LOCK_S
    assert response.headers["retry-after"] == str(error["details"]["retry_after_s"])


async def test_a_device_is_named_when_a_session_begins(api: httpx.AsyncClient) -> None:
    made = (await api.post("/api/v1/sessions/", json={"kind": "identification", "device_id": "phone:1"})).json()
    assert (await api.get(f"/api/v1/sessions/{made['id']}/")).json()["device_id"] == "phone:1"


@pytest.mark.parametrize("device_id", ["", "a b", "a" * 129, "ä", "a\n", 7])
async def test_a_device_id_of_other_letters_is_refused(api: httpx.AsyncClient, device_id: object) -> None:
    response = await api.post("/api/v1/sessions/", json={"kind": "identification", "device_id": device_id})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "validation_error")


async def test_a_person_who_is_erased_takes_the_failures_along(
    api: httpx.AsyncClient, worker: Worker, alice: Backend
) -> None:
    await worker.database.run(fail, worker, alice, LIMIT)
    await worker.database.run(fail, worker, alice, LIMIT, device_id="phone")
    assert (await api.delete("/api/v1/subjects/alice/")).status_code == 204
    assert not await worker.database.run(locked, alice, "alice")
    assert await worker.database.run(locked, alice, "", "phone")


async def test_frames_over_http_do_not_get_around_the_lock(
    api: httpx.AsyncClient, worker: Worker, backend: Backend, faces: Faces
) -> None:
    body = {"kind": "identification", "device_id": "phone", "liveness": "none"}
    made = (await api.post("/api/v1/sessions/", json=body)).json()
    await worker.database.run(fail, worker, backend, LIMIT, kind="identification", device_id="phone")
    frames = f"/api/v1/sessions/{made['id']}/frames/"
    done = (await api.post(frames, content=faces.astronaut, headers=JPEG)).json()
    assert (done["type"], done["success"], done["reason"]) == ("identification_complete", False, "attempts_exceeded")
    assert 0 < done["retry_after_ms"] <= LOCK_S * 1000
    assert (await api.post(frames, content=faces.astronaut, headers=JPEG)).status_code == 409
    detail = (await api.get(f"/api/v1/sessions/{made['id']}/")).json()
    assert detail["status"] == "failed"
    assert detail["decision"]["reasons"] == ["attempts_exceeded"]
    assert 0 < detail["decision"]["retry_after_s"] <= LOCK_S


async def test_a_decision_that_no_lock_made_has_no_time_to_wait(
    api: httpx.AsyncClient, worker: Worker, backend: Backend
) -> None:
    decision = await worker.database.run(fail, worker, backend, 1, kind="identification")
    detail = (await api.get(f"/api/v1/sessions/{decision.session_id}/")).json()
    assert detail["decision"]["retry_after_s"] is None


async def test_five_rounds_of_connecting_and_cancelling_keep_nobody_out(api: httpx.AsyncClient, alice: Backend) -> None:
    """The attack of a stranger with a browser, who knows only a subject's id."""
    body = {"kind": "authentication", "subject_id": "alice", "liveness": "active"}
    for _ in range(LIMIT):
        made = (await api.post("/api/v1/sessions/", json=body)).json()
        async with connect(made["token"]) as socket:
            await socket.greeted()
            await socket.say("cancel")
            assert (await socket.receive())["reason"] == "cancelled"
    assert (await api.post("/api/v1/sessions/", json=body)).status_code == 201


@pytest.mark.usefixtures("unblocked_loop")
async def test_a_socket_is_told_the_result_and_the_time_left_at_once(
    worker: Worker, backend: Backend, faces: Faces
) -> None:
    session = (
        await worker.database.run(
            lifecycle.create, worker.deciding, backend.tenant, asked("identification", device_id="phone"), None
        )
    ).session
    await worker.database.run(fail, worker, backend, LIMIT, kind="identification", device_id="phone")
    async with connect(lifecycle.token_of(worker.deciding, session)) as socket:
        done = await socket.receive()
        assert (done["type"], done["success"], done["reason"]) == (
            "identification_complete",
            False,
            "attempts_exceeded",
        )
        assert 0 < done["retry_after_ms"] <= LOCK_S * 1000
        await socket.send(faces.astronaut)
        assert await socket.closed() == 1000
    async with connect(lifecycle.token_of(worker.deciding, session)) as socket:
        assert await socket.refused() == ("unknown_token", 4401)


async def test_a_socket_that_is_open_when_the_lock_falls_is_told_so(
    worker: Worker, backend: Backend, faces: Faces, configure: Configure
) -> None:
    impatient = configure(no_match_frames=1)
    session = (
        await worker.database.run(
            lifecycle.create, impatient.deciding, backend.tenant, asked("identification", device_id="phone"), None
        )
    ).session
    async with connect(lifecycle.token_of(worker.deciding, session)) as socket:
        await socket.greeted()
        await worker.database.run(fail, worker, backend, LIMIT, kind="identification", device_id="phone")
        assert (await socket.ask(faces.astronaut))["type"] == "frame_processed"
        done = await socket.receive()
    assert (done["reason"], done["retry_after_ms"] > 0) == ("attempts_exceeded", True)
