from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monitoring import pool_status as module
from monitoring.pool_load import PoolLoad, sum_loads
from monitoring.pool_status import pool_status
from monitoring.watchdog import WorkState
from monitoring.worker_stats import WorkerStats
from scheduling.waits import NO_WAITS

NO_WORK = WorkState(0, None)
IDLE = PoolLoad(pool_size=2, max_size=2, compute_threads=1)
FIELDS = {
    "pool_size",
    "max_size",
    "available",
    "in_use",
    "computing",
    "compute_threads",
    "threads",
    "waiting",
    "exhausted_total",
    "timeouts_total",
    "recycled_total",
    "stuck",
    "oldest_work_ms",
    "wait_ms",
}


def status_of(
    monkeypatch: pytest.MonkeyPatch, *pools: PoolLoad, work: Sequence[WorkState] = (), now: float = 0.0
) -> dict[str, Any]:
    states = [*work, *[NO_WORK] * (len(pools) - len(work))]
    workers = [WorkerStats(100 + number, *each) for number, each in enumerate(zip(pools, states, strict=True))]
    monkeypatch.setattr(module, "read_live_workers", lambda run_dir: workers)
    monkeypatch.setattr(module, "monotonic", lambda: now)
    return pool_status(Path("/run"), "mediapipe")


def test_without_a_worker_the_pool_is_not_initialized(tmp_path: Path) -> None:
    status = pool_status(tmp_path, "mediapipe")
    assert status["status"] == "not_initialized"
    assert (status["pool_size"], status["max_size"], status["workers"]) == (0, 0, [])
    assert status["wait_ms"] == {"p50": 0, "p95": 0, "p99": 0}


@pytest.mark.parametrize(
    ("pools", "expected"),
    [
        ([replace(IDLE, pool_size=0)], "not_initialized"),
        ([IDLE], "ok"),
        ([replace(IDLE, in_use=1)], "ok"),
        ([replace(IDLE, in_use=2, computing=1)], "exhausted"),
        ([replace(IDLE, in_use=2, computing=1, waiting=5)], "exhausted"),
        ([replace(IDLE, in_use=2, computing=2)], "ok"),
        ([replace(IDLE, in_use=2, computing=2, waiting=1)], "exhausted"),
        ([replace(IDLE, in_use=2), replace(IDLE, in_use=2)], "exhausted"),
        ([replace(IDLE, in_use=2), replace(IDLE, in_use=1)], "ok"),
        ([replace(IDLE, pool_size=0), IDLE], "ok"),
    ],
)
def test_the_status_is_that_of_all_workers_together(
    monkeypatch: pytest.MonkeyPatch, pools: list[PoolLoad], expected: str
) -> None:
    assert status_of(monkeypatch, *pools)["status"] == expected


def test_every_number_is_the_sum_of_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "thread_count", {100: 10, 101: 20}.__getitem__)
    status = status_of(monkeypatch, PoolLoad(3, 4, 2, 2, 2, 1, 10, 20, 30), PoolLoad(4, 4, 2, 1, 1, 6, 1, 2, 3))
    totals = {name: status[name] for name in FIELDS - {"wait_ms"}}
    assert totals == {
        "pool_size": 7,
        "max_size": 8,
        "available": 4,
        "in_use": 3,
        "computing": 3,
        "compute_threads": 4,
        "threads": 30,
        "waiting": 7,
        "exhausted_total": 11,
        "timeouts_total": 22,
        "recycled_total": 33,
        "stuck": 0,
        "oldest_work_ms": 0,
    }
    for name, total in totals.items():
        assert sum(worker[name] for worker in status["workers"]) == total


def test_stuck_work_and_the_age_of_the_oldest_work_are_in_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    work = [WorkState(1, 90.0), WorkState(2, 80.5), NO_WORK]
    status = status_of(monkeypatch, IDLE, IDLE, IDLE, work=work, now=100.0)
    assert (status["stuck"], status["oldest_work_ms"]) == (3, 19_500)
    told = [(worker["stuck"], worker["oldest_work_ms"]) for worker in status["workers"]]
    assert told == [(1, 10_000), (2, 19_500), (0, 0)]


def test_the_status_is_json_with_the_fields_of_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    status = json.loads(json.dumps(status_of(monkeypatch, IDLE, IDLE)))
    assert status.keys() == FIELDS | {"status", "backend", "workers"}
    assert [worker.keys() for worker in status["workers"]] == [FIELDS | {"pid"}] * 2
    assert status["wait_ms"].keys() == {"p50", "p95", "p99"}
    assert status["backend"] == "mediapipe"


def test_the_waits_of_all_workers_make_the_percentiles() -> None:
    quick = replace(IDLE, wait_counts=(99, *NO_WAITS[1:]))
    slow = replace(IDLE, wait_counts=(*NO_WAITS[:-1], 1))
    total = sum_loads([quick, slow])
    assert (total.wait_counts[0], total.wait_counts[-1], sum(total.wait_counts)) == (99, 1, 100)
    assert len(total.wait_counts) == len(NO_WAITS)
