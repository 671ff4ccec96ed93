"""The job worker that run_gunicorn.sh keeps beside its web workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from testkit.environment import clean_environment
from testkit.job_site import MANAGE, wait_for
from testkit.service import REPOSITORY, LiveService, running_service

UNSET = {"ENABLE_BACKGROUND_TASKS": "", "REDIS_URL": "", "WORKER_CONCURRENCY": "1", "SCHEDULER_INTERVAL": "100ms"}

SUBMIT = "from jobs.submitting import *; submit_many(None, [NewJob(JobType.NOOP)] * 5)"


def job_workers(service: LiveService) -> list[psutil.Process]:
    return [child for child in psutil.Process(service.pid).children() if _is_job_worker(child)]


def _is_job_worker(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[-4:-1] == ["jobs", "worker", "--parent"]
    except psutil.Error:  # It has ended, or ends.
        return False


def manage(service: LiveService, *arguments: str) -> subprocess.CompletedProcess[str]:
    variables = {"FACE_DATA_DIR": str(service.data_dir), "PYTHONPATH": str(REPOSITORY / "face_recognition_app")}
    command = [sys.executable, MANAGE, *arguments]
    return subprocess.run(
        command, env={**clean_environment(), **variables}, capture_output=True, text=True, check=False, timeout=120
    )


def test_it_does_jobs_is_started_again_and_ends_with_its_master(tmp_path: Path) -> None:
    with running_service(tmp_path, workers=1, pool_size=1, environment=UNSET) as service:
        (first,) = wait_for(lambda: job_workers(service), "a job worker")
        ready = service.log.read_text().index("worker ready in")
        assert service.log.read_text().index("the job worker") > ready
        assert manage(service, "shell", "--no-imports", "-c", SUBMIT).returncode == 0
        done = {"type": "noop", "outcome": "succeeded"}
        wait_for(lambda: service.metric("face_jobs_runs_total", **done) == 5, "five jobs are done")
        assert service.metric("face_workers") == 1
        wait_for(lambda: service.metric("face_jobs_slots") == 1, "its slots")
        wait_for(lambda: service.metric("face_jobs_scheduler_leads") == 1, "a scheduler that leads")

        os.kill(first.pid, signal.SIGKILL)
        (second,) = wait_for(lambda: [one for one in job_workers(service) if one.pid != first.pid], "another one")
        lock = service.data_dir / "job-worker.lock"
        wait_for(lambda: lock.read_text() == str(second.pid), "it has the data directory")
        refused = manage(service, "jobs", "worker")
        assert refused.returncode == 1
        assert f"a job worker (process {second.pid}) runs for" in refused.stderr
        # What was counted is kept; slots of the dead one are not.
        assert service.metric("face_jobs_runs_total", **done) == 5
        wait_for(lambda: service.metric("face_jobs_slots") == 1, "the slots of one worker")
        family = second.children(recursive=True)
    assert not second.is_running()
    assert not psutil.wait_procs(family, 10)[1]


def test_a_reload_keeps_it_and_a_killed_master_takes_it_along(tmp_path: Path) -> None:
    with running_service(tmp_path, workers=1, pool_size=1, environment=UNSET) as service:
        (worker,) = wait_for(lambda: job_workers(service), "a job worker")
        os.kill(service.pid, signal.SIGHUP)
        wait_for(lambda: service.log.read_text().count("worker ready in") >= 2, "the reload")
        assert [one.pid for one in job_workers(service)] == [worker.pid]
        os.kill(service.pid, signal.SIGKILL)
        wait_for(lambda: not worker.is_running(), "the job worker has ended")


def test_there_is_none_where_it_is_not_wanted(tmp_path: Path) -> None:
    none = {**UNSET, "ENABLE_BACKGROUND_TASKS": "false"}
    with running_service(tmp_path, workers=1, pool_size=1, environment=none) as service:
        assert service.get("/metrics").status_code == 200
        assert job_workers(service) == []
    assert "the job worker" not in service.log.read_text()
