"""Cost of an enrolment to the searches after it, and throughput of concurrent decisions of one tenant.

    python -m bench.gallery [--database sqlite|postgresql] [--templates 50000] [--json]

Without --database both are measured, PostgreSQL on its own server. Each part runs in its own processes, with
random embeddings. Decisions are authentications of different subjects with the frames of an active challenge; a worker
makes four at once, as the service does. Nothing is sent over HTTP.

Ends with 1 when a bar is missed: a search after an enrolment takes at most 1.2 times an ordinary one, and a search in
another, small gallery never waits more than 10 ms longer than the longest one beside ordinary searches.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.cli import report_parser, show
from bench.gallery import work
from bench.gallery.work import Searches
from bench.load.tables import number, table
from testkit.servers import postgresql

T = TypeVar("T")
DATABASES = ("sqlite", "postgresql")
WORKERS = (1, 2, 4)
MOST_AFTER_ENROLMENT = 1.2
MOST_WAIT_MS = 10.0


@dataclass(frozen=True, slots=True)
class Report:
    database: str
    templates: int
    searches: Searches
    decisions_per_s: dict[int, float]
    """Decisions per second by the number of workers."""

    @property
    def missed(self) -> list[str]:
        found = self.searches
        missed = []
        if found.after_enrolment_ms > MOST_AFTER_ENROLMENT * found.ordinary_ms:
            missed.append(f"a search after an enrolment takes over {MOST_AFTER_ENROLMENT} times an ordinary one")
        if max(found.other_load_ms, found.other_enrolment_ms) > found.other_ordinary_ms + MOST_WAIT_MS:
            missed.append(f"another tenant waits more than {MOST_WAIT_MS:g} ms")
        return missed


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    reports = [measure(name, options.templates) for name in ([options.database] if options.database else DATABASES)]
    show(reports, text, as_json=options.json)
    return 1 if any(report.missed for report in reports) else 0


def measure(database: str, templates: int) -> Report:
    with _server(database) as url:
        searches = _alone(url, lambda pool: pool.submit(work.measure_searches, templates).result())
        decisions = {workers: _decisions_per_s(url, workers) for workers in WORKERS}
    return Report(database, templates, searches, decisions)


@contextmanager
def _server(database: str) -> Iterator[str]:
    if database == "sqlite":
        yield ""
    else:
        with postgresql() as server:
            yield server.url


def _alone(url: str, call: Callable[[ProcessPoolExecutor], T], workers: int = 1) -> T:
    """Run `call` with a pool of fresh processes; returns its result."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="bench-gallery-") as directory:
        os.environ.update(_environment(Path(directory), url))
        with ProcessPoolExecutor(workers, context, work.begin, (context.Barrier(workers), context.Lock())) as pool:
            return call(pool)


def _environment(directory: Path, url: str) -> dict[str, str]:
    return {
        "FACE_DATA_DIR": str(directory),
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "face_app.settings",
        "GUNICORN_LOG_LEVEL": "warning",
    }


def _decisions_per_s(url: str, workers: int) -> float:
    def decide(pool: ProcessPoolExecutor) -> float:
        jobs = [pool.submit(work.decide, number, f"tenant-of-{workers}") for number in range(workers)]
        spans = [job.result() for job in jobs]
        return workers * work.DECISIONS / (max(s.ended for s in spans) - min(s.began for s in spans))

    return _alone(url, decide, workers)


def text(reports: Sequence[Report]) -> str:
    rows = [
        [
            report.database,
            number(report.searches.first_ms),
            number(report.searches.ordinary_ms, 1),
            number(report.searches.after_enrolment_ms, 1),
            number(report.searches.enrolment_ms, 1),
            number(report.searches.other_ordinary_ms, 1),
            number(report.searches.other_load_ms, 1),
            number(report.searches.other_enrolment_ms, 1),
        ]
        for report in reports
    ]
    heads = [
        "",
        "first search",
        "ordinary",
        "after enrolment",
        "enrolment",
        "other: beside searches",
        "load",
        "enrolments",
    ]
    decisions = [
        [report.database, *(number(report.decisions_per_s[workers]) for workers in WORKERS)] for report in reports
    ]
    parts = [
        f"{reports[0].templates} templates, milliseconds (medians; of another tenant's searches the longest)",
        table(heads, rows),
        "decisions/s of one tenant",
        table(["", *(f"{workers} workers" for workers in WORKERS)], decisions),
        *(f"{report.database}: {missed}" for report in reports for missed in report.missed),
    ]
    return "\n".join(parts)


def _parser() -> argparse.ArgumentParser:
    parser = report_parser("gallery", "Enrolments, searches and decisions.")
    parser.add_argument("--database", choices=DATABASES, help="both when it is not given")
    parser.add_argument("--templates", type=int, default=50_000, help="of the large gallery (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
