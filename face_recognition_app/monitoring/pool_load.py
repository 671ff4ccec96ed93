"""The load of one worker's pool as an operator sees it: its instances, and the frames that need them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from operator import add
from typing import Any, Self

from core.pool import PoolStatistics
from scheduling.executor import ExecutorStatistics
from scheduling.waits import NO_WAITS


@dataclass(frozen=True, slots=True)
class PoolLoad:
    """The numbers of /api/pool/status/; docs/architecture.md says what each means. Those of several workers add up.

    All are counts, and `wait_counts` is the last field: `numbers` and `from_numbers` rely on that.
    """

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

    @property
    def numbers(self) -> tuple[int, ...]:
        """Every number in the order of the fields."""
        *counts, waits = (getattr(self, field.name) for field in fields(self))
        return (*counts, *waits)

    @classmethod
    def from_numbers(cls, numbers: Sequence[int]) -> Self:
        """The inverse of `numbers`."""
        waits = len(numbers) - len(NO_WAITS)
        values: list[Any] = [*numbers[:waits], tuple(numbers[waits:])]
        return cls(*values)

    def __add__(self, other: PoolLoad) -> PoolLoad:
        return PoolLoad.from_numbers(tuple(map(add, self.numbers, other.numbers)))


def sum_loads(loads: Iterable[PoolLoad]) -> PoolLoad:
    return sum(loads, PoolLoad())
