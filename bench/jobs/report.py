"""The figures of background jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.load.tables import number, table

LEAST_RATE = 1_000.0
MOST_HIGH_P95_MS = 100.0


@dataclass(frozen=True, slots=True)
class Plan:
    """`jobs`: of each part. `away_s`: how long Redis is killed or silent."""

    database: str
    jobs: int
    slots: int
    away_s: float


@dataclass(frozen=True, slots=True)
class Rate:
    """Jobs a second."""

    submitted: float
    done: float

    @property
    def is_good(self) -> bool:
        return self.done >= LEAST_RATE


@dataclass(frozen=True, slots=True)
class HighWaits:
    """Milliseconds."""

    p50: float
    p95: float

    @property
    def is_good(self) -> bool:
        return self.p95 <= MOST_HIGH_P95_MS


@dataclass(frozen=True, slots=True)
class Chaos:
    """Mixed jobs while workers die. `ends`: numbers of jobs by type, how they ended and, if otherwise, should have.
    `erased`, `erased_twice`: people, as the audit trail tells. `other_letters`: dead letters that were not made to be.
    """

    part: str
    took_s: float
    deaths: int
    runs: int
    ends: Mapping[str, int]
    wrong: int
    erased: int
    erased_twice: int
    other_letters: int

    @property
    def is_good(self) -> bool:
        return not (self.wrong or self.erased_twice or self.other_letters)


@dataclass(frozen=True, slots=True)
class Report:
    """None: not measured."""

    plan: Plan
    rate: Rate | None
    high: HighWaits | None
    chaos: tuple[Chaos, ...]

    @property
    def is_good(self) -> bool:
        return all(part.is_good for part in (self.rate, self.high, *self.chaos) if part is not None)


def text(report: Report) -> str:
    plan = report.plan
    found = [f"{plan.database}, {plan.jobs} jobs, Redis away for {plan.away_s:g} s"]
    if report.rate is not None:
        found.append(f"jobs submitted/s: {number(report.rate.submitted)}")
        found.append(f"jobs done/s, {plan.slots} slots: {number(report.rate.done)}")
    if report.high is not None:
        found.append(f"high job waits, ms: p50 {number(report.high.p50, 1)}, p95 {number(report.high.p95, 1)}")
    if report.chaos:
        found.append(_table_of(report.chaos))
    return "\n".join(found)


def _table_of(chaos: Sequence[Chaos]) -> str:
    ends = sorted({name for one in chaos for name in one.ends})
    rows = [
        ["seconds", *(number(one.took_s) for one in chaos)],
        ["deaths", *(str(one.deaths) for one in chaos)],
        ["runs", *(str(one.runs) for one in chaos)],
        *([name, *(str(one.ends.get(name, 0)) for one in chaos)] for name in ends),
        ["ended otherwise than they should", *(str(one.wrong) for one in chaos)],
        ["people erased", *(str(one.erased) for one in chaos)],
        ["people erased twice", *(str(one.erased_twice) for one in chaos)],
        ["dead letters of others", *(str(one.other_letters) for one in chaos)],
    ]
    return table(["", *(one.part for one in chaos)], rows)
