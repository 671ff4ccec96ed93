"""What the database knows of jobs, as metrics of the web service."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connections
from prometheus_client.core import GaugeMetricFamily, Metric

from database.calls import with_connection
from database.replica import read_stale
from jobs.watching.database_facts import Facts, facts
from monitoring.collectors.background import BackgroundCollector
from vocabulary.jobs import JobStatus


class JobsCollector(BackgroundCollector):
    """`sends`: whether jobs go through a broker, so that some can be unsent."""

    def __init__(self, sends: bool) -> None:
        super().__init__("jobs")
        self._sends = sends

    def ask(self) -> Iterator[Metric]:
        try:
            found = with_connection(read_stale, facts)
        finally:
            connections.close_all()
        return metrics_of(found, self._sends)


def metrics_of(found: Facts, sends: bool) -> Iterator[Metric]:
    labels = ["type", "priority"]
    waiting = GaugeMetricFamily("face_jobs_queued", "Jobs that wait for a worker.", labels=labels)
    oldest = GaugeMetricFamily(
        "face_jobs_oldest_seconds", "How long the oldest of them waits to be begun or tried again.", labels=labels
    )
    later = GaugeMetricFamily("face_jobs_scheduled", "Jobs whose time has not come.", labels=labels)
    running = GaugeMetricFamily("face_jobs_running", "Jobs that a worker has.", labels=labels)
    families = {JobStatus.QUEUED: waiting, JobStatus.SCHEDULED: later, JobStatus.RUNNING: running}
    for group in found.groups:
        families[JobStatus(group.status)].add_metric([group.type, group.priority], group.count)
        if group.status == JobStatus.QUEUED and group.oldest is not None:
            oldest.add_metric([group.type, group.priority], max(0.0, (found.at - group.oldest).total_seconds()))
    dead = GaugeMetricFamily("face_jobs_dead_letters", "Dead letters that nobody has dealt with.", labels=["type"])
    for type_, count in found.dead.items():
        dead.add_metric([type_], count)
    yield from (waiting, oldest, later, running, dead)
    if sends:
        yield GaugeMetricFamily("face_jobs_unsent", "Jobs that wait and are not in Redis.", found.unsent)
    yield GaugeMetricFamily("face_jobs_scheduler_leads", "Whether a scheduler leads: 1 or 0.", float(found.has_leader))
