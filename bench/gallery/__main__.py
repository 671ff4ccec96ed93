"""What each store of templates costs at a size of gallery, and throughput of concurrent decisions of one tenant.

    python -m bench.gallery [--database sqlite|postgresql] [--templates 30000] [--stores exact,usearch] [--json]
    python -m bench.gallery --database postgresql --stores exact,pgvector --templates 100000

Without --database both are measured, PostgreSQL on its own server. Templates are random, three of each person with
neighbours as faces have them; faiss and numpy compare the same vectors. Enrolments are `people.enroll`, without an
engine. Decisions are authentications of different subjects with the frames of an active challenge; a worker makes four
at once, as the service does. Nothing is sent over HTTP.

Ends with 1 when a bar is missed: exact finds whatever is above the threshold, every other store 999 of 1,000. Bars of
time are told and do not count, since they are for two quiet cores.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.cli import report_parser, show
from bench.gallery import stores, work
from bench.gallery.stores import Costs, Searches, StoreCosts
from bench.load.tables import number, table
from testkit.servers import database_server

T = TypeVar("T")
DATABASES = ("sqlite", "postgresql")
WORKERS = (1, 2, 4)
LEAST_RECALL = {"exact": 1.0}
LEAST_RECALL_ELSE = 0.999
MOST_ENROLMENT_RATIO = 1.2
MOST_WAIT_MS = 5.0
MOST_FIRST_MS = 1_000.0


@dataclass(frozen=True, slots=True)
class Report:
    database: str
    templates: int
    costs: Costs
    decisions_per_s: dict[int, float]
    """Decisions per second by the number of workers."""

    @property
    def missed(self) -> list[str]:
        found = [store.searches for store in self.costs.stores]
        return [
            f"{one.name}: recall {one.recall:.4f}" for one in found if one.recall < LEAST_RECALL.get(one.name, 0.999)
        ]

    @property
    def slow(self) -> list[str]:
        return [f"{store.searches.name}: {words}" for store in self.costs.stores for words in _slow(store)]


def _slow(store: StoreCosts) -> Iterator[str]:
    if store.enrolment_ratio > MOST_ENROLMENT_RATIO:
        yield f"an enrolment takes {store.enrolment_ratio:.2f} times one into a small gallery"
    if max(store.first_ms, store.first_without_file_ms) > MOST_FIRST_MS:
        yield "a first search takes over a second"
    if max(store.other_beside_enrolments.p95, store.other_beside_rebuild.p95) > store.other_alone.p95 + MOST_WAIT_MS:
        yield f"another tenant waits more than {MOST_WAIT_MS:g} ms longer"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    databases = [options.database] if options.database else DATABASES
    reports = [measure(name, options.templates, options.stores.split(","), options.decisions) for name in databases]
    show(reports, text, as_json=options.json)
    return 1 if any(report.missed for report in reports) else 0


def measure(database: str, templates: int, names: Sequence[str], with_decisions: bool) -> Report:
    with database_server(database) as url:
        costs = _alone(url, lambda pool: pool.submit(stores.measure, templates, names).result())
        decisions = {workers: _decisions_per_s(url, workers) for workers in WORKERS if with_decisions}
    return Report(database, templates, costs, decisions)


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
    return "\n\n".join(_text(report) for report in reports)


def _text(report: Report) -> str:
    parts = [
        f"{report.database}, {report.templates} templates; milliseconds",
        table(
            ["search", "p50", "p95", "CPU p50", "recall@1", "of"],
            [_search(one) for one in [*(store.searches for store in report.costs.stores), *report.costs.libraries]],
        ),
        table(
            [
                "first search",
                "no file",
                "file",
                "enrolment: small",
                "large",
                "ratio",
                "CPU ratio",
                "MiB private",
                "mapped",
            ],
            [_enrolment(store) for store in report.costs.stores],
        ),
        table(
            ["another tenant, p95", "alone", "beside enrolments", "beside a rebuild", "rebuild s"],
            [_other(store) for store in report.costs.stores],
        ),
    ]
    if report.decisions_per_s:
        heads = ["decisions/s", *(f"{workers} workers" for workers in report.decisions_per_s)]
        parts.append(table(heads, [["", *(number(found) for found in report.decisions_per_s.values())]]))
    return "\n".join([*parts, *(f"missed: {words}" for words in report.missed), *(f"slow: {w}" for w in report.slow)])


def _search(one: Searches) -> list[str]:
    times = one.search
    return [
        one.name,
        *(number(ms, 2) for ms in (times.p50, times.p95, times.cpu_p50)),
        number(one.recall, 4),
        str(one.probes),
    ]


def _enrolment(store: StoreCosts) -> list[str]:
    small, large = store.enrolment_small, store.enrolment_large
    return [
        store.searches.name,
        number(store.first_without_file_ms),
        number(store.first_ms),
        number(small.p50, 1),
        number(large.p50, 1),
        number(store.enrolment_ratio, 2),
        number(large.cpu_p50 / small.cpu_p50, 2),
        str(store.private_mb),
        str(store.mapped_mb),
    ]


def _other(store: StoreCosts) -> list[str]:
    measured = (store.other_alone, store.other_beside_enrolments, store.other_beside_rebuild)
    return [store.searches.name, *(number(times.p95, 1) for times in measured), number(store.rebuild_s, 1)]


def _parser() -> argparse.ArgumentParser:
    parser = report_parser("gallery", "Stores of templates, and decisions.")
    parser.add_argument("--database", choices=DATABASES, help="both when it is not given")
    parser.add_argument("--templates", type=int, default=30_000, help="of the large gallery (%(default)s)")
    parser.add_argument("--stores", default="exact,usearch", help="with commas (%(default)s)")
    parser.add_argument("--no-decisions", dest="decisions", action="store_false", help="measure stores alone")
    return parser


if __name__ == "__main__":
    sys.exit(main())
