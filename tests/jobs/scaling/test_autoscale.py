"""The command that gives a group of real Celery workers as many slots as its jobs need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from testkit.job_site import MANAGE, JobSite, Wanted, end, wait_for
from tests.jobs.workers.conftest import redis_site

__all__ = ["redis_site"]


RESIZE = """
from jobs.broker.application import application
from jobs.scaling.celery_group import resize, workers_of

control = application().control
workers = workers_of(control, "bulk")
resize(control, {name: one.slots for name, one in workers.items()}, 1)
print(len(workers), len(workers_of(control, "other")))
"""


def slots_of(worker_lines: list[dict[str, object]]) -> object:
    return worker_lines[-1]["slots"] if worker_lines else None


def test_a_group_grows_with_its_queue_to_its_bound_and_can_shrink(redis_site: JobSite, tmp_path: Path) -> None:
    grown = {"JOB_METRICS_INTERVAL": "1s", "WORKER_CONCURRENCY": "1"}
    log = tmp_path / "autoscale.out"
    with redis_site.worker(**grown, WORKER_GROUP="bulk") as worker:
        redis_site.submit(Wanted("sleep", {"seconds": 4}, 14))
        wait_for(lambda: slots_of(worker.said("System metrics")) == 1, "the worker works")
        with log.open("wb") as output:
            scaler = subprocess.Popen(
                [sys.executable, MANAGE, "jobs", "autoscale", "bulk", "--min", "1", "--max", "3", "--every", "1"],
                env=redis_site.environment(),
                stdout=output,
            )
        try:
            wait_for(lambda: slots_of(worker.said("System metrics")) == 3, "the group has grown to its bound")
            wait_for(
                lambda: sum(row.status == "running" for row in redis_site.rows()) == 3, "as many jobs as slots at once"
            )
        finally:
            end(scaler)
        assert redis_site.manage("shell", "--no-imports", "-c", RESIZE, "--verbosity=0").split() == ["1", "0"]
        wait_for(lambda: redis_site.statuses() == {"succeeded": 14}, "all jobs are done")
        redis_site.manage("shell", "--no-imports", "-c", RESIZE)
        wait_for(lambda: slots_of(worker.said("System metrics")) == 1, "one slot is left")
    said = log.read_text()
    assert "bulk: 1 -> 2 slots" in said
    assert "bulk: 2 -> 3 slots" in said
    assert scaler.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--min", "0", "--max", "3"], "--min must be at least 1"),
        (["--min", "4", "--max", "3"], "--max at least --min"),
    ],
)
def test_bounds_that_cannot_be_are_refused(redis_site: JobSite, arguments: list[str], problem: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        redis_site.manage("jobs", "autoscale", "bulk", *arguments)
    assert problem in refused.value.stderr
