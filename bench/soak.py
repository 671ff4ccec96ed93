"""Stability of the service under hours of mixed load.

    python -m bench.soak [--minutes 30] [--sessions 12] [--fps 10] [--workers 2] [--pool-size 8] [--every 60] [--json]

The load: live clients (half of them sandboxes, a third identify with passive liveness, a sixth enrol
new subjects and erase them), health probes, clients that vanish in the middle of a frame, and broken
pictures. Each minute prints a line with memory (PSS of master and workers), threads, the pools and
counts since the start; answered/s and p95 are those of the minute. With --json these lines go to
stderr. The result: growth of memory since minute 3, whether the number of threads is constant, and
whether the pools are whole after the load.

Clients obey pacing and busy answers, as real ones do. Ends with 1 after an error or with a pool
that is not whole, with 2 when there are no clips.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from bench.cli import add_fps, add_service, has_clips, plan_options, report_parser, show
from bench.load.live import Manner
from bench.load.mixed import Mix, MixedJob, Progress
from bench.load.process import LoadProcess, end_on_sigterm, raise_file_limit
from bench.load.server_usage import MIB, Usage, usage
from bench.load.sessions import ENVIRONMENT, enroll_people
from bench.load.tables import number
from testkit.service import LiveService, temporary_service

WARM_UP_S = 180.0
"""Start of the comparison of memory and threads; in a short run it starts after a quarter."""
SETTLE_S = 5.0
_HEADS = (
    *("minute", "PSS MiB", "threads", "in use", "waiting", "pool", "answered/s", "p95 ms", "dropped", "busy"),
    *("decided", "succeeded", "http", "aborted", "refused", "errors"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    minutes: float
    sessions: int
    fps: float
    workers: int
    pool_size: int
    every: float
    """Seconds between two samples."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The pools of all workers by /api/pool/status/; `pool_size`: instances created so far."""

    in_use: int
    waiting: int
    pool_size: int
    max_size: int
    timeouts_total: int


@dataclass(frozen=True, slots=True)
class Sample:
    minute: float
    pss_mib: float
    threads: int
    processes: int
    pool: Pool
    answered_per_s: float
    progress: Progress


@dataclass(frozen=True, slots=True)
class Report:
    plan: Plan
    mix: Mix
    samples: list[Sample]
    final: Progress
    final_pool: Pool
    final_pss_mib: float
    """PSS some seconds after the load."""
    growth_percent: float
    """Growth of PSS from the end of the warm-up to the end of the load."""
    threads_constant: bool
    pool_whole: bool


class Soak:
    """Samples a running service."""

    def __init__(self, service: LiveService, plan: Plan, out: TextIO) -> None:
        self._service = service
        self._plan = plan
        self._out = out
        self._mix = Mix.of(plan.sessions)
        self._samples: list[Sample] = []
        self._seconds = 0.0
        self._answered = 0

    def run(self, load: LoadProcess) -> Report:
        job = MixedJob(
            base_url=self._service.base_url,
            api_key=self._service.api_key,
            people=enroll_people(self._service),
            mix=self._mix,
            manner=Manner(self._plan.fps, obey_pacing=True),
            seconds=self._plan.minutes * 60,
            every_s=self._plan.every,
        )
        print(line(_HEADS), file=self._out)
        final = load.run(job, self._take_sample)
        time.sleep(SETTLE_S)
        final_pool, final_usage = self._pool(), usage(self._service.pid)
        steady = settled(self._samples, self._plan.minutes)
        return Report(
            plan=self._plan,
            mix=self._mix,
            samples=self._samples,
            final=final,
            final_pool=final_pool,
            final_pss_mib=_mib(final_usage),
            growth_percent=growth_percent([sample.pss_mib for sample in steady]),
            threads_constant=len({sample.threads for sample in steady}) == 1,
            pool_whole=is_whole(final_pool, [sample.pool for sample in self._samples]),
        )

    def _take_sample(self, note: object) -> None:
        assert isinstance(note, Progress)
        self._seconds += note.seconds
        answered, self._answered = note.answered - self._answered, note.answered
        now = usage(self._service.pid)
        sample = Sample(
            minute=round(self._seconds / 60, 2),
            pss_mib=_mib(now),
            threads=now.threads,
            processes=now.processes,
            pool=self._pool(),
            answered_per_s=round(answered / note.seconds, 1),
            progress=note,
        )
        self._samples.append(sample)
        print(line(_cells(sample)), file=self._out, flush=True)

    def _pool(self) -> Pool:
        status = self._service.get("/api/pool/status/").json()
        return Pool(**{name: status[name] for name in Pool.__dataclass_fields__})


def settled(samples: Sequence[Sample], minutes: float) -> list[Sample]:
    """The samples after the warm-up, or only the last one when there are none."""
    begin = min(WARM_UP_S / 60, minutes / 4)
    return [sample for sample in samples if sample.minute >= begin] or list(samples[-1:])


def growth_percent(pss_mib: Sequence[float]) -> float:
    """Growth from the first to the last value, in percent."""
    return round(100 * (pss_mib[-1] / pss_mib[0] - 1), 2)


def is_whole(pool: Pool, before: Sequence[Pool]) -> bool:
    """Whether no instance is lent or awaited, and none that existed before is missing."""
    most = max((past.pool_size for past in before), default=0)
    return pool.in_use == pool.waiting == 0 and most <= pool.pool_size <= pool.max_size


def line(cells: Sequence[str]) -> str:
    """One row of a table that is printed while it grows."""
    return "  ".join(cell.rjust(len(head)) for cell, head in zip(cells, _HEADS, strict=True))


def _mib(used: Usage) -> float:
    return round(used.pss_bytes / MIB, 1)


def _cells(sample: Sample) -> list[str]:
    pool, progress = sample.pool, sample.progress
    return [
        number(sample.minute, 1),
        number(sample.pss_mib),
        str(sample.threads),
        str(pool.in_use),
        str(pool.waiting),
        f"{pool.pool_size}/{pool.max_size}",
        number(sample.answered_per_s, 1),
        number(progress.latency_ms.p95),
        str(progress.dropped),
        str(progress.busy),
        str(progress.decided),
        str(progress.succeeded),
        str(progress.http_answered),
        str(progress.aborted),
        str(progress.refused),
        str(sum(progress.errors.values())),
    ]


def _summary(report: Report) -> str:
    steady, pool = settled(report.samples, report.plan.minutes), report.final_pool
    threads = [sample.threads for sample in steady]
    return "\n".join(
        [
            "",
            f"memory from minute {steady[0].minute:.1f} to {steady[-1].minute:.1f}: {steady[0].pss_mib:.0f} to "
            f"{steady[-1].pss_mib:.0f} MiB, {report.growth_percent:+.2f} %; {report.final_pss_mib:.0f} after the load",
            f"threads {'constant' if report.threads_constant else 'not constant'}: {min(threads)} to {max(threads)}",
            f"pools {'whole' if report.pool_whole else 'NOT whole'}: {pool.in_use} in use, {pool.waiting} waiting, "
            f"{pool.pool_size} of {pool.max_size} instances made, {pool.timeouts_total} waits timed out",
            f"sessions: {report.final.succeeded} of {report.final.decided} succeeded, the others by reason: "
            f"{dict(report.final.failures) or 'none'}",
            f"errors: {dict(report.final.errors) or 'none'}",
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = report_parser("soak", "Everything at once, for long.")
    parser.add_argument("--minutes", type=float, default=30.0, help="(%(default)g)")
    parser.add_argument("--sessions", type=int, default=12, help="live clients (%(default)s)")
    add_fps(parser, 10.0)
    add_service(parser, pool_size=8)
    parser.add_argument("--every", type=float, default=60.0, help="seconds between two lines (%(default)g)")
    options = parser.parse_args(arguments)
    if not has_clips("soak"):
        return 2
    plan = Plan(**plan_options(options))
    raise_file_limit()
    with (
        temporary_service(workers=plan.workers, pool_size=plan.pool_size, environment=ENVIRONMENT) as service,
        LoadProcess() as load,
    ):
        report = Soak(service, plan, sys.stderr if options.json else sys.stdout).run(load)
    show(report, _summary, as_json=options.json)
    return 1 if report.final.errors or not report.pool_whole else 0


if __name__ == "__main__":
    end_on_sigterm()
    sys.exit(main())
