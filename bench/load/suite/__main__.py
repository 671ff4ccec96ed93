"""The load test suite: the original guides' commands, Locust and sockets against 1, 2 and 4 workers.

    python -m bench.load.suite [--workers 1,2,4] [--pool-size 4] [--seconds S] [--sockets 50] [--fps 5] [--only C8,C10]
        [--least-success 99.9] [--most-p95-ms MS] [--least-rps N] [--json]

Each number of workers gets a service of its own, and all loads one after the other: `ab` and `hey` as the guides
write them with our address, their users by Locust, sockets that stream real frames, clients of the terminal (wscat if
it is installed), and a way of 480 ms there and back. --seconds takes the place of the lines' own durations, with which
a number of workers needs four minutes. Server and clients share the machine.

Ends with 1 when a row misses a threshold, with 2 when there are no clips or a tool is missing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from bench.cli import add_fps, has_clips, plan_options, report_parser, show
from bench.load.process import LoadProcess, end_on_sigterm, raise_file_limit
from bench.load.sessions import ENVIRONMENT
from bench.load.suite.loads import LOADS, Load, Site
from bench.load.tables import number
from testkit.service import temporary_service

_HEADS = ("row", "load", "workers", "answered/s", "mean ms", "p95 ms", "CPU %", "success %", "claimed")
_TOOLS = {"ab": "apt-get install apache2-utils", "hey": "apt-get install hey"}


@dataclass(frozen=True, slots=True)
class Plan:
    workers: tuple[int, ...]
    pool_size: int
    seconds: float | None
    sockets: int
    fps: float
    only: tuple[str, ...]
    """Rows of the original documents; empty: all."""
    least_success: float
    most_p95_ms: float | None
    least_rps: float | None


@dataclass(frozen=True, slots=True)
class Row:
    source: str
    """The row of the original documents."""
    load: str
    workers: int
    answered: int
    per_s: float | None
    mean_ms: float | None
    p95_ms: float | None
    cpu_percent: float
    """Of all cores, taken by the service; clients take most of the others."""
    success_percent: float
    failures: Mapping[str, int]
    claimed: str


@dataclass(frozen=True, slots=True)
class Report:
    plan: Plan
    rows: list[Row]
    missed: list[str]


def run(plan: Plan) -> Report:
    loads = [load for load in LOADS if not plan.only or set(plan.only) & set(load.row.split(", "))]
    rows = [row for workers in plan.workers for row in _rows(plan, workers, loads)]
    return Report(plan, rows, [miss for row in rows for miss in missed(plan, row)])


def _rows(plan: Plan, workers: int, loads: Sequence[Load]) -> list[Row]:
    rows: list[Row] = []
    with (
        temporary_service(workers=workers, pool_size=plan.pool_size, environment=ENVIRONMENT) as service,
        LoadProcess() as streaming,
    ):
        site = Site(service, streaming, plan.seconds, plan.sockets, plan.fps)
        for load in loads:
            rows += _measure(load, site, workers)
    return rows


def _measure(load: Load, site: Site, workers: int) -> list[Row]:
    claimed = load.claimed.get(workers, load.claimed.get(0, ""))
    rows = [
        Row(
            source=load.row,
            load=seen.load,
            workers=workers,
            answered=seen.sample.answered,
            per_s=seen.sample.per_s,
            mean_ms=seen.sample.mean_ms,
            p95_ms=seen.sample.p95_ms,
            cpu_percent=100 * seen.cpu_cores / len(os.sched_getaffinity(0)),
            success_percent=seen.sample.success_percent,
            failures=seen.sample.failures,
            claimed=claimed,
        )
        for seen in load.run(site)
    ]
    for row in rows:
        print(
            f"{workers} workers, {row.load}: {number(row.per_s)}/s, {row.success_percent:g} %",
            file=sys.stderr,
            flush=True,
        )
    return rows


def missed(plan: Plan, row: Row) -> list[str]:
    """The thresholds that a row misses, said in full."""
    what = f"{row.load}, {row.workers} workers"
    found: list[str] = []
    if row.success_percent < plan.least_success:
        why = ", ".join(f"{count} x {kind}" for kind, count in row.failures.items())
        found.append(f"{what}: {row.success_percent:g} % success, not {plan.least_success:g} ({why})")
    if plan.most_p95_ms is not None and (row.p95_ms is None or row.p95_ms > plan.most_p95_ms):
        found.append(f"{what}: p95 {number(row.p95_ms)} ms, not {plan.most_p95_ms:g}")
    if plan.least_rps is not None and row.per_s is not None and row.per_s < plan.least_rps:
        found.append(f"{what}: {number(row.per_s)} answered/s, not {plan.least_rps:g}")
    return found


def text(report: Report) -> str:
    """The rows as a markdown table, load by load, and what was missed."""
    order = list(dict.fromkeys(row.load for row in report.rows))
    rows = sorted(report.rows, key=lambda row: order.index(row.load))
    lines = [_HEADS, ("---",) * len(_HEADS), *map(_cells, rows)]
    return "\n".join(
        [*(f"| {' | '.join(line)} |" for line in lines), "", *(f"missed: {miss}" for miss in report.missed)]
    )


def _cells(row: Row) -> tuple[str, ...]:
    measured = (number(row.per_s), number(row.mean_ms), number(row.p95_ms), number(row.cpu_percent))
    return (row.source, f"`{row.load}`", str(row.workers), *measured, f"{row.success_percent:g}", row.claimed)


def missing_tools() -> list[str]:
    missing = [f"{tool} ({cure})" for tool, cure in _TOOLS.items() if shutil.which(tool) is None]
    return missing if find_spec("locust") else [*missing, "locust (./run_tests.sh installs it)"]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    missing = missing_tools()
    if missing:
        print(f"load.suite: not here: {', '.join(missing)}", file=sys.stderr)
    if missing or not has_clips("load.suite"):
        return 2
    raise_file_limit()
    report = run(Plan(**plan_options(options)))
    show(report, text, as_json=options.json)
    return 1 if report.missed else 0


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in text.split(","))
    if min(numbers) < 1:
        raise ValueError(f"at least one worker, not {text}")
    return numbers


def _parser() -> argparse.ArgumentParser:
    parser = report_parser("load.suite", "The original guides' commands, Locust and sockets by the number of workers.")
    parser.add_argument("--workers", type=_numbers, default=(1, 2, 4), help="numbers to try, with commas (1,2,4)")
    parser.add_argument("--pool-size", type=int, default=4, help="FaceMesh instances per worker (%(default)s)")
    parser.add_argument("--seconds", type=float, help="of each load with a duration (default: the lines' own)")
    parser.add_argument("--sockets", type=int, default=50, help="clients with sockets (%(default)s)")
    add_fps(parser, 5.0)
    parser.add_argument("--only", type=_rows_named, default=(), help="rows of the original documents, as C8,C10")
    parser.add_argument("--least-success", type=float, default=99.9, help="percent of each row (%(default)g)")
    parser.add_argument("--most-p95-ms", type=float, help="of each row")
    parser.add_argument("--least-rps", type=float, help="answered/s of each row")
    return parser


def _rows_named(text: str) -> tuple[str, ...]:
    known = {row for load in LOADS for row in load.row.split(", ")}
    named = tuple(text.split(","))
    if not known.issuperset(named):
        raise argparse.ArgumentTypeError(f"rows are {', '.join(sorted(known))}")
    return named


if __name__ == "__main__":
    end_on_sigterm()
    sys.exit(main())
