"""What becomes of a job, with a real worker, in each way in which jobs get to one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from database import clock
from jobs.models import DeadLetter, Job
from jobs.submitting import NewJob, submit, submit_many
from jobs.workers.deaths import TIMED_OUT, WORKER_DIED
from testkit.job_workers import ended, until
from tests.jobs.conftest import Way, everywhere
from vocabulary.jobs import JobStatus, JobType, Priority

SOON_S = 1.0


def running(job: Job) -> bool:
    return Job.across_tenants.get(pk=job.pk).status == JobStatus.RUNNING


def sleep(seconds: float, *, deaf: bool = False, priority: Priority = Priority.NORMAL) -> NewJob:
    return NewJob(JobType.SLEEP, {"seconds": seconds, "deaf": deaf}, priority)


@everywhere
def test_each_job_ends_as_it_should(way: Way) -> None:
    jobs = [
        submit(None, new)
        for new in (
            NewJob(JobType.NOOP),
            sleep(0.2),
            NewJob(JobType.FAIL, {"how": "refusal"}),
            NewJob(JobType.FAIL, {"times": 1}),
            NewJob(JobType.FAIL),
        )
    ]
    with way.worker(MAX_RETRIES="1"):
        noop, slept, refused, mended, dead = ended(jobs)
    assert (noop.status, noop.runs, noop.result) == (JobStatus.SUCCEEDED, 1, None)
    assert (slept.status, slept.result) == (JobStatus.SUCCEEDED, {"slept_s": 0.2})
    assert (refused.status, refused.runs, refused.error) == (JobStatus.FAILED, 1, "it was told to be refused")
    assert (mended.status, mended.runs, mended.failures, mended.result) == (JobStatus.SUCCEEDED, 2, 1, {"failed": 1})
    assert (dead.status, dead.runs, dead.failures) == (JobStatus.DEAD, 2, 2)
    [letter] = DeadLetter.objects.all()
    assert (letter.job_id, letter.reason) == (dead.pk, "RuntimeError: it was told to fail")
    assert "in fail" in letter.traceback


def test_a_job_that_kills_its_process_is_given_up_and_others_go_on(way: Way) -> None:
    poison = submit(None, NewJob(JobType.FAIL, {"how": "death"}))
    others = submit_many(None, [NewJob(JobType.NOOP)] * 20)
    with way.worker(MAX_RETRIES="1", WORKER_CONCURRENCY="2") as worker:
        [poisoned, *done] = ended([poison, *others])
        assert worker.process.poll() is None
    assert (poisoned.status, poisoned.runs, poisoned.error) == (JobStatus.DEAD, 2, WORKER_DIED)
    assert {job.status for job in done} == {JobStatus.SUCCEEDED}
    assert DeadLetter.objects.get().reason == WORKER_DIED


def test_a_run_that_takes_too_long_is_ended_by_force(way: Way) -> None:
    stuck = submit(None, sleep(600, deaf=True))
    with way.worker(MAX_RETRIES="0", JOB_TIMEOUT="1s"):
        [found] = ended([stuck])
    assert (found.status, found.error, found.runs) == (JobStatus.DEAD, TIMED_OUT, 1)


def test_priority_is_strict(way: Way) -> None:
    """One slot, and all of the jobs are there before the worker is."""
    jobs = submit_many(None, [NewJob(JobType.NOOP, priority=list(Priority)[number % 3]) for number in range(18)])
    with way.worker(WORKER_CONCURRENCY="1"):
        ended(jobs)
    begun = [job.priority for job in Job.across_tenants.order_by("started_at", "pk")]
    assert begun == [Priority.HIGH] * 6 + [Priority.NORMAL] * 6 + [Priority.LOW] * 6


def test_a_job_waits_for_its_time(way: Way) -> None:
    due = clock.now() + timedelta(seconds=3)
    job = submit(None, NewJob(JobType.NOOP, run_at=due))
    assert job.status == JobStatus.SCHEDULED
    with way.worker():
        [found] = ended([job])
    assert found.started_at is not None
    assert found.started_at >= due


def test_a_worker_that_is_told_to_end_finishes_what_it_does(way: Way) -> None:
    job = submit(None, sleep(4))
    waiting = submit(None, sleep(0))
    with way.worker(WORKER_CONCURRENCY="1") as worker:
        until(lambda: running(job))
        assert worker.stop() == 0
        job.refresh_from_db()
        waiting.refresh_from_db()
        assert (job.status, job.runs) == (JobStatus.SUCCEEDED, 1)
        assert waiting.status == JobStatus.QUEUED
    with way.worker():
        [done] = ended([waiting])
    assert done.status == JobStatus.SUCCEEDED


def test_a_worker_that_is_told_to_end_gives_back_what_takes_too_long(way: Way) -> None:
    """The job sleeps for ten minutes, and listens: it is no failure that its worker ends."""
    job = submit(None, sleep(600))
    with way.worker() as worker:
        until(lambda: running(job))
        assert worker.stop() == 0
        job.refresh_from_db()
    assert (job.status, job.failures, job.finished_at) == (JobStatus.QUEUED, 0, None)


def test_a_job_whose_worker_is_killed_is_done_by_another(way: Way) -> None:
    job = submit(None, sleep(3))
    with way.worker() as worker:
        until(lambda: running(job))
        worker.kill()
    with way.worker():
        [found] = ended([job])
    assert (found.status, found.runs, found.failures) == (JobStatus.SUCCEEDED, 2, 1)


def test_one_key_is_one_job(way: Way) -> None:
    one, another = (submit(None, NewJob(JobType.NOOP, idempotency_key="the first of May")) for _ in range(2))
    assert one.pk == another.pk
    with way.worker():
        [found] = ended([one])
    assert found.runs == 1
    assert submit(None, NewJob(JobType.NOOP, idempotency_key="the first of May")).status == JobStatus.SUCCEEDED


@pytest.mark.parametrize("payload", [{"seconds": -1}, {"second": 1}, {}])
def test_a_job_that_nobody_could_do_is_refused_at_once(transactional_db: None, payload: dict[str, object]) -> None:
    from jobs.submitting import InvalidJob

    with pytest.raises(InvalidJob, match=r"^payload"):
        submit(None, NewJob(JobType.SLEEP, payload))
    assert not Job.across_tenants.exists()
