"""Which jobs a tenant may read and change, by the scopes of its key."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db.models import QuerySet

from jobs.kinds import catalogue
from jobs.models import Job
from jobs.problems import JobNotFound, ScopeMissing
from tenants.models import Tenant
from tenants.scopes import Scope, in_order
from vocabulary.jobs import JobStatus, JobType

Scopes = frozenset[Scope]


def scope_of(type_: str) -> Scope:
    """The scope that opens jobs of the type; ADMIN for those that no key can ask for."""
    kind = catalogue().get(JobType(type_))
    return Scope.ADMIN if kind is None or kind.scope is None else kind.scope


def readable_types(scopes: Scopes) -> Iterable[JobType]:
    return [one for one in JobType if Scope.READ in scopes or scope_of(one) in scopes]


def jobs_of(tenant: Tenant, scopes: Scopes, status: JobStatus | None, type_: JobType | None) -> QuerySet[Job]:
    """The tenant's jobs that the scopes may read; None: of every status, of every type."""
    found = Job.objects.filter(tenant=tenant, type__in=readable_types(scopes))
    if status is not None:
        found = found.filter(status=status)
    return found if type_ is None else found.filter(type=type_)


def find_to_read(tenant: Tenant, scopes: Scopes, job_id: uuid.UUID) -> Job:
    """Raises JobNotFound and ScopeMissing."""
    return _find(tenant, scopes, job_id, [Scope.READ])


def find_to_change(tenant: Tenant, scopes: Scopes, job_id: uuid.UUID) -> Job:
    """Raises JobNotFound and ScopeMissing."""
    return _find(tenant, scopes, job_id, [])


def _find(tenant: Tenant, scopes: Scopes, job_id: uuid.UUID, also: list[Scope]) -> Job:
    job = Job.objects.filter(tenant=tenant, public_id=job_id, type__in=list(JobType)).first()
    if job is None:
        raise JobNotFound(f"there is no job {job_id}")
    enough = {scope_of(job.type), *also}
    if not scopes & enough:
        raise ScopeMissing(job.type, in_order(enough))
    return job
