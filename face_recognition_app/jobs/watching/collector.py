"""What the database knows of jobs, as metrics of the web service."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

from django.db import connections
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from database.calls import with_connection
from database.replica import read_stale
from jobs.watching.database_facts import Facts, facts
from vocabulary.jobs import JobStatus
from wire.errors import Unavailable

logger = logging.getLogger(__name__)

KEPT_S = 5.0
"""How long an answer is kept: scrapes by several servers cost no more."""
SHARE_OF_TIME = 0.02
"""Of a web worker that counting may take: with a million jobs that wait it is done less often."""
PATIENCE_S = 2.0
"""How long a scrape waits for the database. Then it goes without these metrics."""


class JobsCollector(Collector):
    """The metrics; none while the database cannot be asked or does not answer in time. For several threads.

    The database is asked on a thread of its own, so that one that hangs holds no other.

    `sends`: whether jobs go through a broker, so that some can be unsent.
    """

    def __init__(self, sends: bool) -> None:
        self._sends = sends
        self._lock = threading.Lock()
        self._answered = threading.Event()
        self._metrics: list[Metric] = []
        self._asked_again_at: float | None = 0.0
        """None while the database is being asked."""

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            if self._asked_again_at is not None and time.monotonic() >= self._asked_again_at:
                self._asked_again_at = None
                self._answered.clear()
                threading.Thread(target=self._ask, name="job metrics", daemon=True).start()
        return iter(self._metrics if self._answered.wait(PATIENCE_S) else [])

    def _ask(self) -> None:
        began = time.monotonic()
        found: list[Metric] = []
        try:
            found = list(metrics_of(with_connection(read_stale, facts), self._sends))
            connections.close_all()
        except Unavailable as error:
            logger.warning("the metrics have no jobs: %s", error)
        except Exception:
            logger.exception("the metrics have no jobs")
        ended = time.monotonic()
        with self._lock:
            self._metrics = found
            self._asked_again_at = ended + max(KEPT_S, (ended - began) / SHARE_OF_TIME)
        self._answered.set()


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
