"""From a change to a receiver, by a real job worker with several processes."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from database import clock
from jobs.models import Job
from tenants.models import Tenant
from testkit.job_workers import JobProcess, job_process, until
from testkit.receivers import Receiver, answers
from testkit.servers import redis_server
from tests.webhooks.support import data_of, endpoint_at, happened, statuses, told
from vocabulary.jobs import JobStatus

PEOPLE, EVENTS = ("alice", "bob", "carol"), 8


def worker(directory: Path, **variables: str) -> AbstractContextManager[JobProcess]:
    return job_process(directory, FACE_WEBHOOK_ALLOW="127.0.0.0/8", **variables)


def test_events_of_each_person_arrive_in_order_from_many_processes_while_tries_fail(
    tenant: Tenant, there: Receiver, allowed: object, tmp_path: Path
) -> None:
    drawn = random.Random(7)
    there.will(*[answers(drawn.choice([200, 200, 500])) for _ in range(60)])
    endpoint_at(tenant, there)
    for number in range(EVENTS):
        for subject_id in PEOPLE:
            happened(tenant, subject_id, number=number)
    with worker(tmp_path, WORKER_CONCURRENCY="3", FACE_WEBHOOK_RETRY_S=",".join(["0.1"] * 20)):
        until(lambda: set(statuses(tenant)) == {"delivered"})
    for subject_id in PEOPLE:
        numbers = [event["data"]["number"] for event in told(there) if event["data"]["subject_id"] == subject_id]
        assert numbers == sorted(numbers)
        assert set(numbers) == set(range(EVENTS))
    assert len({request.headers["webhook-id"] for request in there.received}) == EVENTS * len(PEOPLE)


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_events_go_through_redis_where_that_is(
    tenant: Tenant, there: Receiver, allowed: Callable[..., None], tmp_path: Path
) -> None:
    there.will(answers(500))
    endpoint_at(tenant, there)
    with redis_server(tmp_path) as url:
        allowed(redis_url=url)
        for number in range(EVENTS):
            happened(tenant, "alice", number=number)
        with worker(tmp_path, REDIS_URL=url, WORKER_CONCURRENCY="2", FACE_WEBHOOK_RETRY_S="0.1"):
            until(lambda: set(statuses(tenant)) == {"delivered"})
    assert data_of(there, "number") == [0, *range(EVENTS)]


def test_a_worker_that_dies_between_sending_and_noting_sends_again_under_the_same_id(
    tenant: Tenant, there: Receiver, allowed: object, tmp_path: Path
) -> None:
    endpoint_at(tenant, there)
    happened(tenant, "alice")
    with worker(tmp_path) as first:

        def die_before_the_answer(_: BaseHTTPRequestHandler) -> None:
            first.kill()

        there.will(die_before_the_answer)
        until(lambda: first.process.poll() is not None)
    assert statuses(tenant) == ["pending"]
    assert Job.objects.get(tenant=tenant).status == JobStatus.RUNNING
    Job.objects.filter(tenant=tenant).update(lease_until=clock.now())  # As if the time of its lease had passed.
    with worker(tmp_path):
        until(lambda: statuses(tenant) == ["delivered"])
    assert len(there.received) == 2
    assert len({request.headers["webhook-id"] for request in there.received}) == 1
