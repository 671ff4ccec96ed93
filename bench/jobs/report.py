"""The figures of background jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.load.tables import number, table

LEAST_RATE = 1_000.0
MOST_HIGH_P95_MS = 100.0


@dataclass(frozen=True, slots=True)
class Report:
    """`submitted`, `done`: jobs a second. `ends`: numbers of jobs by how they ended and should have."""

    database: str
    jobs: int
    slots: int
    submitted: float
    done: float
    high_p50_ms: float
    high_p95_ms: float
    deaths: int
    chaos_s: float
    ends: Mapping[str, int]
    runs: int

    @property
    def is_good(self) -> bool:
        right = set(self.ends) <= {"succeeded as it should", "failed as it should", "dead as it should"}
        return self.done >= LEAST_RATE and self.high_p95_ms <= MOST_HIGH_P95_MS and right


def text(report: Report) -> str:
    rows = [
        ["jobs submitted/s", number(report.submitted)],
        ["jobs done/s", number(report.done)],
        ["high job waits, p50 ms", number(report.high_p50_ms, 1)],
        ["high job waits, p95 ms", number(report.high_p95_ms, 1)],
        [f"{report.jobs} mixed jobs with {report.deaths} deaths, s", number(report.chaos_s)],
        ["runs of these", str(report.runs)],
        *([name, str(count)] for name, count in sorted(report.ends.items())),
    ]
    return "\n".join([f"{report.database}, {report.slots} slots, {report.jobs} jobs", table(["", ""], rows)])
