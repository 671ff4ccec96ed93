"""The metrics of all workers as Prometheus text."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from config.memory import memory_bytes
from monitoring.pool_load import sum_loads
from monitoring.pool_status import sum_work
from monitoring.process_threads import thread_count
from monitoring.worker_stats import read_live_workers

CONTENT_TYPE = CONTENT_TYPE_LATEST
MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


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
        memory = GaugeMetricFamily("face_worker_memory_bytes", "In memory, shared pages included.", labels=["pid"])
        for worker in workers:
            memory.add_metric([f"{worker.pid}"], memory_bytes(worker.pid))
        yield memory
        threads = GaugeMetricFamily("face_worker_threads", "Threads of the process: none is added.", labels=["pid"])
        for worker in workers:
            threads.add_metric([f"{worker.pid}"], thread_count(worker.pid))
        yield threads


def exposition(run_dir: Path, others: Sequence[Collector] = ()) -> bytes:
    """The metrics of all workers, and those of `others`, as Prometheus text."""
    registry = CollectorRegistry()
    for collector in (PoolCollector(run_dir), *others):
        registry.register(collector)
    shared = os.environ.get(MULTIPROCESS_VARIABLE)
    if shared is not None and Path(shared).is_dir():
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
    return generate_latest(registry) + generate_latest(REGISTRY)
