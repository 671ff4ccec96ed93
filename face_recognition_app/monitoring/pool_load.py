"""The load of one worker's pool as an operator sees it: its instances, and the frames that need them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Self

from core.pool import PoolStatistics
from scheduling.executor import ExecutorStatistics
from scheduling.waits import NO_WAITS


@dataclass(frozen=True, slots=True)
class PoolLoad:
    """The numbers of /api/pool/status/; docs/architecture.md says what each means. Those of several workers add up."""

    pool_size: int = 0
    max_size: int = 0
    compute_threads: int = 0
    computing: int = 0
    in_use: int = 0
    waiting: int = 0
    exhausted_total: int = 0
    timeouts_total: int = 0
    recycled_total: int = 0
    wait_counts: tuple[int, ...] = NO_WAITS

    @classmethod
    def of(cls, pool: PoolStatistics, executor: ExecutorStatistics) -> Self:
        return cls(
            pool_size=pool.pool_size,
            max_size=pool.max_size,
            compute_threads=executor.threads,
            computing=executor.computing,
            in_use=executor.in_use,
            waiting=executor.waiting,
            exhausted_total=executor.exhausted_total,
            timeouts_total=executor.timeouts_total,
            recycled_total=pool.recycled_total,
            wait_counts=executor.wait_counts,
        )

    @property
    def available(self) -> int:
        return max(0, self.pool_size - self.in_use)

    def __add__(self, other: PoolLoad) -> PoolLoad:
        return PoolLoad(
            pool_size=self.pool_size + other.pool_size,
            max_size=self.max_size + other.max_size,
            compute_threads=self.compute_threads + other.compute_threads,
            computing=self.computing + other.computing,
            in_use=self.in_use + other.in_use,
            waiting=self.waiting + other.waiting,
            exhausted_total=self.exhausted_total + other.exhausted_total,
            timeouts_total=self.timeouts_total + other.timeouts_total,
            recycled_total=self.recycled_total + other.recycled_total,
            wait_counts=tuple(map(sum, zip(self.wait_counts, other.wait_counts, strict=True))),
        )


def sum_loads(loads: Iterable[PoolLoad]) -> PoolLoad:
    return reduce(PoolLoad.__add__, loads, PoolLoad())
