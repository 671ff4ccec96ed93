"""How fast a job imports pictures, against a bare engine, and what live streams notice of it.

    python -m bench.imports [--pictures 2000] [--database sqlite|postgresql] [--broker none|redis] [--json]

Pictures of Labeled Faces in the Wild are imported by a real worker process, with all rules of the service, between two
turns of a bare engine in the same class of service. The worker's engine is loaded before. Then
the same pictures are imported for another tenant while sockets send frames to a running service; `rise` compares their
waits with those of the same sockets before. Ends with 1 below 80 % of the bare rate, or above 25 % of rise.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import psutil

from bench.cli import has_clips, report_parser, show
from bench.imports import inside
from bench.imports.inside import Speed
from bench.lfw import IMAGES, picture_names
from bench.load.figures import Latency, latency
from bench.load.live import Manner
from bench.load.process import LoadProcess
from bench.load.streams import StreamJob
from bench.load.tables import number, table
from testkit.servers import database_server, redis_server
from testkit.service import REPOSITORY, LiveService, running_service

LEAST_SHARE = 0.8
MOST_RISE = 0.25
WARM_PICTURES = 4
WARM_UP_S = 3.0
LOOKS_EVERY_S = 0.25
STOPS_WITHIN_S = 30.0
TENANTS = ("alone", "beside")

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    pictures: int
    database: str
    broker: str
    streams: int
    fps: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """Pictures a second; milliseconds from frame to answer. `enrolled`: of the pictures. `load`: of the machine."""

    plan: Plan
    load: float
    bare: tuple[Speed, Speed]
    imported: Speed
    enrolled: int
    streams_alone: Latency
    streams_beside: Latency

    @property
    def share(self) -> float:
        """Of the bare rate."""
        return self.imported.per_s / (sum(one.per_s for one in self.bare) / len(self.bare))

    @property
    def rise(self) -> float:
        alone, beside = self.streams_alone.p95, self.streams_beside.p95
        return float("inf") if alone is None or beside is None else beside / alone - 1


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if not has_clips("imports"):
        return 2
    report = measure(
        Plan(options.pictures, options.database, options.broker, options.streams, options.fps, options.seconds)
    )
    show(report, _text, as_json=options.json)
    return 0 if report.share >= LEAST_SHARE and report.rise <= MOST_RISE else 1


def measure(plan: Plan) -> Report:
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-imports-")))
        url = stack.enter_context(database_server(plan.database))
        environment = {"DATABASE_URL": url, "FACE_DATA_DIR": str(directory / "var")}
        if plan.broker == "redis":
            environment["REDIS_URL"] = stack.enter_context(redis_server(directory))
        os.environ.update(environment, DJANGO_SETTINGS_MODULE="face_app.settings")
        service = stack.enter_context(running_service(directory, workers=1, pool_size=4, environment=environment))
        pictures = _lay_out(directory / "var" / "import", plan.pictures)
        _apart(inside.make_tenants, TENANTS)
        worker = stack.enter_context(_worker(directory / "worker.log"))
        first = _apart(inside.bare_rate, pictures)
        _import(TENANTS[0], "warm")
        before_s = _cpu_s(worker)
        took_s, enrolled = _import(TENANTS[0], "people")
        imported = inside.Speed(len(pictures) / took_s, 1000 * (_cpu_s(worker) - before_s) / len(pictures))
        bare = first, _apart(inside.bare_rate, pictures)
        alone = _waits(service, plan)
        _import(TENANTS[1], "warm")
        job = _apart(inside.submit_import, TENANTS[1], "people")
        beside = _waits(service, plan)
        if _apart(inside.progress_of, job)[0] not in ("running", "queued"):
            print("imports: the import has ended before the streams: take more pictures", file=sys.stderr)
        return Report(plan, load, bare, imported, enrolled, alone, beside)


def _lay_out(imports: Path, number_of: int) -> list[Path]:
    """Put the pictures into each tenant's folder, and a few into another one beside."""
    names = picture_names()[:number_of]
    for tenant in TENANTS:
        for name in names:
            place = imports / tenant / "people" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(IMAGES / name, place)
        (imports / tenant / "warm").mkdir()
        for index, name in enumerate(picture_names()[-WARM_PICTURES:]):
            shutil.copyfile(IMAGES / name, imports / tenant / "warm" / f"warm-{index}.jpg")
    return [IMAGES / name for name in names]


@contextmanager
def _worker(log: Path) -> Iterator[psutil.Process]:
    command = [sys.executable, str(REPOSITORY / "face_recognition_app" / "manage.py"), "jobs", "worker"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            try:
                process.wait(STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _cpu_s(worker: psutil.Process) -> float:
    """CPU time of the worker and of all that it has started: the engine's process, too."""
    times = [one.cpu_times() for one in (worker, *worker.children(recursive=True))]
    return float(sum(one.user + one.system for one in times))


def _import(tenant: str, source: str) -> tuple[float, int]:
    """Seconds that the job took, and how many pictures it has enrolled."""
    job = _apart(inside.submit_import, tenant, source)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        while True:
            status, _, took_s, result = pool.submit(inside.progress_of, job).result()
            if status == "succeeded":
                return took_s, result["enrolled"]
            if status in ("failed", "dead", "cancelled"):
                raise RuntimeError(f"the import is {status}")
            time.sleep(LOOKS_EVERY_S)


def _waits(service: LiveService, plan: Plan) -> Latency:
    """How long frames of live streams wait for their answers."""
    streams = StreamJob(
        base_url=service.base_url,
        api_key=service.api_key,
        kind="sandbox",
        liveness="passive",
        people=frozenset(),
        sessions=plan.streams,
        manner=Manner(plan.fps, obey_pacing=False),
        warm_up_s=WARM_UP_S,
        seconds=plan.seconds,
    )
    with LoadProcess() as process:
        outcome = process.run(streams)
    return latency([value for tally in outcome.tallies for value in tally.latencies_ms])


def _apart(call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Call in a process of its own, which may set Django up and change its priority."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(call, *arguments, **named).result()


def _text(report: Report) -> str:
    plan = report.plan
    speeds = {"bare engine, before": report.bare[0], "and after": report.bare[1], "import": report.imported}
    rates = [[name, number(one.per_s, 1), number(one.cpu_ms, 1)] for name, one in speeds.items()]
    waits = [
        [name, number(one.p50, 1), number(one.p95, 1), number(one.p99, 1)]
        for name, one in (("streams alone", report.streams_alone), ("beside the import", report.streams_beside))
    ]
    return "\n".join(
        [
            f"{plan.pictures} pictures, {report.enrolled} enrolled; {plan.database}, broker {plan.broker}; "
            f"load of the machine before: {report.load:.1f}",
            table(["", "pictures/s", "CPU ms each"], rates),
            f"share of the bare rate: {report.share:.0%}",
            table([f"{plan.streams} streams of {plan.fps:g} frames/s, ms", "p50", "p95", "p99"], waits),
            f"rise of p95: {report.rise:+.0%}",
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = report_parser("imports", "Imports by background jobs.")
    parser.add_argument("--pictures", type=int, default=2_000, help="that are imported (%(default)s)")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite", help="%(default)s")
    parser.add_argument("--broker", choices=("none", "redis"), default="none", help="%(default)s")
    parser.add_argument("--streams", type=int, default=3, help="live clients meanwhile (%(default)s)")
    parser.add_argument("--fps", type=float, default=5.0, help="frames a second of each (%(default)g)")
    parser.add_argument("--seconds", type=float, default=20.0, help="that streams are measured (%(default)g)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
