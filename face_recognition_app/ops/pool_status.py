"""The answer of /api/pool/status/: the pools of all workers and their sum."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Any

from core.permits import WAIT_BOUNDS_MS, wait_percentile_ms
from core.pool import PoolStatistics
from ops.boards import living_workers
from ops.watchdog import WorkState


def pool_status(run_dir: Path, backend: str) -> dict[str, Any]:
    workers = living_workers(run_dir)
    total = sum_statistics([worker.statistics for worker in workers])
    work = sum_work([worker.work for worker in workers])
    return {
        "status": _status(total),
        "backend": backend,
        **_fields(total, work),
        "workers": [{"pid": worker.pid, **_fields(worker.statistics, worker.work)} for worker in workers],
    }


def sum_statistics(pools: list[PoolStatistics]) -> PoolStatistics:
    return PoolStatistics(
        pool_size=sum(pool.pool_size for pool in pools),
        max_size=sum(pool.max_size for pool in pools),
        in_use=sum(pool.in_use for pool in pools),
        waiting=sum(pool.waiting for pool in pools),
        exhausted_total=sum(pool.exhausted_total for pool in pools),
        timeouts_total=sum(pool.timeouts_total for pool in pools),
        recycled_total=sum(pool.recycled_total for pool in pools),
        wait_counts=tuple(sum(pool.wait_counts[bin_] for pool in pools) for bin_ in range(len(WAIT_BOUNDS_MS))),
    )


def sum_work(states: list[WorkState]) -> WorkState:
    began = (state.oldest_began for state in states if state.oldest_began is not None)
    return WorkState(sum(state.stuck for state in states), min(began, default=None))


def _status(total: PoolStatistics) -> str:
    if total.pool_size == 0:
        return "not_initialized"
    return "exhausted" if total.available == 0 else "ok"


def _fields(pool: PoolStatistics, work: WorkState) -> dict[str, Any]:
    return {
        "pool_size": pool.pool_size,
        "max_size": pool.max_size,
        "available": pool.available,
        "in_use": pool.in_use,
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
