"""The pools of all workers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from monitoring.pool_load import sum_loads
from monitoring.pool_status import sum_work
from monitoring.worker_stats import read_live_workers
from scheduling.waits import WAIT_BOUNDS_MS


class PoolCollector(Collector):
    """Collects the numbers of all workers' pools, from the same files as /api/pool/status/."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir

    def collect(self) -> Iterator[Metric]:
        workers = read_live_workers(self._run_dir)
        pool = sum_loads(worker.load for worker in workers)
        work = sum_work([worker.work for worker in workers])
        yield GaugeMetricFamily("face_workers", "Workers that live.", len(workers))
        yield GaugeMetricFamily("face_pool_instances", "FaceMesh instances alive.", pool.pool_size)
        yield GaugeMetricFamily("face_pool_max", "FaceMesh instances at most.", pool.max_size)
        yield GaugeMetricFamily("face_pool_in_use", "Instances lent, or kept for the next frames.", pool.in_use)
        yield GaugeMetricFamily("face_pool_computing", "Frames computed now.", pool.computing)
        yield GaugeMetricFamily("face_compute_threads", "Frames computed at once at most.", pool.compute_threads)
        yield GaugeMetricFamily("face_pool_waiting", "Frames that wait for an instance.", pool.waiting)
        yield GaugeMetricFamily("face_pool_stuck", "Work older than FACE_STUCK_AFTER_MS.", work.stuck)
        yield CounterMetricFamily("face_pool_exhausted", "Frames that found no instance free.", pool.exhausted_total)
        yield CounterMetricFamily("face_pool_timeouts", "Frames that were told busy.", pool.timeouts_total)
        yield CounterMetricFamily("face_pool_recycled", "Instances replaced.", pool.recycled_total)
        yield _waits(pool.wait_counts)


def _waits(counts: tuple[int, ...]) -> HistogramMetricFamily:
    """The histogram without a sum, which nobody counts: quantiles need none."""
    bounds = [f"{bound / 1000:g}" for bound in WAIT_BOUNDS_MS[:-1]] + ["+Inf"]
    waits = HistogramMetricFamily("face_pool_wait_seconds", "How long work waited for a thread and an instance.")
    waits.add_metric([], list(zip(bounds, accumulate(counts), strict=True)), sum_value=None)
    return waits
