"""Prometheus metrics of a job worker, which its parent process counts.

Beside Gunicorn they go into the directory of the web workers' metrics, and are served with theirs.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from jobs.watching.outcomes import RunEnded
from monitoring import metric_files

metric_files.install()

runs = Counter("face_jobs_runs", "Runs of jobs that ended here, by outcome.", ["group", "type", "priority", "outcome"])
run_seconds = Histogram(
    "face_jobs_run_seconds",
    "Time of a run, of which a long job has several.",
    ["group", "type"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
)
busy_seconds = Counter("face_jobs_busy_seconds", "Time that slots have spent on jobs.", ["group"])
slots = Gauge("face_jobs_slots", "Jobs that the worker can run at once.", ["group"], multiprocess_mode="livesum")
slots_busy = Gauge("face_jobs_slots_busy", "Jobs that it runs now.", ["group"], multiprocess_mode="livesum")
waiting = Gauge(
    "face_jobs_waiting",
    "Jobs that wait in the queues which the worker takes from.",
    ["group"],
    multiprocess_mode="livemax",
)


def count(group: str, ended: RunEnded) -> None:
    runs.labels(group, ended.type, ended.priority, ended.outcome.value).inc()
    if ended.seconds is not None:
        run_seconds.labels(group, ended.type).observe(ended.seconds)


def depth(group: str, jobs: int | None) -> None:
    """None: not known now."""
    waiting.labels(group).set(float("nan") if jobs is None else jobs)


def look(group: str, slots_now: int, running: int, busy_s: float) -> None:
    """`busy_s`: since the last call."""
    slots.labels(group).set(slots_now)
    slots_busy.labels(group).set(running)
    busy_seconds.labels(group).inc(busy_s)
