"""Runs the parts of `bench.jobs` with a real Redis, a real database and real workers."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.jobs.report import Plan, Report
from testkit.browsers.link import Link
from testkit.servers import Redis, database_server


@dataclass(frozen=True, slots=True)
class Place:
    """`link`: leads to the same Redis."""

    directory: Path
    redis: Redis
    link: Link


def measure(plan: Plan, parts: Sequence[str]) -> Report:
    with _place(plan.database) as place:
        # What needs Django's models is loaded once that is set up.
        from bench.jobs import chaos, speed
        from testkit.job_workers import publishing_to

        rate = high = None
        with publishing_to(place.redis.url):
            if "rate" in parts:
                rate = speed.rate(place.directory, plan)
            if "high" in parts:
                high = speed.high_waits(place.directory, plan)
        survived = [chaos.run(place, plan, fault) for fault in chaos.faults_of(place) if fault.part in parts]
    return Report(plan, rate, high, tuple(survived))


@contextmanager
def _place(database: str) -> Iterator[Place]:
    """A database and a Redis of the bench's own, which this process uses, too."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-jobs-")))
        server = Redis(directory, appendfsync="everysec")
        stack.callback(server.stop)
        url = stack.enter_context(database_server(database))
        os.environ |= {
            "DATABASE_URL": url,
            "REDIS_URL": server.url,
            "FACE_DATA_DIR": str(directory / "var"),
            "DJANGO_SETTINGS_MODULE": "face_app.settings",
        }
        import django

        django.setup()
        from django.core.management import call_command

        call_command("prepare", stdout=sys.stderr)
        yield Place(directory, server, stack.enter_context(Link(server.port)))
