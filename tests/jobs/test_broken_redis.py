"""Redis that is away, restarted, emptied or silent, and queues with what nobody can read."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from database import redis_access
from jobs.models import DeadLetter, Job
from jobs.submitting import NewJob, submit, submit_many
from testkit.browsers.link import Link
from testkit.job_workers import ended, job_process, publishing_to, until
from testkit.patience import PATIENCE_S
from testkit.servers import Redis
from tests.jobs.conftest import Way, over_redis
from vocabulary.jobs import UNFINISHED, JobStatus, JobType

SILENT_S = 20.0
MANY = [NewJob(JobType.NOOP)] * 100


@pytest.fixture
def frail(tmp_path: Path, transactional_db: None) -> Iterator[Redis]:
    server = Redis(tmp_path, appendfsync="always")
    try:
        with publishing_to(server.url):
            yield server
    finally:
        server.stop()


@pytest.fixture
def link(own_redis: str, transactional_db: None) -> Iterator[Link]:
    port = urlsplit(own_redis).port
    assert port is not None
    with Link(port) as link, publishing_to(f"redis://127.0.0.1:{link.port}/0"):
        yield link


def all_succeeded(jobs: list[Job]) -> bool:
    return {(job.status, job.failures) for job in ended(jobs)} == {(JobStatus.SUCCEEDED, 0)}


def test_a_job_is_accepted_while_redis_is_away_and_done_when_it_is_back(frail: Redis, tmp_path: Path) -> None:
    frail.kill()
    jobs = submit_many(None, MANY)
    assert not Job.across_tenants.exclude(published_at=None).exists()
    frail.start()
    with job_process(tmp_path, REDIS_URL=frail.url):
        assert all_succeeded(jobs)


def test_a_restart_of_redis_in_the_middle_loses_no_job(frail: Redis, tmp_path: Path) -> None:
    jobs = submit_many(None, [NewJob(JobType.SLEEP, {"seconds": 0.1})] * 150)
    left = Job.across_tenants.filter(status__in=UNFINISHED)
    with job_process(tmp_path, REDIS_URL=frail.url, WORKER_CONCURRENCY="3") as worker:
        until(lambda: left.count() < 120)
        frail.kill()
        frail.start()
        assert all_succeeded(jobs)
        assert worker.process.poll() is None


def test_jobs_outlive_a_redis_that_has_lost_everything(own_redis: str, transactional_db: None, tmp_path: Path) -> None:
    with publishing_to(own_redis), redis.Redis.from_url(own_redis) as client:
        jobs = submit_many(None, MANY)
        client.flushall()
        with job_process(tmp_path, REDIS_URL=own_redis):
            assert all_succeeded(jobs)


def test_a_silent_redis_is_not_asked_for_each_job(link: Link, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_access, "PAUSE_S", 3_600.0)
    link.silence()
    jobs = [submit(None, NewJob(JobType.NOOP))]
    asked = link.own_ports()
    jobs += [submit(None, NewJob(JobType.NOOP)) for _ in range(3)]
    assert link.own_ports() == asked
    link.resume()
    monkeypatch.setattr(redis_access, "PAUSE_S", 0.0)
    sent = submit(None, NewJob(JobType.NOOP))
    assert Job.across_tenants.get(published_at__isnull=False) == sent
    with job_process(tmp_path, REDIS_URL=f"redis://127.0.0.1:{link.port}/0"):
        assert all_succeeded([*jobs, sent])


def test_a_silent_redis_stops_the_work_and_ends_nothing(link: Link, tmp_path: Path) -> None:
    url = f"redis://127.0.0.1:{link.port}/0"
    jobs = submit_many(None, [NewJob(JobType.SLEEP, {"seconds": 0.1})] * 100)
    left = Job.across_tenants.filter(status__in=UNFINISHED)
    with job_process(tmp_path, REDIS_URL=url, WORKER_CONCURRENCY="3") as worker:
        until(lambda: left.count() < 80)
        link.silence()
        more = submit(None, NewJob(JobType.NOOP))
        time.sleep(SILENT_S)
        link.resume()
        assert all_succeeded([*jobs, more])
        assert worker.process.poll() is None


UNREADABLE = {
    "no JSON": b"\xff\xfe rubbish",
    "no envelope": b'"text"',
    "an envelope without a body": json.dumps({"headers": {"task": "jobs.run", "id": "1"}}).encode(),
    "another task": json.dumps(
        {
            "body": "W1sxXSwge30sIHt9XQ==",
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"task": "somebody.elses", "id": "1"},
            "properties": {"body_encoding": "base64", "delivery_tag": "1", "delivery_info": {"exchange": ""}},
        }
    ).encode(),
    "a name in place of a number": json.dumps(
        {
            "body": "W1siYSJdLCB7fSwge31d",
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"task": "jobs.run", "id": "1"},
            "properties": {"body_encoding": "base64", "delivery_tag": "1", "delivery_info": {"exchange": ""}},
        }
    ).encode(),
}


@over_redis
def test_what_nobody_can_read_becomes_a_dead_letter_and_ends_nobody(way: Way) -> None:
    with redis.Redis.from_url(way.redis_url) as client:
        for raw in UNREADABLE.values():
            client.lpush("face:queue:normal:noop", raw)
        job = submit(None, NewJob(JobType.NOOP))
        with way.worker() as worker:
            assert all_succeeded([job])
            until(lambda: DeadLetter.objects.count() == len(UNREADABLE))
            assert worker.process.poll() is None
        assert client.llen("face:queue:normal:noop") == 0
    kept = {bytes(letter.body).decode() for letter in DeadLetter.objects.all()}
    assert kept == {raw.decode(errors="replace") for raw in UNREADABLE.values()}


@over_redis
def test_a_job_that_is_delivered_again_is_done_once(way: Way) -> None:
    job = submit(None, NewJob(JobType.NOOP))
    with redis.Redis.from_url(way.redis_url) as client:
        [raw] = client.lrange("face:queue:normal:noop", 0, -1)
        for _ in range(5):
            client.lpush("face:queue:normal:noop", raw)
        with way.worker():
            until(lambda: client.llen("face:queue:normal:noop") == 0, PATIENCE_S)
            [found] = ended([job])
    assert (found.status, found.runs) == (JobStatus.SUCCEEDED, 1)


@over_redis
def test_the_length_of_a_queue_can_be_asked_for_in_redis(way: Way) -> None:
    submit_many(None, [NewJob(JobType.NOOP)] * 3)
    with redis.Redis.from_url(way.redis_url) as client:
        assert client.llen("face:queue:normal:noop") == 3
