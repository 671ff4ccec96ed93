"""Enrolment from pictures, without a session: those of one tenant that wait at the same time share a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from database.calls import DatabaseThreads
from gallery.enrolling.many import Enrolment, Outcome, enroll_many
from gallery.matching import Gallery
from gallery.models import Template
from gallery.people import EnrollmentRules, GalleryError
from tenants.models import Tenant
from wire.errors import Unavailable

MAX_TOGETHER = 32
"""Most people of one transaction: others, who wait for the tenant's lock, wait as long as for a part of an import."""

_Line = tuple[int, str]
"""The tenant's primary key, and the embedder that serves it."""


@dataclass(eq=False, slots=True)
class _Waiting:
    tenant: Tenant
    gallery: Gallery
    rules: EnrollmentRules
    person: Enrolment
    outcome: asyncio.Future[Outcome] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class EnrolmentLines:
    """Enrolments of one worker. Whoever comes while a transaction of the tenant is in work goes with the next one;
    nobody waits for company. A tenant takes one database thread, however many it enrols. Used on the event loop only.
    """

    def __init__(self, database: DatabaseThreads) -> None:
        self._database = database
        self._waiting: dict[_Line, list[_Waiting]] = {}
        """Those who wait for the next transaction of a line, while one is in work."""
        self._serving: set[asyncio.Task[None]] = set()

    async def enroll(
        self, tenant: Tenant, gallery: Gallery, rules: EnrollmentRules, person: Enrolment
    ) -> list[Template]:
        """Do as `enroll_many` for one person, and return when that is committed. Raises GalleryError, OtherModel,
        KeysUnavailable and Unavailable."""
        line, mine = (tenant.pk, gallery.model_id), _Waiting(tenant, gallery, rules, person)
        if line in self._waiting:
            self._waiting[line].append(mine)
        else:
            self._waiting[line] = [mine]
            task = asyncio.create_task(self._serve(line))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        outcome = await mine.outcome
        if isinstance(outcome, GalleryError):
            raise outcome
        return outcome.templates

    async def _serve(self, line: _Line) -> None:
        """Enrol everybody in the line: a task of its own, so that nobody depends on the connection of another."""
        try:
            while batch := self._next(line):
                await self._enroll(batch)
        finally:
            for one in self._waiting.pop(line):
                one.outcome.cancel()

    def _next(self, line: _Line) -> list[_Waiting]:
        """Take the next batch, in which each person is named once, out of the line."""
        waiting = [one for one in self._waiting[line] if not one.outcome.done()]
        batch: dict[str, _Waiting] = {}
        for one in waiting:
            if len(batch) < MAX_TOGETHER:
                batch.setdefault(one.person.subject_id, one)
        taken = list(batch.values())
        self._waiting[line] = [one for one in waiting if one not in taken]
        return taken

    async def _enroll(self, batch: Sequence[_Waiting]) -> None:
        """Enrol a batch, and answer everybody. After an error that may be due to one of them each goes alone. An outage
        is everybody's: whether the commit was carried out may be unknown, so nothing is repeated."""
        first, people = batch[0], [one.person for one in batch]
        try:
            outcomes = await self._database.run(enroll_many, first.tenant, people, first.gallery, first.rules)
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, Unavailable):
                for one in batch:
                    await self._enroll([one])
                return
            for one in batch:
                if not one.outcome.done():
                    one.outcome.set_exception(error)
        else:
            for one, outcome in zip(batch, outcomes, strict=True):
                if not one.outcome.done():  # Unless the client has gone.
                    one.outcome.set_result(outcome)
        finally:
            for one in batch:
                one.outcome.cancel()  # Without effect on those who were answered.
