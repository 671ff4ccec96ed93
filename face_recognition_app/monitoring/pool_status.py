"""The answer of /api/pool/status/: the pools of all workers and their sum."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Any

from config.processes import usage
from monitoring.pool_load import PoolLoad, sum_loads
from monitoring.watchdog import WorkState
from monitoring.worker_stats import read_live_workers
from scheduling.waits import wait_percentile_ms


def pool_status(run_dir: Path, backend: str) -> dict[str, Any]:
    workers = read_live_workers(run_dir)
    total = sum_loads(worker.load for worker in workers)
    work = sum_work([worker.work for worker in workers])
    threads = {worker.pid: thread_count(worker.pid) for worker in workers}
    return {
        "status": _status(total),
        "backend": backend,
        **_fields(total, work, sum(threads.values())),
        "workers": [
            {"pid": worker.pid, **_fields(worker.load, worker.work, threads[worker.pid])} for worker in workers
        ],
    }


def thread_count(pid: int) -> int:
    """0 if the process has ended."""
    try:
        return usage.threads(pid)
    except OSError:
        return 0


def sum_work(states: list[WorkState]) -> WorkState:
    began = (state.oldest_began for state in states if state.oldest_began is not None)
    return WorkState(sum(state.stuck for state in states), min(began, default=None))


def _status(total: PoolLoad) -> str:
    if total.pool_size == 0:
        return "not_initialized"
    frames_wait = total.in_use + total.waiting > total.computing
    return "exhausted" if total.available == 0 and frames_wait else "ok"


def _fields(pool: PoolLoad, work: WorkState, threads: int) -> dict[str, Any]:
    return {
        "pool_size": pool.pool_size,
        "max_size": pool.max_size,
        "available": pool.available,
        "in_use": pool.in_use,
        "computing": pool.computing,
        "compute_threads": pool.compute_threads,
        "threads": threads,
        "waiting": pool.waiting,
        "exhausted_total": pool.exhausted_total,
        "timeouts_total": pool.timeouts_total,
        "recycled_total": pool.recycled_total,
        "stuck": work.stuck,
        "oldest_work_ms": work.oldest_ms(monotonic()),
        "wait_ms": {
            name: wait_percentile_ms(pool.wait_counts, fraction)
            for name, fraction in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        },
    }
