"""Strangers cannot lock a person out of a known device, and their attempts stay bounded."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from core.types import Embedding
from gallery.people import delete_subject
from recognition.models import KnownDevice
from recognition.sessions import known_devices, lifecycle, lockout
from recognition.sessions.lease import AlreadyDecided, Lease
from recognition.sessions.refusals import AttemptsExceeded
from recognition.sessions.state import CANCELLATION, Outcome
from recognition.worker import Worker
from tests.recognition.conftest import Configure
from tests.recognition.failing import LIMIT, LOCK_S, NO_MATCH, Clock, begun, counted, fail, locked, matched, succeed
from tests.recognition.support import Backend, asked, side_by_side
from vocabulary.sessions import Reason

PHONE = "alices-phone"
ADDRESSES = ["203.0.113.7", "203.0.113.8", "2001:db8::1", ""]
GIVEN_UP = [CANCELLATION, Outcome(False, Reason.TIMEOUT, None, None)]


def attack(worker: Worker, backend: Backend, rng: random.Random, rounds: int) -> int:
    """Rounds of strangers who claim to be alice on any device but her phone; returns the number admitted."""
    heard = 0
    for number in range(rounds):
        device_id = rng.choice(["", "kiosk", f"stranger-{number}", "ALICES-PHONE-2"])
        try:
            connection = begun(worker, backend, device_id=device_id, host=rng.choice(ADDRESSES))
            decision = lifecycle.decide(worker.deciding, connection, rng.choice([NO_MATCH, *GIVEN_UP]))
            heard += decision.reason == "no_match"
        except (AttemptsExceeded, AlreadyDecided):
            continue
    return heard


@pytest.mark.parametrize("seed", range(5))
def test_nobody_locks_out_who_is_known_on_a_device(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding, seed: int
) -> None:
    assert succeed(worker, alice, astronaut_embedding, device_id=PHONE).success
    attack(worker, alice, random.Random(seed), 60)
    assert locked(alice, "alice")
    at_home = lifecycle.create(
        worker.deciding, alice.tenant, asked("authentication", "alice", device_id=PHONE), None
    ).session
    connection = lifecycle.connect(worker.deciding, at_home, host=ADDRESSES[0])
    assert lifecycle.decide(worker.deciding, connection, matched(connection, astronaut_embedding)).success
    assert locked(alice, "alice"), "a success at home must not give strangers their attempts anew"


@pytest.mark.parametrize("seed", range(5))
def test_strangers_are_heard_a_bounded_number_of_times(worker: Worker, alice: Backend, clock: Clock, seed: int) -> None:
    assert attack(worker, alice, random.Random(seed), 80) <= LIMIT * lockout.SOURCES_PER_SUBJECT


def test_one_subject_from_a_new_device_each_time_is_locked_on_all_that_are_new(worker: Worker, alice: Backend) -> None:
    for number in range(LIMIT * lockout.SOURCES_PER_SUBJECT):
        assert not locked(alice, "alice", "another")
        fail(worker, alice, device_id=f"device-{number}")
    with pytest.raises(AttemptsExceeded):
        begun(worker, alice, device_id="another")


def test_a_stranger_on_one_device_locks_that_device_before_the_subject(worker: Worker, alice: Backend) -> None:
    fail(worker, alice, LIMIT, device_id="laptop")
    assert locked(alice, "alice", "laptop")
    begun(worker, alice, device_id="another")
    begun(worker, alice)


def test_a_known_device_is_held_back_by_what_fails_there(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding
) -> None:
    succeed(worker, alice, astronaut_embedding, device_id=PHONE)
    fail(worker, alice, LIMIT - 1, device_id=PHONE, host=ADDRESSES[0])
    assert counted() == {("device", PHONE): LIMIT - 1}, "at home nothing else is counted"
    fail(worker, alice, device_id=PHONE)
    with pytest.raises(AttemptsExceeded):
        begun(worker, alice, device_id=PHONE)
    begun(worker, alice, device_id="tablet")


def test_a_device_is_known_for_who_succeeded_there_and_no_one_else(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding, rival: Backend
) -> None:
    succeed(worker, alice, astronaut_embedding, device_id=PHONE)
    assert known_devices.is_known(alice.tenant, "alice", PHONE)
    assert known_devices.is_known(alice.tenant, "", PHONE)
    assert not known_devices.is_known(alice.tenant, "bob", PHONE)
    assert not known_devices.is_known(rival.tenant, "alice", PHONE)
    assert not known_devices.is_known(rival.tenant, "", PHONE)


def test_a_failure_makes_no_device_known(worker: Worker, alice: Backend) -> None:
    fail(worker, alice, device_id=PHONE)
    assert not KnownDevice.across_tenants.exists()


def test_an_identification_makes_its_device_known_for_who_was_found(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding
) -> None:
    assert succeed(worker, alice, astronaut_embedding, kind="identification", device_id="kiosk").success
    assert known_devices.devices_of(alice.tenant, "alice") == ["kiosk"]


@pytest.mark.parametrize("spelling", ["DEV1", "Dev1", "dev1"])
def test_a_device_has_one_counter_however_it_is_written(worker: Worker, alice: Backend, spelling: str) -> None:
    fail(worker, alice, 2, kind="identification", device_id="dev1")
    fail(worker, alice, LIMIT - 2, kind="identification", device_id="DEV1")
    assert locked(alice, device_id=spelling)


@pytest.mark.parametrize(
    ("one", "other"), [("DEV1", "dev1"), (" dev1\t", "dev1"), ("Caf\u00e9", "cafe\u0301"), ("STRASSE", "straße")]
)
def test_spellings_of_one_device(one: str, other: str) -> None:
    assert known_devices.device_key(one) == known_devices.device_key(other)


def test_ids_of_subjects_are_the_tenants_own_and_differ_by_case(worker: Worker, alice: Backend) -> None:
    fail(worker, alice, LIMIT, kind="enrollment", subject_id="Bob")
    assert locked(alice, "Bob")
    assert not locked(alice, "bob")


def test_the_devices_of_a_subject_are_few_and_the_latest(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding, clock: Clock
) -> None:
    limit = known_devices.DEVICES_PER_SUBJECT
    for number in (*range(limit), 0, limit):
        clock.advance(1)
        succeed(worker, alice, astronaut_embedding, device_id=f"device-{number:02}")
    assert known_devices.devices_of(alice.tenant, "alice") == [
        f"device-{number:02}" for number in range(limit + 1) if number != 1
    ]


def test_a_device_is_forgotten_with_its_subject(worker: Worker, alice: Backend, astronaut_embedding: Embedding) -> None:
    succeed(worker, alice, astronaut_embedding, device_id=PHONE)
    delete_subject(alice.tenant, "alice")
    assert not KnownDevice.across_tenants.exists()


def test_many_addresses_of_one_network_are_one(worker: Worker, alice: Backend) -> None:
    limit = LIMIT * lockout.PEOPLE_PER_ADDRESS
    for number in range(limit):
        fail(worker, alice, kind="identification", host=f"2001:db8::{number:x}")
    refused = lifecycle.create(worker.deciding, alice.tenant, asked("identification"), None).session
    with pytest.raises(AttemptsExceeded):
        lifecycle.connect(worker.deciding, refused, host="2001:db8::ffff")
    lifecycle.connect(worker.deciding, refused, host="2001:db8:0:1::1")


def test_an_address_is_slowed_down_and_then_locked(
    worker: Worker, alice: Backend, configure: Configure, clock: Clock
) -> None:
    worker = configure(attempts_address_limit=4)
    told = []
    for _ in range(4):
        fail(worker, alice, kind="identification", host="203.0.113.7")
        session = lifecycle.create(worker.deciding, alice.tenant, asked("identification"), None).session
        try:
            lifecycle.connect(worker.deciding, session, host="203.0.113.7")
            told.append(0)
        except AttemptsExceeded as refusal:
            told.append(refusal.details["retry_after_s"])
    assert told == [0, 2, 4, LOCK_S]


def test_a_locked_address_leaves_the_session_to_another(worker: Worker, alice: Backend, configure: Configure) -> None:
    worker = configure(attempts_address_limit=1)
    begun_before = begun(worker, alice, "identification", host="203.0.113.7")
    fail(worker, alice, kind="identification", host="203.0.113.7")
    session = lifecycle.create(worker.deciding, alice.tenant, asked("identification"), None).session
    with pytest.raises(AttemptsExceeded):
        lifecycle.connect(worker.deciding, session, host="203.0.113.7")
    lifecycle.connect(worker.deciding, session, host="203.0.113.8")
    assert lifecycle.decide(worker.deciding, begun_before, NO_MATCH).reason == "attempts_exceeded"


def test_an_address_belongs_to_one_tenant(worker: Worker, alice: Backend, rival: Backend, configure: Configure) -> None:
    worker = configure(attempts_address_limit=1)
    fail(worker, alice, kind="identification", host="203.0.113.7")
    begun(worker, rival, "identification", host="203.0.113.7")


def test_identifications_of_a_tenant_have_a_rate(
    worker: Worker, alice: Backend, configure: Configure, clock: Clock
) -> None:
    worker = configure(identification_failures_per_min=3)
    for number in range(3):
        fail(worker, alice, kind="identification", host=f"203.0.113.{number}")
        clock.advance(5)
    with pytest.raises(AttemptsExceeded) as caught:
        begun(worker, alice, "identification")
    assert caught.value.retry_after_ms == 45_000
    begun(worker, alice, "authentication")
    clock.advance(45)
    fail(worker, alice, kind="identification")
    with pytest.raises(AttemptsExceeded):
        begun(worker, alice, "identification", "new-kiosk")


def test_a_kiosk_where_people_are_recognised_is_not_held_up_by_strangers_elsewhere(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding, configure: Configure
) -> None:
    worker = configure(identification_failures_per_min=3)
    succeed(worker, alice, astronaut_embedding, kind="identification", device_id="kiosk")
    fail(worker, alice, 3, kind="identification")
    assert succeed(worker, alice, astronaut_embedding, kind="identification", device_id="kiosk").success


def test_of_many_identifications_at_once_no_more_are_heard_than_the_rate(alice: Backend, configure: Configure) -> None:
    worker = configure(identification_failures_per_min=4)
    connections = [begun(worker, alice, "identification") for _ in range(10)]

    def deciding(connection: Lease) -> Callable[[], str]:
        return lambda: lifecycle.decide(worker.deciding, connection, NO_MATCH).reason

    reasons = side_by_side([deciding(connection) for connection in connections])
    assert sorted(map(str, reasons)) == ["attempts_exceeded"] * 6 + ["no_match"] * 4


def test_a_session_that_was_opened_beside_others_cannot_succeed_after_the_rate(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding, configure: Configure
) -> None:
    worker = configure(identification_failures_per_min=2)
    beside = begun(worker, alice, "identification")
    fail(worker, alice, 2, kind="identification")
    decision = lifecycle.decide(worker.deciding, beside, matched(beside, astronaut_embedding))
    assert (decision.success, decision.reason) == (False, "attempts_exceeded")


def test_nothing_of_an_address_outlasts_its_session(worker: Worker, alice: Backend) -> None:
    connection = begun(worker, alice, host="203.0.113.7")
    connection.session.refresh_from_db()
    assert len(connection.session.address) == 64
    lifecycle.decide(worker.deciding, connection, NO_MATCH)
    connection.session.refresh_from_db()
    assert connection.session.address == ""


def test_an_identification_without_a_device_or_an_address_is_counted_for_the_tenant(
    worker: Worker, alice: Backend
) -> None:
    fail(worker, alice, 2, kind="identification")
    assert counted() == {("tenant", ""): 2}
