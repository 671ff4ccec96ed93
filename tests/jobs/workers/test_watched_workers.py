"""What real workers, embedded and over Redis, tell of a hundred jobs of which three fail."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from testkit import loopback
from testkit.job_site import JobSite, Wanted, wait_for
from testkit.service import free_port

HUNDRED = (Wanted("noop", {}, 97), Wanted("fail", {"how": "refusal"}, 3))


def test_a_hundred_jobs_are_counted_in_the_log_and_in_the_metrics(site: JobSite) -> None:
    port = free_port()
    with site.worker(JOB_METRICS_INTERVAL="1s", JOB_METRICS_BIND=f"127.0.0.1:{port}") as worker:
        site.submit(*HUNDRED)
        line = wait_for(
            lambda: next((one for one in worker.said("System metrics") if one["jobs_processed"] == 100), None),
            "a line about a hundred jobs",
        )
        url = f"http://127.0.0.1:{port}"
        assert loopback.get(f"{url}/health", timeout=10).json()["status"] == "ok"
        metrics = loopback.get(f"{url}/metrics", timeout=10).text
        assert worker.children()
    assert (line["jobs_completed"], line["jobs_failed"], line["error_rate"]) == (97, 3, "3.00%")
    assert type(line["avg_duration_ms"]) is int
    assert re.fullmatch(r"\d{1,3}\.\d%", line["worker_utilization"])
    assert re.fullmatch(r"(\d+h)?(\d+m)?\d+s", line["uptime"])
    assert line["queue_depths"] == {"high": 0, "normal": 0, "low": 0}
    assert (line["slots"], line["level"]) == (2, "info")
    samples = [sample for family in text_string_to_metric_families(metrics) for sample in family.samples]
    group = {"thin", "default"}.intersection(sample.labels.get("group", "") for sample in samples).pop()
    runs = {
        (sample.labels["type"], sample.labels["outcome"]): sample.value
        for sample in samples
        if sample.name == "face_jobs_runs_total"
    }
    assert runs == {("noop", "succeeded"): 97, ("fail", "failed"): 3}
    assert {
        sample.name: sample.value
        for sample in samples
        if sample.labels == {"group": group} and sample.name.startswith("face_jobs_slots")
    } == {"face_jobs_slots": 2, "face_jobs_slots_busy": 0}
    assert sum(one.value for one in samples if one.name == "face_jobs_run_seconds_count") == 100


def test_a_failed_try_and_a_death_are_counted_and_their_lines_name_the_job(site: JobSite) -> None:
    with site.worker(MAX_RETRIES="1") as worker:
        site.submit(Wanted("fail", {"times": 1}), Wanted("fail", {"times": 1, "how": "death"}))
        wait_for(lambda: site.statuses() == {"succeeded": 2}, "both jobs succeed at their second try")
        (failed,) = [line for line in worker.lines() if "and is tried again" in line["message"]]
    (last,) = worker.said("System metrics")[-1:]
    assert (last["jobs_processed"], last["jobs_failed"], last["runs_retried"]) == (2, 0, 2)
    assert failed["type"] == "fail"
    assert failed["tenant"] is None
    assert re.fullmatch(r"[0-9a-f-]{36}", failed["job_id"])


def test_all_processes_of_a_worker_write_one_file(redis_site: JobSite, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with redis_site.worker(
        LOG_CONSOLE_ENABLED="false", LOG_FILE_ENABLED="true", LOG_FILE_PATH=str(log), LOG_FORMAT="text"
    ) as worker:
        redis_site.submit(Wanted("fail", {"times": 1}, 4))
        wait_for(lambda: redis_site.statuses() == {"succeeded": 4}, "the jobs")
        wait_for(lambda: "this scheduler leads" in log.read_text(), "the scheduler's line")
    lines = log.read_text().splitlines()
    assert sum("and is tried again" in line and "type=fail" in line for line in lines) == 4
    assert len({re.split(r"\s+", line)[2] for line in lines}) >= 3  # parent, scheduler, pool
    assert worker.lines() == []


@pytest.mark.parametrize(("level", "expected"), [("error", False), ("info", True)])
def test_the_level_is_the_one_that_is_asked_for(tmp_path: Path, level: str, expected: bool) -> None:
    site = JobSite(tmp_path)
    with site.worker(LOG_LEVEL=level, MAX_RETRIES="0") as worker:
        site.submit(Wanted("fail", {}))
        wait_for(lambda: [line for line in worker.lines() if line["level"] == "error"], "an error")
        if expected:
            wait_for(lambda: worker.said("this scheduler leads"), "the scheduler's line")
    assert bool(worker.said("this scheduler leads")) is expected


def test_a_second_worker_of_a_data_directory_is_refused(tmp_path: Path) -> None:
    site = JobSite(tmp_path)
    with site.worker() as first:
        wait_for(lambda: first.said("this scheduler leads"), "the first worker")
        log = first.log.rename(tmp_path / "first.out")
        with site.worker() as second:
            assert second.process.wait(60) == 1
            assert f"a job worker (process {first.process.pid}) runs for" in second.log.read_text()
        assert first.process.poll() is None
        assert "Traceback" not in log.read_text()
    with site.worker() as third:
        wait_for(lambda: third.said("this scheduler leads"), "a worker after the first has ended")


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("LOG_FILE_PATH", "/dev/null/worker.log", "LOG_FILE_PATH=/dev/null/worker.log: File exists"),
        ("JOB_METRICS_BIND", "203.0.113.1:8080", "JOB_METRICS_BIND=203.0.113.1:8080: Cannot assign requested address"),
    ],
)
def test_what_cannot_be_used_ends_the_start_with_its_variable(
    tmp_path: Path, variable: str, value: str, problem: str
) -> None:
    site = JobSite(tmp_path)
    with site.worker(LOG_FILE_ENABLED="true", **{variable: value}) as worker:
        assert worker.process.wait(60) == 1
    said = worker.log.read_text()
    assert f"CommandError: {problem}" in said
    assert "Traceback" not in said
