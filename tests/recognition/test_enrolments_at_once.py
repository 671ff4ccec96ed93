"""Enrolments that wait at the same time share a transaction; each has its own answer and entry in the audit trail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection

from audit.models import AuditEntry
from audit.verification import verify
from core.types import Embedding
from database.calls import DatabaseThreads
from gallery.enrolling.many import Enrolment, Outcome, enroll_many
from gallery.matching import Gallery
from gallery.models import Consent, Subject, Template
from gallery.people import MAX_TEMPLATES
from gallery.records.consents import GivenConsent
from logs import request_id
from recognition import enrolment
from recognition.enrolment import MAX_TOGETHER, EnrolmentLines
from tenants.models import Tenant
from testkit.patience import PATIENCE_S
from tests.gallery.faces import RULES, face, samples, search
from tests.gallery.workers import gallery_of
from vocabulary.audit import AuditKind
from vocabulary.errors import ServiceError

CONSENT = GivenConsent("terms", "1", "rest")
THREADS = 4


@dataclass
class Door:
    """Lines to enrol through. `batches`: the people of each transaction so far."""

    tenant: Tenant
    gallery: Gallery
    threads: DatabaseThreads
    lines: EnrolmentLines
    batches: list[list[str]] = field(default_factory=list)

    async def enroll(self, person: Enrolment, tenant: Tenant | None = None) -> str:
        """Enrol as a request of its own, whose id is the person's; the number of templates, or the refusal's code."""
        request_id.current.set(f"request-{person.subject_id}")
        asked = Enrolment(person.subject_id, person.samples, consent=person.consent)
        try:
            return str(len(await self.lines.enroll(tenant or self.tenant, self.gallery, RULES, asked)))
        except ServiceError as refusal:
            return str(refusal.code)

    async def enroll_all(self, people: Sequence[Enrolment]) -> list[str]:
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.gather(*(self.enroll(person) for person in people))

    async def ask(self, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        return await self.threads.run(function, *args, **named)


@pytest.fixture
async def door(each_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    threads = DatabaseThreads(THREADS)
    tenant = await threads.run(Tenant.objects.create, name="acme")
    door = Door(tenant, gallery_of(tmp_path, "exact"), threads, EnrolmentLines(threads))

    def counted(of: Tenant, people: Sequence[Enrolment], *more: Any) -> list[Outcome]:
        door.batches.append([person.subject_id for person in people])
        return enroll_many(of, people, *more)

    monkeypatch.setattr(enrolment, "enroll_many", counted)
    yield door
    together = threading.Barrier(THREADS)

    def leave() -> None:
        together.wait(PATIENCE_S)
        connection.close()

    await asyncio.gather(*(threads.run(leave) for _ in range(THREADS)))
    threads.close()


def of(subject_id: str, *seeds: int, consent: GivenConsent | None = None) -> Enrolment:
    return Enrolment(subject_id, samples(*(face(seed) for seed in seeds)), consent=consent)


async def test_who_comes_alone_goes_alone_and_who_waits_together_goes_together(door: Door) -> None:
    assert await door.enroll(of("early", 0)) == "1"
    people = [of(f"p{number}", number) for number in range(1, 9)]
    assert await door.enroll_all(people) == ["1"] * 8
    assert door.batches == [["early"], [person.subject_id for person in people]]
    for number in range(1, 9):
        found = await door.ask(search, door.gallery, door.tenant, face(number), 1)
        assert [one.subject_id for one in found] == [f"p{number}"]


async def test_who_comes_while_a_transaction_is_in_work_goes_with_the_next(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = hold(door, monkeypatch)
    first = asyncio.create_task(door.enroll(of("first", 0)))
    await held.until_begun()
    others = [asyncio.create_task(door.enroll(of(f"p{number}", number))) for number in range(1, 4)]
    await asyncio.sleep(0)
    held.end.set()
    async with asyncio.timeout(PATIENCE_S):
        assert await asyncio.gather(first, *others) == ["1"] * 4
    assert door.batches == [["first"], ["p1", "p2", "p3"]]


async def test_each_is_recorded_once_with_the_request_that_asked(door: Door) -> None:
    await door.enroll_all([of(f"p{number}", number) for number in range(6)])
    told = await door.ask(_recorded, door.tenant)
    assert sorted(told) == [(f"p{number}", f"request-p{number}") for number in range(6)]


async def test_each_gets_its_own_answer(door: Door) -> None:
    people = [
        of("first", 1),
        of("anna", 2, consent=CONSENT),
        of("double", 2),
        of("no.way/", 3),
        of("crowd", *[4] * (MAX_TEMPLATES + 1)),
        of("double-of-first", 1),
        of("bert", 5),
    ]
    told = await door.enroll_all(people)
    bad = ["duplicate_face", "invalid_subject_id", "too_many_templates", "duplicate_face"]
    assert told == ["1", "1", *bad, "1"]
    assert await door.ask(_enrolled, door.tenant) == ["anna", "bert", "first"]
    consents = await door.ask(lambda: list(Consent.across_tenants.values_list("subject__subject_id", flat=True)))
    assert consents == ["anna"]


async def test_of_one_face_at_once_the_first_wins(door: Door) -> None:
    told = await door.enroll_all([of(f"p{number}", 7) for number in range(12)])
    assert told == ["1", *["duplicate_face"] * 11]
    assert await door.ask(_enrolled, door.tenant) == ["p0"]


async def test_who_is_named_several_times_is_enrolled_one_after_the_other(door: Door) -> None:
    told = await door.enroll_all([of("anna", 1), of("bert", 2), of("anna", 1), of("anna", 9)])
    assert told == ["1", "1", "1", "different_face"]
    assert all(len(set(batch)) == len(batch) for batch in door.batches)
    assert await door.ask(_enrolled, door.tenant) == ["anna", "anna", "bert"]


async def test_a_transaction_has_a_limit(door: Door) -> None:
    people = [of(f"p{number}", number) for number in range(MAX_TOGETHER + 5)]
    assert await door.enroll_all(people) == ["1"] * len(people)
    assert max(map(len, door.batches)) <= MAX_TOGETHER


async def test_the_policy_counts_as_it_is_now_and_not_as_the_first_of_them_has_read_it(door: Door) -> None:
    stale = await door.ask(Tenant.objects.get, pk=door.tenant.pk)
    await door.ask(Tenant.objects.filter(pk=door.tenant.pk).update, consent_required=True)
    fresh = await door.ask(Tenant.objects.get, pk=door.tenant.pk)
    async with asyncio.timeout(PATIENCE_S):
        told = await asyncio.gather(
            door.enroll(of("early", 1), stale),
            door.enroll(of("anna", 2), fresh),
            door.enroll(of("bert", 3, consent=CONSENT), fresh),
        )
    assert list(told) == ["consent_required", "consent_required", "1"]


async def test_a_defect_at_one_person_is_nothing_to_the_others(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [of(f"p{number}", number) for number in range(5)]
    bad = people[3].samples[0].embedding
    protect = door.gallery.protection.protect

    def faulty(embeddings: Sequence[Embedding], tenant: Tenant) -> Any:
        if any(one is bad for one in embeddings):
            raise ZeroDivisionError("a defect")
        return protect(embeddings, tenant)

    monkeypatch.setattr(door.gallery.protection, "protect", faulty)
    async with asyncio.timeout(PATIENCE_S):
        told = await asyncio.gather(*(door.enroll(person) for person in people), return_exceptions=True)
    assert [isinstance(one, ZeroDivisionError) for one in told] == [False, False, False, True, False]
    assert await door.ask(_enrolled, door.tenant) == ["p0", "p1", "p2", "p4"]
    assert len(await door.ask(_recorded, door.tenant)) == 4


async def test_an_outage_is_told_to_everybody_and_repeats_and_stores_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("the database is gone")

    people = [of(f"p{number}", number) for number in range(5)]
    with monkeypatch.context() as patched:
        patched.setattr(door.gallery.store, "add", away)
        assert await door.enroll_all(people) == ["unavailable"] * 5
    assert sum(map(len, door.batches)) == 5
    assert await door.ask(_enrolled, door.tenant) == []
    assert await door.enroll_all(people) == ["1"] * 5


async def test_a_client_that_goes_away_holds_up_nobody(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    held = hold(door, monkeypatch)
    first = asyncio.create_task(door.enroll(of("first", 1)))
    await held.until_begun()
    second, third = (asyncio.create_task(door.enroll(of(name, seed))) for name, seed in (("second", 2), ("third", 3)))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    await asyncio.wait([first, second])
    held.end.set()
    async with asyncio.timeout(PATIENCE_S):
        assert await third == "1"
    assert await door.ask(_enrolled, door.tenant) == ["first", "third"]


async def test_a_slow_tenant_holds_up_no_other(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    other = await door.ask(Tenant.objects.create, name="other")
    held = hold(door, monkeypatch)
    waiting = [asyncio.create_task(door.enroll(of(f"p{number}", number))) for number in range(2 * THREADS)]
    await held.until_begun()
    async with asyncio.timeout(PATIENCE_S):
        assert await door.enroll(of("anna", 1), other) == "1"
        held.end.set()
        assert await asyncio.gather(*waiting) == ["1"] * len(waiting)


@dataclass
class Held:
    """Enrolments of the door's tenant that wait until the end."""

    begun: threading.Event = field(default_factory=threading.Event)
    end: threading.Event = field(default_factory=threading.Event)

    async def until_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, PATIENCE_S)


def hold(door: Door, monkeypatch: pytest.MonkeyPatch) -> Held:
    held, refresh = Held(), door.gallery.store.refresh

    def slow(tenant: Tenant) -> None:
        if tenant.pk == door.tenant.pk:
            held.begun.set()
            assert held.end.wait(PATIENCE_S)
        refresh(tenant)

    monkeypatch.setattr(door.gallery.store, "refresh", slow)
    return held


def _enrolled(tenant: Tenant) -> list[str]:
    """The person of each template."""
    found = Template.objects.filter(tenant=tenant).order_by("subject__subject_id")
    return list(found.values_list("subject__subject_id", flat=True))


def _recorded(tenant: Tenant) -> list[tuple[str, str]]:
    """Each enrolment's person and request id in the audit trail, which holds."""
    names = {one.reference.hex: one.subject_id for one in Subject.objects.filter(tenant=tenant) if one.reference}
    assert not verify(tenant.pk).fault
    entries = AuditEntry.objects.filter(tenant=tenant, kind=AuditKind.ENROLLED)
    return [(names[entry.reference], entry.request_id) for entry in entries]
