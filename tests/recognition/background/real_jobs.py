"""What a process with a data directory of its own asks for, and is told, beside a real worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from audit.actor import acting
from audit.models import AuditEntry
from config.service import service_settings
from database import clock
from gallery.models import Subject, Template
from gallery.people import create_subject
from jobs.kinds import catalogue
from jobs.models import Job
from recognition.preparation import prepare
from tenants.models import Tenant
from tests.gallery.faces import face, picture
from tests.recognition.background.doing import KEY, asked, gallery
from tests.recognition.background.sessions import ended
from vocabulary.jobs import FINISHED, FOR_TESTS, JobType

PEOPLE = 210
OF_OTHERS = {JobType.BULK_ENROLL, JobType.DELIVER_WEBHOOK}
"""They have tests of their own."""
ABOUT_BOB: dict[JobType, dict[str, Any]] = {
    JobType.EXPORT_SUBJECT: {"subject_id": "p7"},
    JobType.ERASE_SUBJECT: {"subject_id": "p8"},
}


def ask_for_every_kind() -> list[str]:
    """Make a tenant with people and sessions, and ask for a job of every kind."""
    prepare(service_settings(), lambda line: None)
    Tenant.objects.all().delete()
    tenant = Tenant.objects.create(name="acme")
    _enrol(tenant)
    for days in (1, 2):
        ended(tenant, clock.now() - timedelta(days=days), metadata={"presentation": "bona_fide"})
    Tenant.objects.update(created_at=clock.now() - timedelta(days=2))
    wanted = catalogue().keys() - FOR_TESTS - OF_OTHERS
    for type_ in sorted(wanted):
        of_tenant = catalogue()[type_].of_tenant != "never"
        asked(tenant if of_tenant else None, type_, **ABOUT_BOB.get(type_, {}))
    return sorted(wanted)


def _enrol(tenant: Tenant) -> None:
    own = gallery()
    with acting(KEY):
        create_subject(tenant, "q7", {})
    Subject.objects.bulk_create(Subject(tenant=tenant, subject_id=f"p{n}") for n in range(PEOPLE))
    rows = {row.subject_id: row for row in Subject.objects.filter(tenant=tenant)}
    people = [*(rows[f"p{n}"] for n in range(PEOPLE)), rows["q7"]]
    vectors = own.protection.protect([*map(face, range(PEOPLE)), picture(face(7), 0.7)], tenant)
    Template.objects.bulk_create(
        Template(tenant=tenant, subject=row, model_id=own.model_id, vector=vector)
        for row, vector in zip(people, vectors, strict=True)
    )


def begun() -> bool:
    return Job.across_tenants.filter(runs__gt=0).exists()


def all_have_ended() -> bool:
    return not Job.across_tenants.exclude(status__in=FINISHED).exists()


def results() -> dict[str, Any]:
    """By the type of those that were asked for, not of what the scheduler has made."""
    rows = Job.across_tenants.filter(actor__kind=KEY.kind)
    return {
        row.type: {"status": row.status, "result": row.result, "error": row.error, "done": row.done, "total": row.total}
        for row in rows
    }


def actors_of_the_trail() -> dict[str, list[str]]:
    """Kind and name of the actor of each kind of entry that a job has made."""
    rows = AuditEntry.across_tenants.exclude(kind__in=["tenant_created", "subject_created", "retention"])
    return {row.kind: [row.actor_kind, row.actor_name] for row in rows}
