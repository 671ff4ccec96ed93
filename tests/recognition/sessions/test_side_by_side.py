"""Decisions of one tenant do not wait for each other, and are still counted and refused correctly."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from core.liveness.policy import Policy
from core.types import Embedding
from database.calls import with_connection
from gallery.people import Sample, SubjectNotFound
from recognition.models import Decision
from recognition.retention import erasure
from recognition.sessions import lifecycle, lockout
from recognition.sessions.lease import Lease
from recognition.sessions.state import KeptSample, Match, Outcome
from recognition.tokens.signing import DecisionClaims
from recognition.worker import Worker
from testkit.patience import PATIENCE_S
from tests.enrolling import enroll
from tests.gallery.faces import face
from tests.recognition.conftest import Configure
from tests.recognition.failing import NO_MATCH, begun, counted
from tests.recognition.retention.test_erasure import rows_that_name
from tests.recognition.support import Backend, asked, side_by_side

CROWD = [f"person-{number}" for number in range(12)]
RECORDING = [f"{2 * number:016x}" for number in range(60)]

Hold = Callable[[str, Callable[[], Decision]], AbstractContextManager[None]]

each_database = pytest.mark.usefixtures("each_database")


@pytest.fixture
def crowd(worker: Worker, backend: Backend) -> Backend:
    """The backend, with a person enrolled under each name."""
    for name in CROWD:
        enroll(backend.tenant, name, [Sample(face_of(name), 1.0)], worker.deciding.gallery, worker.deciding.rules)
    return backend


def face_of(name: str) -> Embedding:
    return face(hash_of(name))


def hash_of(name: str) -> int:
    return int.from_bytes(name.encode()[-4:], "big")


def matching(connection: Lease, name: str) -> Outcome:
    match = Match(name, 1.0, 0.5)
    connection.flow.match, connection.flow.matched_probe = match, face_of(name).tobytes()
    return Outcome(True, None, name, match)


def deciding(worker: Worker, connection: Lease, outcome: Outcome) -> Callable[[], Decision]:
    return lambda: lifecycle.decide(worker.deciding, connection, outcome)


def reasons(results: list[Decision | Exception]) -> list[str]:
    assert not [result for result in results if isinstance(result, Exception)]
    return sorted(result.reason for result in results if isinstance(result, Decision))


@each_database
def test_of_one_recording_under_many_names_at_once_one_passes(worker: Worker, crowd: Backend) -> None:
    """Each session sends a different part of the frames in a different order; all share some of them."""
    calls = []
    for number, name in enumerate(CROWD):
        connection = begun(worker, crowd, subject_id=name, liveness=Policy.ACTIVE)
        part = RECORDING[number : number + 40]
        random.Random(number).shuffle(part)
        connection.flow.liveness.continuity.digests = part
        calls.append(deciding(worker, connection, matching(connection, name)))
    assert reasons(side_by_side(calls)) == ["", *["replay_suspected"] * (len(CROWD) - 1)]


@each_database
def test_failures_of_many_people_at_one_address_are_counted_exactly(configure: Configure, crowd: Backend) -> None:
    worker = configure(attempts_address_limit=5)
    connections = [begun(worker, crowd, subject_id=name, host="10.0.0.1") for name in CROWD]
    found = reasons(side_by_side([deciding(worker, connection, NO_MATCH) for connection in connections]))
    assert found == ["attempts_exceeded"] * (len(CROWD) - 5) + ["no_match"] * 5
    heard = {key: weight for (kind, key), weight in counted().items() if kind == "subject" and weight}
    assert list(heard.values()) == [1.0] * 5


@each_database
def test_a_success_that_turns_into_a_failure_is_held_to_the_count_too(configure: Configure, crowd: Backend) -> None:
    worker = configure(attempts_address_limit=5)
    calls = []
    for number in range(12):
        connection = begun(worker, crowd, "enrollment", subject_id=f"thief-{number}", host="10.0.0.1")
        connection.flow.samples = [KeptSample(face_of(CROWD[0]).tobytes(), 0.9)] * 3
        calls.append(deciding(worker, connection, Outcome(True, None, f"thief-{number}", None)))
    assert reasons(side_by_side(calls)) == ["attempts_exceeded"] * 7 + ["duplicate_face"] * 5


@pytest.fixture
def hold(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Hold:
    sign = type(worker.deciding.signer).sign_decision
    held_name, arrived, go_on = "", threading.Event(), threading.Event()

    def sign_late(self: Any, claims: DecisionClaims, *args: Any) -> str:
        if claims.subject == held_name:
            arrived.set()
            assert go_on.wait(PATIENCE_S)
        return sign(self, claims, *args)

    monkeypatch.setattr(type(worker.deciding.signer), "sign_decision", sign_late)

    @contextmanager
    def holding(name: str, decide: Callable[[], Decision]) -> Iterator[None]:
        """Hold a decision on the subject `name` just before its commit, within the block."""
        nonlocal held_name
        held_name = name
        with ThreadPoolExecutor(1) as threads:
            decision = threads.submit(with_connection, decide)
            try:
                assert arrived.wait(PATIENCE_S)
                yield
                assert not decision.done(), "it was held all the time"
            finally:
                go_on.set()
            assert decision.result(PATIENCE_S).success

    return holding


@pytest.mark.parametrize("each_database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("kind", ["authentication", "identification", "enrollment"])
@each_database
def test_a_decision_waits_for_none_on_somebody_else(worker: Worker, crowd: Backend, hold: Hold, kind: str) -> None:
    slow_name = "newcomer" if kind == "enrollment" else CROWD[0]
    slow = begun(worker, crowd, kind, subject_id=slow_name, host="10.0.0.1", device_id="kiosk")
    success = matching(slow, slow_name)
    if kind == "enrollment":
        slow.flow.samples = [KeptSample(face_of(slow_name).tobytes(), 0.9)] * 3
    quick = begun(worker, crowd, subject_id=CROWD[1], host="10.0.0.1", device_id="kiosk")
    failing = begun(worker, crowd, subject_id=CROWD[2], host="10.0.0.1", device_id="kiosk")
    with hold(slow_name, deciding(worker, slow, success)):
        found = side_by_side(
            [
                deciding(worker, quick, matching(quick, CROWD[1])),
                deciding(worker, failing, NO_MATCH),
                lambda: (
                    lifecycle.create(worker.deciding, crowd.tenant, asked("authentication", CROWD[3]), None).session
                ),
            ]
        )
        assert [error for error in found if isinstance(error, Exception)] == []


A_WHILE_S = 0.5
"""Time for calls that do not wait to finish. Calls that wait need not have begun to."""


@each_database
def test_a_decision_that_finds_somebody_leaves_no_name_beside_the_erasure(
    worker: Worker, crowd: Backend, hold: Hold
) -> None:
    name = CROWD[0]
    finding = begun(worker, crowd, "identification")
    with ThreadPoolExecutor(1) as threads:
        with hold(name, deciding(worker, finding, matching(finding, name))):
            erased = threads.submit(with_connection, erasure.erase_subject, worker.deciding, crowd.tenant, name)
            wait([erased], A_WHILE_S)
        erased.result(PATIENCE_S)
    assert rows_that_name(name) == []


@each_database
def test_a_session_that_is_made_beside_the_erasure_leaves_no_name(
    worker: Worker, crowd: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, arrived, go_on = CROWD[0], threading.Event(), threading.Event()
    forget_subject = lockout.forget_subject

    def forget_late(*args: Any) -> None:
        forget_subject(*args)
        arrived.set()
        assert go_on.wait(PATIENCE_S)

    monkeypatch.setattr(lockout, "forget_subject", forget_late)
    with ThreadPoolExecutor(2) as threads:
        erased = threads.submit(with_connection, erasure.erase_subject, worker.deciding, crowd.tenant, name)
        try:
            assert arrived.wait(PATIENCE_S)
            request = asked("authentication", name)
            made = threads.submit(with_connection, lifecycle.create, worker.deciding, crowd.tenant, request, None)
            wait([made], A_WHILE_S)
        finally:
            go_on.set()
        erased.result(PATIENCE_S)
        with pytest.raises(SubjectNotFound):
            made.result(PATIENCE_S)
    assert rows_that_name(name) == []
