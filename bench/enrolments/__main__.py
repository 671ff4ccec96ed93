"""What an enrolment costs through REST, by the size of the gallery, and how many a service takes a second.

    python -m bench.enrolments [--database sqlite|postgresql] [--store exact|usearch|pgvector] [--templates 100000]
                               [--pictures 150] [--clients 4] [--json]

Every request is a picture of another person of Labeled Faces in the Wild, with all rules of the service: faces,
quality, the search for duplicates, the audit trail. The same picture goes into a small gallery and into a
large one of random templates, one after the other, in turns. Meanwhile another tenant searches a gallery of its own;
what that costs beside enrolments into the small gallery is the engine's share.

The engine's bare rate is that of the same pictures in processes without a database or HTTP, with as many threads. The
service's CPU time of each enrolment, the engine's with it, is told beside the rates: other work on the machine changes
it less.
Ends with 1 when an enrolment into the large gallery takes more than 1.2 times one into the small one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bench.cli import has_clips, report_parser, show
from bench.enrolments import inside
from bench.enrolments.door import Door
from bench.lfw import IMAGES, person_of, picture_names
from bench.load.server_usage import usage
from bench.load.tables import number, table
from testkit.servers import database_server
from testkit.service import LiveService, running_service

SMALL = 100
MOST_RATIO = 1.2
WORKERS = (1, 2)
PAUSE_S = 0.05
"""Between searches of another tenant."""


@dataclass(frozen=True, slots=True)
class Served:
    """A running service, and a door to each tenant."""

    service: LiveService
    doors: Mapping[str, Door]


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds by the clock."""

    p50: float
    p95: float

    @classmethod
    def of(cls, took_ms: Sequence[float]) -> Times:
        return cls(float(np.median(took_ms)), float(np.quantile(took_ms, 0.95)))


@dataclass(frozen=True, slots=True)
class Rate:
    """Enrolments a second of a service, and pictures a second of as many bare engines. `service_ms`, `client_ms`: CPU
    time that an enrolment takes of the service and of those who send the pictures."""

    workers: int
    clients: int
    service: float
    engine: float
    service_ms: float
    client_ms: float


@dataclass(frozen=True, slots=True)
class Report:
    database: str
    store: str
    templates: int
    first_search_ms: float
    small: Times
    large: Times
    other_alone: Times
    other_beside_small: Times
    other_beside_large: Times
    rates: Sequence[Rate]

    @property
    def ratio(self) -> float:
        return self.large.p50 / self.small.p50


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if not has_clips("enrolments"):
        return 2
    report = measure(options.database, options.store, options.templates, options.pictures, options.clients)
    show(report, _text, as_json=options.json)
    return 1 if report.ratio > MOST_RATIO else 0


def measure(database: str, store: str, templates: int, number_of_pictures: int, clients: int) -> Report:
    with database_server(database) as url, tempfile.TemporaryDirectory(prefix="bench-enrolments-") as name:
        directory = Path(name)
        environment = {"DATABASE_URL": url, "FACE_GALLERY_STORE": store, "FACE_DATA_DIR": str(directory / "var")}
        os.environ.update(environment, DJANGO_SETTINGS_MODULE="face_app.settings")
        with _served(directory, 1, environment, {}):
            pass  # Makes the database.
        sizes = {"small": SMALL, "large": templates, "other": SMALL, "sieve": 0}
        keys = _apart(inside.make_tenants, sizes | {f"rate-{workers}": 0 for workers in WORKERS})
        with _served(directory, 1, environment, keys) as served:
            doors = served.doors
            pictures = _accepted(doors["sieve"], number_of_pictures)
            doors["large"].search(pictures[0])  # Makes the index.
        with _served(directory, 1, environment, keys) as served:
            doors = served.doors
            first_ms = _took_ms(lambda: doors["large"].search(pictures[0]))  # The worker's first request.
            doors["other"].search(pictures[0])
            turns, beside = pictures[::2], pictures[1::2]
            small, large = _in_turns(doors, turns)
            with _searching(doors["other"], pictures[0]) as alone:
                time.sleep(PAUSE_S * len(beside))
            with _searching(doors["other"], pictures[0]) as beside_small:
                _enrol_all(doors["small"], "beside", beside)
            with _searching(doors["other"], pictures[0]) as beside_large:
                _enrol_all(doors["large"], "beside", beside)
        rates = [_rate(directory, environment, keys, workers, clients * workers, pictures) for workers in WORKERS]
    return Report(
        database,
        store,
        templates,
        first_ms,
        Times.of(small),
        Times.of(large),
        Times.of(alone),
        Times.of(beside_small),
        Times.of(beside_large),
        rates,
    )


def _accepted(door: Door, number_of: int) -> list[bytes]:
    """A picture each of so many people, none of which is refused."""
    by_person = {person_of(name): IMAGES / name for name in picture_names()}
    accepted: list[bytes] = []
    for person, path in by_person.items():
        picture = path.read_bytes()
        if door.ask_to_enrol(person, picture).status == 201:
            accepted.append(picture)
        if len(accepted) == number_of:
            return accepted
    raise RuntimeError(f"only {len(accepted)} of {len(by_person)} people can be enrolled")


def _rate(
    directory: Path,
    environment: dict[str, str],
    keys: Mapping[str, str],
    workers: int,
    clients: int,
    pictures: Sequence[bytes],
) -> Rate:
    engine = _pictures_per_s(workers, pictures)
    with _served(directory, workers, environment, keys) as served, ThreadPoolExecutor(clients) as threads:
        served.doors["small"].search(pictures[0])
        door = served.doors[f"rate-{workers}"]
        before, client_s = usage(served.service.pid).cpu_s, time.process_time()
        began = time.monotonic()
        jobs = [threads.submit(_enrol_all, door, f"c{n}", pictures[n::clients]) for n in range(clients)]
        for job in jobs:
            job.result()
        rate = len(pictures) / (time.monotonic() - began)
        client_s = time.process_time() - client_s
        service_s = usage(served.service.pid).cpu_s - before
    return Rate(workers, clients, rate, engine, 1000 * service_s / len(pictures), 1000 * client_s / len(pictures))


def _pictures_per_s(workers: int, pictures: Sequence[bytes]) -> float:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, inside.load_engine, (context.Barrier(workers),)) as pool:
        jobs = [pool.submit(inside.embed_all, pictures[n::workers]) for n in range(workers)]
        spans = [job.result() for job in jobs]
    return len(pictures) / (max(span.ended for span in spans) - min(span.began for span in spans))


def _apart(call: Callable[[dict[str, int]], dict[str, str]], argument: dict[str, int]) -> dict[str, str]:
    """Call in a process of its own, which may set Django up."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(call, argument).result()


@contextmanager
def _served(directory: Path, workers: int, environment: dict[str, str], keys: Mapping[str, str]) -> Iterator[Served]:
    """Run the service."""
    with running_service(directory, workers=workers, pool_size=inside.POOL_SIZE, environment=environment) as service:
        yield Served(service, {name: Door(service.base_url, key) for name, key in keys.items()})


def _in_turns(doors: Mapping[str, Door], pictures: Sequence[bytes]) -> tuple[list[float], list[float]]:
    """Milliseconds of each enrolment into the small and into the large gallery."""
    took: dict[str, list[float]] = {"small": [], "large": []}
    for number_of, picture in enumerate(pictures):
        for name in ("small", "large") if number_of % 2 else ("large", "small"):
            enrol = partial(doors[name].enrol, f"turn-{number_of}", picture)
            took[name].append(_took_ms(enrol))
    return took["small"], took["large"]


@contextmanager
def _searching(door: Door, picture: bytes) -> Iterator[list[float]]:
    """Search again and again meanwhile; yields the list of milliseconds."""
    took: list[float] = []
    end = threading.Event()

    def search() -> None:
        while not end.wait(PAUSE_S):
            took.append(_took_ms(lambda: door.search(picture)))

    with ThreadPoolExecutor(1) as thread:
        searching = thread.submit(search)
        try:
            yield took
        finally:
            end.set()
        searching.result()


def _enrol_all(door: Door, name: str, pictures: Sequence[bytes]) -> None:
    for number_of, picture in enumerate(pictures):
        door.enrol(f"{name}-{number_of}", picture)


def _took_ms(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def _text(report: Report) -> str:
    times = {
        "enrolment into a small gallery": report.small,
        "enrolment into the large gallery": report.large,
        "another tenant's search, alone": report.other_alone,
        "beside enrolments into the small gallery": report.other_beside_small,
        "beside enrolments into the large gallery": report.other_beside_large,
    }
    rates = [
        [
            str(one.workers),
            str(one.clients),
            number(one.service, 1),
            number(one.engine, 1),
            f"{one.service / one.engine:.0%}",
            number(one.service_ms, 1),
            number(one.client_ms, 1),
        ]
        for one in report.rates
    ]
    return "\n".join(
        [
            f"{report.database}, {report.store}, {report.templates} templates; milliseconds",
            table(["", "p50", "p95"], [[name, number(one.p50, 1), number(one.p95, 1)] for name, one in times.items()]),
            f"large against small: {report.ratio:.2f}; first search after the start: {report.first_search_ms:.0f} ms",
            table(["workers", "clients", "enrolments/s", "engine's", "share", "its CPU ms", "clients' CPU ms"], rates),
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = report_parser("enrolments", "Enrolments through REST.")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite", help="%(default)s")
    parser.add_argument("--store", default="exact", help="exact, usearch or pgvector (%(default)s)")
    parser.add_argument("--templates", type=int, default=100_000, help="of the large gallery (%(default)s)")
    parser.add_argument("--pictures", type=int, default=150, help="people who are enrolled (%(default)s)")
    parser.add_argument("--clients", type=int, default=4, help="of each worker, for the rates (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
