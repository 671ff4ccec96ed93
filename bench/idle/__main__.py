"""Memory and CPU cost of idle open sockets.

    python -m bench.idle [--sockets 10000] [--minutes 1] [--workers 2] [--json]

Opens sandbox sockets from one client process, waits for each one's `connection_established` and keeps
them open: each sends a ping per minute, below the service's idle timeout, evenly spread. Memory is PSS
of the master and its workers, each with a pool of one FaceMesh instance.

Ends with 1 when a socket did not open or was lost, with 2 when the system allows too few files.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.cli import add_workers, report_parser, show
from bench.idle.sockets import IdleJob, IdleOutcome
from bench.load.figures import Latency, latency
from bench.load.process import LoadProcess, end_on_sigterm, raise_file_limit
from bench.load.server_usage import MIB, Usage, cores_between, usage
from bench.load.tables import number, table
from config.settings import MAX_CONNECTIONS
from testkit.service import temporary_service

UNEVEN = 1.2
"""Allowed excess of one worker over its even share: the kernel distributes connections at random."""
SPARE_FILES = 500
SETTLE_S = 5.0


@dataclass(frozen=True, slots=True)
class Report:
    sockets: int
    workers: int
    minutes: float
    greeted: int
    connects_per_s: float
    """Sockets per second that were accepted and greeted."""
    pings: int
    pongs: int
    pong_ms: Latency
    lost: Mapping[str, int]
    pss_before_mib: float
    pss_open_mib: float
    pss_held_mib: float
    pss_after_mib: float
    """PSS after all sockets were closed."""
    kib_per_socket: float
    """Growth of PSS from before the first socket to the end of the hold, per greeted socket."""
    idle_cpu_cores: float
    client_cpu_s: float
    threads_before: int
    threads_held: int


def environment(sockets: int, workers: int) -> dict[str, str]:
    """Settings that allow each worker enough sockets, where the default does not."""
    needed = math.ceil(sockets / workers * UNEVEN)
    return {"FACE_MAX_CONNECTIONS": str(needed)} if needed > MAX_CONNECTIONS else {}


def too_many(sockets: int, workers: int, file_limit: int) -> str | None:
    """The reason why so many sockets cannot be opened here; None when they can."""
    needed = max(sockets, math.ceil(sockets / workers * UNEVEN)) + SPARE_FILES
    if needed <= file_limit:
        return None
    return f"{sockets} sockets need {needed} open files in a process; the hard limit (ulimit -Hn) is {file_limit}"


def run(sockets: int, minutes: float, workers: int) -> Report:
    with (
        temporary_service(workers=workers, pool_size=1, environment=environment(sockets, workers)) as service,
        LoadProcess() as load,
    ):
        moments = [usage(service.pid)]
        job = IdleJob(service.base_url, sockets, minutes * 60, SETTLE_S)
        outcome = load.run(job, lambda _: moments.append(usage(service.pid)))
    return _report(sockets, workers, minutes, outcome, moments)


def _report(sockets: int, workers: int, minutes: float, outcome: IdleOutcome, moments: list[Usage]) -> Report:
    before, opened, held, after = moments
    grown = held.pss_bytes - before.pss_bytes
    return Report(
        sockets=sockets,
        workers=workers,
        minutes=minutes,
        greeted=outcome.greeted,
        connects_per_s=round(outcome.greeted / outcome.connect_s, 1),
        pings=outcome.pings,
        pongs=len(outcome.pongs_ms),
        pong_ms=latency(outcome.pongs_ms),
        lost=dict(outcome.lost),
        pss_before_mib=round(before.pss_bytes / MIB, 1),
        pss_open_mib=round(opened.pss_bytes / MIB, 1),
        pss_held_mib=round(held.pss_bytes / MIB, 1),
        pss_after_mib=round(after.pss_bytes / MIB, 1),
        kib_per_socket=round(grown / 1024 / max(1, outcome.greeted), 1),
        idle_cpu_cores=round(cores_between(opened, held), 3),
        client_cpu_s=round(outcome.client_cpu_s, 1),
        threads_before=before.threads,
        threads_held=held.threads,
    )


def _text(report: Report) -> str:
    pong = report.pong_ms
    rows = [
        ["sockets greeted", f"{report.greeted} of {report.sockets}"],
        ["connects/s", number(report.connects_per_s, 1)],
        ["sockets lost", ", ".join(f"{name} {count}" for name, count in report.lost.items()) or "0"],
        ["ping to pong ms, p50 / p95 / p99", " / ".join(number(v, 1) for v in (pong.p50, pong.p95, pong.p99))],
        ["pongs", f"{report.pongs} of {report.pings}"],
        ["PSS MiB before / open / held / after", _memory(report)],
        ["KiB per socket", number(report.kib_per_socket, 1)],
        ["server CPU while held, cores", number(report.idle_cpu_cores, 3)],
        ["client CPU s", number(report.client_cpu_s, 1)],
        ["threads before / held", f"{report.threads_before} / {report.threads_held}"],
    ]
    return table([f"{report.workers} workers", f"{report.minutes:g} min"], rows)


def _memory(report: Report) -> str:
    values = (report.pss_before_mib, report.pss_open_mib, report.pss_held_mib, report.pss_after_mib)
    return " / ".join(number(value) for value in values)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("idle", "Open sockets that do nothing.")
    parser.add_argument("--sockets", type=int, default=10_000, help="(%(default)s)")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long they are kept (%(default)g)")
    add_workers(parser)
    options = parser.parse_args(arguments)
    problem = too_many(options.sockets, options.workers, raise_file_limit())
    if problem is not None:
        print(f"idle: {problem}", file=sys.stderr)
        return 2
    report = run(options.sockets, options.minutes, options.workers)
    show(report, _text, as_json=options.json)
    return 1 if report.lost else 0


if __name__ == "__main__":
    end_on_sigterm()
    sys.exit(main())
