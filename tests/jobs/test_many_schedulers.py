"""Several schedulers, of which one leads, and one that dies."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from database import clock
from jobs.models import Job, Schedule, SchedulerSeat
from jobs.submitting import NewJob, submit
from testkit.job_workers import JobProcess, ended, job_process, until
from tests.jobs.conftest import Way, everywhere
from vocabulary.jobs import JobStatus, JobType

TICKS = 60
EVERY_S = 0.25


def leader(schedulers: list[JobProcess]) -> JobProcess | None:
    holders = SchedulerSeat.objects.filter(held_until__gt=clock.now()).values_list("holder", flat=True)
    pids = {int(holder.rpartition(":")[2]) for holder in holders}
    return next((one for one in schedulers if one.pid in pids and one.process.poll() is None), None)


def leading_one(schedulers: list[JobProcess]) -> JobProcess:
    """Wait for one: on a busy machine a seat may lapse before its holder gets to hold it longer."""
    found: list[JobProcess] = []

    def leads() -> bool:
        found[:] = [one for one in (leader(schedulers),) if one is not None]
        return bool(found)

    until(leads)
    return found[0]


def made() -> int:
    return Job.across_tenants.filter(type=JobType.NOOP).count()


@everywhere
def test_each_time_makes_one_job_whoever_dies(way: Way, tmp_path: Path) -> None:
    first = clock.now() + timedelta(seconds=2)
    row = Schedule.objects.create(name="often", type=JobType.NOOP, every_s=EVERY_S, catches_up=True, next_due=first)
    variables = {"REDIS_URL": way.redis_url, "SCHEDULER_INTERVAL": "100ms", "WORKER_MODE": "scheduler-only"}
    with ExitStack() as stack:
        schedulers = [stack.enter_context(job_process(tmp_path, **variables)) for _ in range(2)]
        for at in (TICKS // 3, 2 * TICKS // 3):
            until(lambda at=at: made() >= at)  # type: ignore[misc]
            leading_one(schedulers).kill()
            schedulers.append(stack.enter_context(job_process(tmp_path, **variables)))
        until(lambda: made() >= TICKS)
        for one in schedulers:
            if one.process.poll() is None:
                assert one.stop() in (0, -signal.SIGTERM)  # The last one may not even have begun.
    row.refresh_from_db()
    times = (row.next_due - first) / timedelta(seconds=EVERY_S)
    keys = set(Job.across_tenants.filter(type=JobType.NOOP).values_list("idempotency_key", flat=True))
    assert made() == len(keys) == times
    with way.worker(ENABLE_SCHEDULER="true"):
        done = ended(list(Job.across_tenants.filter(type=JobType.NOOP)))
    assert {(job.status, job.runs) for job in done} == {(JobStatus.SUCCEEDED, 1)}


def test_a_scheduler_that_ends_leaves_its_seat_at_once(way: Way, tmp_path: Path) -> None:
    with (
        job_process(tmp_path, "scheduler", REDIS_URL=way.redis_url) as one,
        job_process(tmp_path, "scheduler", REDIS_URL=way.redis_url) as other,
    ):
        leading = leading_one([one, other])
        standby = other if leading is one else one
        assert leading.stop() == 0
        until(lambda: leader([one, other]) is standby)


def test_a_worker_without_a_scheduler_does_not_schedule(way: Way) -> None:
    late = submit(None, NewJob(JobType.NOOP, run_at=clock.now() + timedelta(seconds=1)))
    now = submit(None, NewJob(JobType.NOOP))
    with way.worker(ENABLE_SCHEDULER="false"):
        ended([now])
        until(lambda: clock.now() > late.created_at + timedelta(seconds=3))
        late.refresh_from_db()
        assert late.status == JobStatus.SCHEDULED
        assert not SchedulerSeat.objects.filter(held_until__gt=clock.now()).exists()


@pytest.mark.parametrize(("late_s", "times"), [(0.0, 1), (3.5, 1)])
def test_times_that_were_missed_make_one_job_unless_they_are_made_up_for(
    transactional_db: None, late_s: float, times: int
) -> None:
    from jobs.timing.schedules import make_jobs_that_are_due

    due = clock.now() - timedelta(seconds=late_s)
    row = Schedule.objects.create(name="hourly", type=JobType.NOOP, every_s=1, next_due=due)
    assert make_jobs_that_are_due() == times
    row.refresh_from_db()
    assert row.next_due > clock.now()
    assert (row.next_due - due) % timedelta(seconds=1) == timedelta(0)


def test_a_schedule_that_cannot_be_followed_disturbs_no_other(way: Way) -> None:
    for name, type_ in (("a broken one", "of another version"), ("sound", JobType.NOOP)):
        Schedule.objects.create(name=name, type=type_, every_s=3_600, next_due=clock.now())
    with way.worker() as worker:
        until(lambda: made() == 1)
        ended(list(Job.across_tenants.filter(type=JobType.NOOP)))
        assert worker.process.poll() is None
    assert "a schedule makes no job" in worker.log.read_text()
