"""Number of live sessions that this machine sustains for each number of workers and pool size: the sizing table.

    python -m bench.capacity [--settings 1x4,2x4,2x8] [--fps 10] [--seconds 10] [--guess 8] [--json]

Each setting (workers x pool size) and load gets its own service and the search of bench.stream: the largest number
of sessions with a p95 of at most 200 ms from send to answer, no frame dropped and no busy answer, confirmed over
--seconds. The loads are sandboxes, which check liveness, and identifications without liveness. Each search takes a
minute or two. The table goes to stdout as markdown, progress to stderr.

Clients share the machine with the service, so a dedicated server sustains more. Ends with 1 when a setting does
not sustain one session, with 2 when there are no clips.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from bench.cli import add_fps, has_clips, report_parser, show
from bench.load.figures import Step
from bench.load.process import LoadProcess, end_on_sigterm, raise_file_limit
from bench.load.server_usage import MIB, usage
from bench.load.sessions import ENVIRONMENT, Kind
from bench.load.tables import number
from bench.stream import WARM_UP_S, Bench, Plan
from testkit.service import temporary_service
from testkit.stream_client import Liveness

_HEADS = (
    *("load", "workers", "pool size", "sessions", "frames/s", "decided/s", "p95 ms"),
    *("MiB per worker", "server cores", "client cores"),
)


@dataclass(frozen=True, slots=True)
class Setting:
    workers: int
    pool_size: int

    def __str__(self) -> str:
        return f"{self.workers}x{self.pool_size}"


@dataclass(frozen=True, slots=True)
class Load:
    kind: Kind
    liveness: Liveness

    def __str__(self) -> str:
        return f"{self.kind}, liveness {self.liveness}"


LOADS = (Load("sandbox", "passive"), Load("identification", "none"))


@dataclass(frozen=True, slots=True)
class Row:
    """The sessions of one load that a setting sustains. `steady` is None when not even one was answered in time."""

    load: Load
    setting: Setting
    sessions: int
    worker_mib: float
    """Mean PSS of the workers, right after the load."""
    steady: Step | None


@dataclass(frozen=True, slots=True)
class Search:
    """Parameters of the search."""

    fps: float
    seconds: float
    guess: int

    def plan(self, setting: Setting, load: Load, guess: int) -> Plan:
        return Plan(
            sessions=None,
            fps=self.fps,
            seconds=self.seconds,
            warm_up=WARM_UP_S,
            workers=setting.workers,
            pool_size=setting.pool_size,
            kind=load.kind,
            liveness=load.liveness,
            overload=(),
            obey_pacing=False,
            guess=guess,
        )


def measure(settings: Sequence[Setting], search: Search) -> list[Row]:
    """Search every load for each setting, starting at the result of the setting before."""
    rows: list[Row] = []
    guesses = dict.fromkeys(LOADS, search.guess)
    for setting in settings:
        for load in LOADS:
            print(f"capacity: {setting.workers} workers, pool of {setting.pool_size}: {load}", file=sys.stderr)
            row = _measure(setting, load, search.plan(setting, load, guesses[load]))
            guesses[load] = max(1, row.sessions)
            rows.append(row)
    return rows


def _measure(setting: Setting, load: Load, plan: Plan) -> Row:
    with (
        temporary_service(workers=setting.workers, pool_size=setting.pool_size, environment=ENVIRONMENT) as service,
        LoadProcess() as process,
    ):
        report = Bench(service, process, plan).run()
        worker_mib = _worker_bytes(service.pid) / MIB
    return Row(load, setting, report.sessions, round(worker_mib, 1), report.steady)


def _worker_bytes(master: int) -> float:
    """Mean PSS of the workers."""
    workers = psutil.Process(master).children()
    return sum(usage(worker.pid).pss_bytes for worker in workers) / len(workers)


def sizing_table(rows: Sequence[Row]) -> str:
    """The rows as a markdown table, load by load."""
    ordered = sorted(rows, key=lambda row: LOADS.index(row.load))
    lines = [_HEADS, ("---",) * len(_HEADS), *map(_cells, ordered)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    setting = (str(row.load), str(row.setting.workers), str(row.setting.pool_size), str(row.sessions))
    step = row.steady
    if step is None:
        return (*setting, "-", "-", "-", number(row.worker_mib), "-", "-")
    return (
        *setting,
        number(step.answered_per_s),
        number(step.decided_per_s, 1),
        number(step.latency_ms.p95),
        number(row.worker_mib),
        number(step.server.cpu_cores, 2),
        number(step.client_cpu_cores, 2),
    )


def parse_settings(text: str) -> list[Setting]:
    """
    >>> parse_settings("1x4,2x8")
    [Setting(workers=1, pool_size=4), Setting(workers=2, pool_size=8)]
    """
    settings = []
    for part in text.split(","):
        workers, _, pool_size = part.partition("x")
        settings.append(Setting(int(workers), int(pool_size)))
        if min(settings[-1].workers, settings[-1].pool_size) < 1:
            raise ValueError(f"at least one worker and one instance, not {part}")
    return settings


def default_settings(cores: int) -> list[Setting]:
    """One worker, then one worker per core with a small and a large pool."""
    return list(dict.fromkeys([Setting(1, 4), Setting(cores, 4), Setting(cores, 8)]))


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if not has_clips("capacity"):
        return 2
    raise_file_limit()
    rows = measure(options.settings, Search(options.fps, options.seconds, options.guess))
    show(rows, sizing_table, as_json=options.json)
    return 0 if all(row.sessions for row in rows) else 1


def _parser() -> argparse.ArgumentParser:
    parser = report_parser("capacity", "The sizing table of this machine.")
    settings = default_settings(len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--settings",
        type=parse_settings,
        default=settings,
        help=f"WORKERSxPOOL, with commas ({','.join(map(str, settings))})",
    )
    add_fps(parser, 10.0)
    parser.add_argument("--seconds", type=float, default=10.0, help="that a number of sessions must hold (%(default)g)")
    parser.add_argument("--guess", type=int, default=8, help="sessions to begin the first search with (%(default)s)")
    return parser


if __name__ == "__main__":
    end_on_sigterm()
    sys.exit(main())
