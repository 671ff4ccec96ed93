"""Mixed jobs while workers are killed, and Redis is away in the middle."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from django.db.models import Sum

from bench.jobs import mixture
from bench.jobs.mixture import Planned
from bench.jobs.report import Chaos, Plan
from jobs.models import Job
from jobs.submitting import submit_many
from tenants.keys import create_tenant
from tenants.models import Tenant
from testkit.job_workers import JobProcess, job_process, publishing_to
from vocabulary.jobs import UNFINISHED

if TYPE_CHECKING:
    from bench.jobs.measure import Place

WORKERS = 2
KILLED_EVERY_S = 2.0
WHOLE_WORKERS = 0.2
"""Share of deaths that take a worker with all of its processes."""
READY = " ready."
"""What Celery logs when all processes of a worker are there."""
PATIENCE_S = 1_800.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to Redis in the middle. `url`: where everybody finds it."""

    part: str
    url: str
    begin: Callable[[], object] = lambda: None
    end: Callable[[], object] = lambda: None


def faults_of(place: Place) -> Iterator[Fault]:
    server, link = place.redis, place.link
    yield Fault("deaths", server.url)
    yield Fault("redis-killed", server.url, server.kill, server.start)
    yield Fault("redis-silent", f"redis://127.0.0.1:{link.port}/0", link.silence, link.resume)


def run(place: Place, plan: Plan, fault: Fault) -> Chaos:
    with publishing_to(fault.url):
        tenant, _ = create_tenant(fault.part)
        course = _Course(tenant, mixture.mixed(tenant, plan.jobs), fault, plan.away_s)
        deaths = _Deaths(place.directory)
        began = time.monotonic()
        course.submit_half()
        with ExitStack() as stack:
            while course.goes_on() and time.monotonic() - began < PATIENCE_S:
                deaths.fill(stack)
                time.sleep(KILLED_EVERY_S)
                deaths.kill_one()
    took_s = time.monotonic() - began
    found = mixture.found_of(tenant, course.planned, course.pks)
    runs = Job.objects.filter(tenant=tenant).aggregate(Sum("runs"))["runs__sum"]
    return Chaos(
        fault.part,
        took_s,
        deaths.number,
        runs,
        dict(found.ends),
        found.wrong,
        found.erased,
        found.erased_twice,
        found.other_letters,
    )


class _Course:
    """Half of the jobs are there at once. The fault begins when half of these are done, and then come the others."""

    def __init__(self, tenant: Tenant, planned: list[Planned], fault: Fault, lasts_s: float) -> None:
        self.planned = planned
        self.pks: list[int] = []
        self._left = Job.objects.filter(tenant=tenant, status__in=UNFINISHED)
        self._tenant = tenant
        self._fault = fault
        self._lasts_s = lasts_s
        self._ends_at: float | None = None
        self._is_over = False

    def submit_half(self) -> None:
        first = len(self.pks)
        new = [one.new for one in self.planned[first : first + (len(self.planned) + 1) // 2]]
        self.pks += [job.pk for job in submit_many(self._tenant, new)]

    def goes_on(self) -> bool:
        """Begin and end the fault in its time. False when it is over and no job is left."""
        if self._ends_at is None:
            if self._left.count() <= len(self.pks) // 2:
                self._fault.begin()
                self._ends_at = time.monotonic() + self._lasts_s
                self.submit_half()
            return True
        if not self._is_over and time.monotonic() >= self._ends_at:
            self._fault.end()
            self._is_over = True
        return not self._is_over or self._left.exists()


class _Deaths:
    def __init__(self, directory: Path) -> None:
        self.number = 0
        self._directory = directory
        self._dice = random.Random(11)
        self._workers: list[JobProcess] = []

    def fill(self, stack: ExitStack) -> None:
        """Start workers in place of those that were killed, or that have ended by themselves."""
        self._workers = [worker for worker in self._workers if worker.process.poll() is None]
        while len(self._workers) < WORKERS:
            self._workers.append(stack.enter_context(job_process(self._directory, WORKER_CONCURRENCY="4")))

    def kill_one(self) -> None:
        """Kill a worker with all of its processes, or, mostly, one of its processes. Those that are being started are
        left to it: on a busy machine none would ever get to a job."""
        ready = [worker for worker in self._workers if READY in worker.log.read_text()]
        if not ready:
            return
        victim = self._dice.choice(ready)
        if self._dice.random() < WHOLE_WORKERS:
            self._workers.remove(victim)
            victim.kill()
            self.number += 1
        else:
            self.number += victim.kill_child(self._dice.choice)
