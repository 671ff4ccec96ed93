"""Jobs over HTTP: asked for, done, listed, cancelled, tried again; on each database."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from django.test import override_settings
from django.utils import timezone

from audit.models import AuditEntry
from database.calls import DatabaseThreads
from jobs import changing
from jobs.kinds import catalogue
from jobs.models import DeadLetter, Job
from jobs.problems import JobOver
from jobs.submitting import NewJob, submit
from jobs.workers import deaths, execution, leases
from recognition.api.jobs.jobs import FAULT
from recognition.worker import Worker
from tenants.keys import create_tenant, issue_key
from tenants.scopes import Scope
from tests.recognition.api.test_api import error_of
from tests.recognition.support import Backend, Message, http_client, in_database, service, side_by_side, with_settings
from vocabulary.jobs import JobType

JOBS = "/api/v1/jobs/"


@pytest.fixture(autouse=True)
def kinds() -> Iterator[None]:
    catalogue.cache_clear()
    with override_settings(JOB_KINDS="tests.recognition.api.job_kinds.KINDS"):
        yield
    catalogue.cache_clear()


@pytest.fixture
def backend(each_database: str, worker: Worker) -> Iterator[Backend]:
    """A tenant, on threads that know no other database."""
    threads = DatabaseThreads(4)
    service.worker = replace(worker, database=threads)
    yield Backend(*create_tenant("acme"))
    threads.close()


@pytest.fixture
def serving(backend: Backend) -> Worker:
    assert service.worker is not None
    return service.worker


async def ask(api: httpx.AsyncClient, type_: str = "noop", headers: dict[str, str] | None = None, **fields: Any) -> Any:
    answer = await api.post(JOBS, json={"type": type_, **fields}, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def read(api: httpx.AsyncClient, job: Message) -> Message:
    answer = await api.get(f"{JOBS}{job['id']}/")
    assert answer.status_code == 200, answer.text
    told: Message = answer.json()
    return told


async def do(serving: Worker, job: Message) -> None:
    """Run the job once, as a worker does."""
    await asyncio.to_thread(execution.execute, await in_database(serving, pk_of, job))


def pk_of(job: Message) -> int:
    return Job.across_tenants.values_list("pk", flat=True).get(public_id=job["id"])


def change(job: Message, **fields: Any) -> None:
    Job.across_tenants.filter(public_id=job["id"]).update(**fields)


async def kill(serving: Worker, job: Message) -> None:
    """Let the job fail at its last try."""
    await in_database(serving, lambda: change(job, failures=3))
    await do(serving, job)


async def test_a_job_is_accepted_done_and_read(api: httpx.AsyncClient, serving: Worker) -> None:
    job = await ask(api, "sleep", payload={"seconds": 0}, priority="high")
    assert (job["type"], job["status"], job["priority"]) == ("sleep", "queued", "high")
    assert (job["progress"], job["result"], job["error"], job["tries"]) == ({"done": 0, "total": None}, None, None, 0)
    assert job["started_at"] is job["finished_at"] is job["run_at"] is None
    await do(serving, job)
    done = await read(api, job)
    assert (done["status"], done["result"], done["tries"]) == ("succeeded", {"slept_s": 0}, 1)
    assert done["created_at"] <= done["started_at"] <= done["finished_at"]


async def test_a_job_for_later_waits(api: httpx.AsyncClient) -> None:
    later = timezone.now() + timedelta(hours=1)
    assert (await ask(api, run_at=later.isoformat()))["status"] == "scheduled"
    assert (await ask(api, run_at="2001-01-01T00:00:00Z"))["status"] == "queued"


@pytest.mark.parametrize(
    ("body", "about"),
    [
        ({}, "type"),
        ({"type": "dance"}, "type"),
        ({"type": "noop", "priority": "urgent"}, "priority"),
        ({"type": "noop", "surprise": 1}, "surprise"),
        ({"type": "noop", "payload": {"surprise": 1}}, "payload.surprise"),
        ({"type": "noop", "payload": [1]}, "payload"),
        ({"type": "sleep"}, "payload.seconds"),
        ({"type": "export_subject", "payload": {"subject_id": "a\x00b"}}, "payload"),
        ({"type": "export_subject", "payload": {"subject_id": "x" * 40_000}}, "payload"),
        ({"type": "noop", "run_at": "2999-01-01T00:00:00"}, "run_at"),
        ({"type": "noop", "run_at": "0001-01-01T00:00:00+14:00"}, "run_at"),
        ({"type": "noop", "run_at": "9999-12-31T23:59:59-14:00"}, "run_at"),
        ({"type": "reembed"}, "this version does no job"),
        ({"type": "retention"}, "its operator"),
        ({"type": "deliver_webhook"}, "no key can ask"),
    ],
)
async def test_a_job_that_cannot_be_is_refused(api: httpx.AsyncClient, body: dict[str, Any], about: str) -> None:
    answer = await api.post(JOBS, json=body)
    assert error_of(answer) == (422, "validation_error")
    assert about in answer.json()["error"]["message"]
    assert (await api.get(JOBS)).json()["items"] == []


async def test_jobs_for_tests_are_refused_in_production(api: httpx.AsyncClient, serving: Worker) -> None:
    service.worker = with_settings(serving, app_env="production")
    answer = await api.post(JOBS, json={"type": "noop"})
    assert error_of(answer) == (422, "validation_error")
    assert "production" in answer.json()["error"]["message"]
    await ask(api, "calibrate")


async def test_the_same_key_gives_the_same_job_and_refuses_another(api: httpx.AsyncClient, serving: Worker) -> None:
    once = {"Idempotency-Key": "order 7"}
    sleep: dict[str, Any] = {"payload": {"seconds": 0}, "run_at": "2001-01-01T00:00:00Z"}
    job = await ask(api, "sleep", once, **sleep)
    await do(serving, job)
    again = await ask(api, "sleep", once, **sleep)
    assert (again["id"], again["status"]) == (job["id"], "succeeded")
    for other in ({"priority": "low"}, {"payload": {"seconds": 1}}, {"run_at": None}, {"type": "noop", "payload": {}}):
        answer = await api.post(JOBS, json={"type": "sleep", **sleep, **other}, headers=once)
        assert error_of(answer) == (409, "idempotency_conflict")
    assert len((await api.get(JOBS)).json()["items"]) == 1
    other_key = await ask(api, "sleep", {"Idempotency-Key": "order 8"}, **sleep)
    assert other_key["id"] != job["id"]


async def test_a_key_means_nothing_to_another_tenant_and_none_that_the_service_uses(
    api: httpx.AsyncClient, backend: Backend, serving: Worker
) -> None:
    inner = await in_database(serving, submit, backend.tenant, NewJob(JobType.NOOP, idempotency_key="outcomes"))
    once = {"Idempotency-Key": "outcomes"}
    job = await ask(api, headers=once)
    rival = await in_database(serving, lambda: Backend(*create_tenant("rival")))
    async with http_client(rival.key) as theirs:
        other = await ask(theirs, headers=once)
        assert error_of(await theirs.get(f"{JOBS}{job['id']}/")) == (404, "job_not_found")
        assert error_of(await theirs.delete(f"{JOBS}{job['id']}/")) == (404, "job_not_found")
        assert error_of(await theirs.post(f"{JOBS}{job['id']}/retry/")) == (404, "job_not_found")
        assert [one["id"] for one in (await theirs.get(JOBS)).json()["items"]] == [other["id"]]
    assert len({job["id"], other["id"], str(inner.public_id)}) == 3
    assert (await read(api, job))["status"] == "queued"


async def test_jobs_are_listed_newest_first_in_pages_and_by_status_and_type(
    api: httpx.AsyncClient, serving: Worker
) -> None:
    made = [await ask(api, "noop") for _ in range(3)] + [await ask(api, "sleep", payload={"seconds": 0})]
    await do(serving, made[0])
    found, cursor = [], ""
    while cursor is not None:
        page = (await api.get(JOBS, params={"limit": 3, **({"cursor": cursor} if cursor else {})})).json()
        found += [job["id"] for job in page["items"]]
        cursor = page["next_cursor"]
    assert found == [job["id"] for job in reversed(made)]

    async def ids(**params: str) -> list[str]:
        return [job["id"] for job in (await api.get(JOBS, params=params)).json()["items"]]

    assert await ids(status="succeeded") == [made[0]["id"]]
    assert await ids(type="sleep") == [made[3]["id"]]
    assert await ids(type="noop", status="queued") == [made[2]["id"], made[1]["id"]]
    for params in ({"status": "lost"}, {"type": "dance"}, {"limit": "0"}, {"cursor": "made up"}):
        assert error_of(await api.get(JOBS, params=params)) == (422, "validation_error")


async def test_each_type_asks_for_its_scope(api: httpx.AsyncClient, backend: Backend, serving: Worker) -> None:
    export = await ask(api, "export_subject", payload={"subject_id": "alice"})
    calibrate = await ask(api, "calibrate")

    async def key(scope: Scope) -> httpx.AsyncClient:
        return http_client((await in_database(serving, issue_key, backend.tenant, str(scope), [scope])).text)

    async with await key(Scope.SUBJECTS) as client:
        refused = await client.post(JOBS, json={"type": "calibrate"})
        assert error_of(refused) == (403, "scope_missing")
        assert refused.json()["error"]["details"] == {"needs": ["admin"]}
        assert [job["id"] for job in (await client.get(JOBS)).json()["items"]] == [export["id"]]
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "retry/")):
            answer = await client.request(method, f"{JOBS}{calibrate['id']}/{path}")
            assert error_of(answer) == (403, "scope_missing")
        await ask(client, "export_subject", payload={"subject_id": "bob"})
        assert (await client.delete(f"{JOBS}{export['id']}/")).json()["status"] == "cancelled"
    async with await key(Scope.READ) as client:
        assert len((await client.get(JOBS)).json()["items"]) == 3
        assert (await read(client, calibrate))["id"] == calibrate["id"]
        assert error_of(await client.delete(f"{JOBS}{calibrate['id']}/")) == (403, "scope_missing")
        assert error_of(await client.post(JOBS, json={"type": "noop"})) == (403, "scope_missing")
    async with await key(Scope.FACES) as client:
        assert error_of(await client.get(JOBS)) == (403, "scope_missing")


async def test_a_job_that_waits_is_cancelled_at_once_and_not_done(api: httpx.AsyncClient, serving: Worker) -> None:
    later = (timezone.now() + timedelta(hours=1)).isoformat()
    for job in (await ask(api), await ask(api, run_at=later)):
        for _ in range(2):  # Once more changes nothing.
            answer = await api.delete(f"{JOBS}{job['id']}/")
            assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        await do(serving, job)
        told = await read(api, job)
        assert (told["status"], told["started_at"]) == ("cancelled", None)
        assert told["finished_at"] is not None


async def test_a_job_that_runs_stops_at_its_next_check(
    api: httpx.AsyncClient, serving: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "RENEWED_EVERY_S", 0.1)
    job = await ask(api, "sleep", payload={"seconds": 60})
    running = asyncio.create_task(do(serving, job))
    while (await read(api, job))["status"] != "running":
        pass
    assert (await api.delete(f"{JOBS}{job['id']}/")).json()["status"] == "running"
    assert (await api.delete(f"{JOBS}{job['id']}/")).status_code == 200
    await running
    assert (await read(api, job))["status"] == "cancelled"


@pytest.mark.parametrize("asked", [("fail", {}), ("sleep", {"seconds": 9})], ids=["error", "part"])
async def test_a_job_that_is_to_stop_and_would_wait_ends_instead(
    api: httpx.AsyncClient, serving: Worker, asked: tuple[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run fails, or ends for others' sake, before it has heard that it is to stop."""
    monkeypatch.setattr("jobs.run.SLICE_S", 0.0)
    job = await ask(api, asked[0], payload=asked[1])
    await in_database(serving, lambda: change(job, cancelling=True))
    await do(serving, job)
    told = await read(api, job)
    assert (told["status"], told["finished_at"] is not None) == ("cancelled", True)


async def test_what_has_ended_is_not_cancelled(api: httpx.AsyncClient, serving: Worker) -> None:
    done, refused, dead = await ask(api), await ask(api, "calibrate"), await ask(api, "fail")
    await do(serving, done)
    await do(serving, refused)
    await kill(serving, dead)
    for job, status in ((done, "succeeded"), (refused, "failed"), (dead, "dead")):
        answer = await api.delete(f"{JOBS}{job['id']}/")
        assert error_of(answer) == (409, "job_over")
        assert status in answer.json()["error"]["message"]
        assert (await read(api, job))["status"] == status


async def test_what_failed_is_queued_again_with_all_its_tries(api: httpx.AsyncClient, serving: Worker) -> None:
    job = await ask(api, "fail", payload={"times": 1})
    await kill(serving, job)
    assert (await read(api, job))["tries"] == 4
    assert await in_database(serving, DeadLetter.objects.count) == 1
    again = (await api.post(f"{JOBS}{job['id']}/retry/")).json()
    assert (again["status"], again["tries"], again["error"], again["finished_at"]) == ("queued", 0, None, None)
    assert await in_database(serving, DeadLetter.objects.count) == 0
    assert error_of(await api.post(f"{JOBS}{job['id']}/retry/")) == (409, "job_not_finished")
    await do(serving, job)
    done = await read(api, job)
    assert (done["status"], done["result"]) == ("succeeded", {"failed": 1})
    assert error_of(await api.post(f"{JOBS}{job['id']}/retry/")) == (409, "job_over")


async def test_a_cancelled_and_a_refused_job_may_be_tried_again(api: httpx.AsyncClient, serving: Worker) -> None:
    cancelled, refused = await ask(api), await ask(api, "calibrate")
    await api.delete(f"{JOBS}{cancelled['id']}/")
    await do(serving, refused)
    for job in (cancelled, refused):
        assert (await api.post(f"{JOBS}{job['id']}/retry/")).json()["status"] == "queued"
    await do(serving, cancelled)
    assert (await read(api, cancelled))["status"] == "succeeded"


async def test_what_an_exception_said_stays_inside_and_what_the_job_found_goes_out(
    api: httpx.AsyncClient, serving: Worker
) -> None:
    dead, waits, refused = await ask(api, "fail"), await ask(api, "fail"), await ask(api, "calibrate")
    await kill(serving, dead)
    await do(serving, waits)
    await do(serving, refused)
    letter = await in_database(serving, DeadLetter.objects.get)
    assert "it was told to fail" in letter.traceback
    for job, status, error in ((dead, "dead", FAULT), (waits, "scheduled", FAULT)):
        told = await read(api, job)
        assert (told["status"], told["error"]) == (status, error)
    told = await read(api, refused)
    assert (told["status"], told["error"], told["tries"]) == ("failed", "the gallery is empty", 1)
    everything = (await api.get(JOBS)).text
    assert "told to fail" not in everything
    assert "raceback" not in everything
    await in_database(serving, lambda: change(waits, error=deaths.TIMED_OUT))
    assert (await read(api, waits))["error"] == deaths.TIMED_OUT


async def test_what_is_done_with_jobs_is_recorded(api: httpx.AsyncClient, serving: Worker) -> None:
    """Asking, cancelling, trying again, and reading a result, which may be about people; waiting for it is not."""
    job = await ask(api, "export_subject", payload={"subject_id": "alice"})
    await api.delete(f"{JOBS}{job['id']}/")
    await api.delete(f"{JOBS}{job['id']}/")
    await api.post(f"{JOBS}{job['id']}/retry/")
    await read(api, job)
    await do(serving, job)
    await api.delete(f"{JOBS}{job['id']}/")
    await read(api, job)
    await api.get(JOBS)
    entries = await in_database(
        serving, lambda: list(AuditEntry.across_tenants.filter(kind__startswith="job_").order_by("pk"))
    )
    assert [entry.kind for entry in entries] == ["job_created", "job_cancelled", "job_retried", "job_read", "job_read"]
    for entry in entries:
        assert entry.details == {"job": job["id"], "type": "export_subject"}
        assert entry.actor_kind == "key"


async def test_a_job_that_is_unknown(api: httpx.AsyncClient) -> None:
    nobody = f"{JOBS}{uuid.UUID(int=0)}/"
    for method, path in (("GET", nobody), ("DELETE", nobody), ("POST", f"{nobody}retry/")):
        assert error_of(await api.request(method, path)) == (404, "job_not_found")


def test_of_many_that_cancel_and_retry_at_once_each_change_is_made_and_recorded_once(backend: Backend) -> None:
    job = submit(backend.tenant, NewJob(JobType.NOOP))
    results = side_by_side([lambda: changing.cancel(job)] * 4)
    assert {getattr(one, "status", one) for one in results} == {"cancelled"}
    retried = side_by_side([lambda: changing.retry(job)] * 4)
    assert sum(isinstance(one, Job) for one in retried) == 1, retried
    assert AuditEntry.across_tenants.filter(kind="job_cancelled").count() == 1
    assert AuditEntry.across_tenants.filter(kind="job_retried").count() == 1


def test_a_job_that_ends_while_it_is_cancelled_is_over(backend: Backend) -> None:
    job = submit(backend.tenant, NewJob(JobType.NOOP))
    execution.execute(job.pk)
    with pytest.raises(JobOver):
        changing.cancel(job)
