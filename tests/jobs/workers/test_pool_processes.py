"""Processes of a real Celery pool that die or stand still: the worker replaces them, and no job is lost."""

from __future__ import annotations

import os
import signal

import psutil

from jobs.workers.deaths import TIMED_OUT, WORKER_DIED
from testkit.job_site import JobSite, Row, Wanted, wait_for


def running(site: JobSite) -> Row | None:
    return next((row for row in site.rows() if row.status == "running"), None)


def test_a_process_that_is_killed_is_replaced_and_its_job_done(redis_site: JobSite) -> None:
    with redis_site.worker() as worker:
        wait_for(lambda: len(worker.children()) >= 3, "two processes and the scheduler")
        before = len(worker.children())
        redis_site.submit(Wanted("sleep", {"seconds": 6}))
        row = wait_for(lambda: running(redis_site), "the job runs")
        os.kill(row.process, signal.SIGKILL)
        wait_for(lambda: redis_site.statuses() == {"succeeded": 1}, "the job succeeds elsewhere")
        children = wait_for(lambda: found if len(found := worker.children()) == before else None, "a new process")
    assert row.process not in children
    (after,) = redis_site.rows()
    assert (after.failures, after.error) == (1, "") or after.error == WORKER_DIED
    assert worker.said("System metrics")[-1]["runs_retried"] == 1


def test_a_process_that_stands_still_is_killed_at_the_time_limit(redis_site: JobSite) -> None:
    with redis_site.worker(JOB_TIMEOUT="8s") as worker:
        wait_for(lambda: len(worker.children()) >= 3, "two processes and the scheduler")
        redis_site.submit(Wanted("sleep", {"seconds": 5}))
        row = wait_for(lambda: running(redis_site), "the job runs")
        os.kill(row.process, signal.SIGSTOP)
        wait_for(lambda: not psutil.pid_exists(row.process), "the process is killed")
        found = wait_for(lambda: next((one for one in redis_site.rows() if one.failures), None), "its end is noted")
        assert found.error == TIMED_OUT
        wait_for(lambda: redis_site.statuses() == {"succeeded": 1}, "the job succeeds elsewhere")
