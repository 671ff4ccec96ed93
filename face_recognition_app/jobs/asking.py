"""Jobs that a tenant asks for with a key: which it may have, and what the same request gives once more."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from jobs.access import Scopes
from jobs.kinds import Kind, catalogue
from jobs.models import Job
from jobs.problems import IdempotencyConflict, InvalidJob, ScopeMissing
from jobs.submitting import NewJob, submit
from tenants.models import Tenant
from vocabulary.jobs import FOR_TESTS


def ask(tenant: Tenant, scopes: Scopes, new: NewJob, *, in_production: bool) -> Job:
    """Accept a job, or return the one that the same key has made before.

    Raises InvalidJob, ScopeMissing and IdempotencyConflict.
    """
    _check(scopes, new, in_production)
    if not new.idempotency_key:
        return submit(tenant, replace(new, idempotency_key=None))
    digest = _digest(new)
    job = submit(tenant, replace(new, idempotency_key=_stored(new.idempotency_key), request_digest=digest))
    if job.request_digest != digest:
        raise IdempotencyConflict("this Idempotency-Key was used with another request")
    return job


def _check(scopes: Scopes, new: NewJob, in_production: bool) -> Kind:
    kind = catalogue().get(new.type)
    if kind is None:
        raise InvalidJob(f"type: this version does no job {new.type}")
    if new.type in FOR_TESTS and in_production:
        raise InvalidJob(f"type: a job {new.type} is for tests, and not accepted in production")
    if kind.of_tenant == "never" or kind.scope is None:
        raise InvalidJob(f"type: the service makes jobs {new.type} itself, and its operator; no key can ask for one")
    if kind.scope not in scopes:
        raise ScopeMissing(new.type, [kind.scope])
    return kind


def _stored(key: str) -> str:
    """A form in which no client's key is one that the service uses itself."""
    return f"asked:{hashlib.sha256(key.encode()).hexdigest()}"


def _digest(new: NewJob) -> str:
    run_at = None if new.run_at is None else new.run_at.isoformat()
    asked = json.dumps([new.type, new.priority, new.payload, run_at], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()
