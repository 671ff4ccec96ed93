"""Throughput of threads that share a pool, for several subjects in alternating rounds."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.load.tables import number, table

POOL_SIZES = (1, 2, 4, 8)
ROUNDS = 5

Walker = Callable[[], bool]
"""Processes one frame; returns whether it showed a face."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """Frames of one run; `cpu_s` is of all threads of the process."""

    frames: int
    found: int
    """Frames that showed a face."""
    seconds: float
    cpu_s: float

    @property
    def per_s(self) -> float:
        return self.frames / self.seconds

    @property
    def per_core(self) -> float:
        """Frames per second of CPU time: independent of other load on the machine."""
        return self.frames / self.cpu_s


@dataclass(frozen=True, slots=True)
class Subject:
    """One walker per thread. The walkers share a pool and continue where the last run ended."""

    name: str
    walkers: Sequence[Walker]


Rounds = Mapping[tuple[str, int], Sequence[Throughput]]
"""The throughput of each round, by subject and pool size."""


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """Medians over the rounds. `per_core` is per second of CPU time, `found` the share of frames with a face."""

    subject: str
    instances: int
    per_s: float
    per_core: float
    cores: float
    found: float


def drive(walkers: Sequence[Walker], seconds: float) -> Throughput:
    """Run each walker on its own thread until `seconds` have passed, for at least one frame.

    Raises what a walker raised.
    """
    barrier = threading.Barrier(len(walkers) + 1)
    deadline_s = 0.0

    def walk(walker: Walker) -> tuple[int, int]:
        barrier.wait()
        frames = found = 0
        while True:
            found += walker()
            frames += 1
            if time.perf_counter() >= deadline_s:
                break
        return frames, found

    with ThreadPoolExecutor(len(walkers)) as threads:
        running = [threads.submit(walk, walker) for walker in walkers]
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        deadline_s = began_s + seconds
        barrier.wait()
        counts = [future.result() for future in running]
        elapsed_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    return Throughput(sum(frames for frames, _ in counts), sum(found for _, found in counts), elapsed_s, cpu_s)


def one_round(subjects: Sequence[Subject], seconds: float) -> dict[tuple[str, int], Throughput]:
    """Run every subject at every size with as many threads, at most its own number. A pool of the largest size serves
    for all sizes: n threads never borrow more than n instances."""
    return {(subject.name, size): drive(subject.walkers[:size], seconds) for size in POOL_SIZES for subject in subjects}


def figures_of(rounds: Rounds) -> list[PoolFigures]:
    return [_figures(name, size, measured) for (name, size), measured in rounds.items()]


def _figures(subject: str, instances: int, measured: Sequence[Throughput]) -> PoolFigures:
    return PoolFigures(
        subject,
        instances,
        statistics.median(one.per_s for one in measured),
        statistics.median(one.per_core for one in measured),
        statistics.median(one.cpu_s / one.seconds for one in measured),
        sum(one.found for one in measured) / max(1, sum(one.frames for one in measured)),
    )


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median of the rounds' ratios: a disturbance affects both sides of a round.

    >>> median_ratio([30.0, 10.0, 33.0], [10.0, 5.0, 10.0])
    3.0
    """
    return statistics.median(our / their for our, their in zip(ours, theirs, strict=True))


def pools_table(figures: Sequence[PoolFigures]) -> str:
    rows = [
        [
            one.subject,
            str(one.instances),
            number(one.per_s, 1),
            number(one.per_core, 1),
            number(1000 / one.per_core, 2),
            number(one.cores, 2),
            f"{one.found:.0%}",
        ]
        for one in figures
    ]
    heads = ("subject", "instances", "frames/s", "frames/s per core", "CPU ms", "cores", "faces")
    return table(heads, rows)
