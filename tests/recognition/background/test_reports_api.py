"""Reports of jobs over REST."""

from __future__ import annotations

import uuid
from dataclasses import replace

import httpx
import pytest

from audit.models import AuditEntry
from core.types import Embedding
from gallery.people import Sample
from jobs.models import Job
from recognition.retention.erasure import erase_subject
from recognition.worker import Worker
from tenants.keys import issue_key
from tenants.scopes import Scope
from tests.enrolling import enroll
from tests.recognition.api.test_api import error_of
from tests.recognition.background.doing import asked, finished
from tests.recognition.support import Backend, http_client, in_database
from vocabulary.jobs import JobStatus, JobType


def done(backend: Backend, type_: JobType, **payload: str) -> Job:
    job = finished(asked(backend.tenant, type_, **payload))
    assert job.status == JobStatus.SUCCEEDED, job.error
    return job


def path_of(job: Job) -> str:
    return f"/api/v1/jobs/{job.public_id}/report/"


@pytest.fixture
async def export(worker: Worker, alice: Backend) -> Job:
    job: Job = await in_database(worker, lambda: done(alice, JobType.EXPORT_SUBJECT, subject_id="alice"))
    return job


@pytest.fixture
async def duplicates(worker: Worker, alice: Backend, astronaut_embedding: Embedding) -> Job:
    """Alice under three names."""
    deciding = worker.deciding

    def make() -> Job:
        rules = replace(deciding.rules, duplicate_check=False)
        for name in ("alice-2", "alice-3"):
            enroll(alice.tenant, name, [Sample(astronaut_embedding, 1.0)], deciding.gallery, rules)
        return done(alice, JobType.FIND_DUPLICATES)

    job: Job = await in_database(worker, make)
    return job


def newest() -> AuditEntry:
    found: AuditEntry = AuditEntry.across_tenants.order_by("-pk")[0]
    return found


async def test_an_exported_person_is_answered_and_recorded(api: httpx.AsyncClient, worker: Worker, export: Job) -> None:
    answer = await api.get(path_of(export))
    assert answer.status_code == 200
    told = answer.json()
    assert (told["subject"]["subject_id"], len(told["templates"])) == ("alice", 1)
    entry = await in_database(worker, newest)
    assert (entry.kind, entry.details, entry.actor_kind) == ("subject_exported", {"job": str(export.public_id)}, "key")
    assert entry.reference == told["subject"]["reference"]


async def test_pairs_are_answered_without_who_was_erased(
    api: httpx.AsyncClient, worker: Worker, alice: Backend, duplicates: Job
) -> None:
    pairs = (await api.get(path_of(duplicates))).json()["pairs"]
    names = [["alice", "alice-2"], ["alice", "alice-3"], ["alice-2", "alice-3"]]
    assert sorted(sorted(pair["subjects"]) for pair in pairs) == names
    assert all(pair["similarity"] >= pair["threshold"] for pair in pairs)
    recorded = await in_database(worker, lambda: AuditEntry.across_tenants.filter(kind="duplicate_found").count())
    assert recorded == 6, "three that were found, and three that were read"
    await in_database(worker, erase_subject, worker.deciding, alice.tenant, "alice-2")
    (pair,) = (await api.get(path_of(duplicates))).json()["pairs"]
    assert set(pair["subjects"]) == {"alice", "alice-3"}


async def test_who_may_read_a_report(worker: Worker, alice: Backend, export: Job, duplicates: Job) -> None:
    may = {Scope.SUBJECTS: (200, 403), Scope.READ: (200, 200), Scope.ADMIN: (200, 200), Scope.FACES: (403, 403)}
    for scope, expected in may.items():
        key = await in_database(worker, issue_key, alice.tenant, "some", [scope])
        async with http_client(key.text) as client:
            answers = [await client.get(path_of(job)) for job in (export, duplicates)]
        assert tuple(answer.status_code for answer in answers) == expected, scope
        for answer in answers:
            assert answer.status_code == 200 or error_of(answer) == (403, "scope_missing")


async def test_what_is_no_report_or_none_any_more_is_not_found(
    api: httpx.AsyncClient, worker: Worker, alice: Backend, export: Job
) -> None:
    receipt = await in_database(worker, lambda: done(alice, JobType.ERASE_SUBJECT, subject_id="alice"))
    for path in (path_of(receipt), path_of(export), f"/api/v1/jobs/{uuid.uuid4()}/report/"):
        assert error_of(await api.get(path)) == (404, "not_found")


async def test_the_report_of_another_tenant_is_not_found(worker: Worker, rival: Backend, export: Job) -> None:
    async with http_client(rival.key) as client:
        assert error_of(await client.get(path_of(export))) == (404, "not_found")
