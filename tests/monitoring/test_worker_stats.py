from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from monitoring.pool_load import PoolLoad
from monitoring.pool_status import pool_status
from monitoring.watchdog import WorkState
from monitoring.worker_stats import WorkerStatsFile, read_live_workers
from scheduling.waits import WAIT_BOUNDS_MS
from tests.processes import living

IDLE = PoolLoad(pool_size=2, max_size=2)
NO_WORK = WorkState(0, None)
STUCK = WorkState(8, 1234.5)

WORKER = """
import sys
from dataclasses import replace
from pathlib import Path
from monitoring.worker_stats import WorkerStatsFile
from monitoring.pool_load import PoolLoad
from monitoring.watchdog import WorkState

pool = PoolLoad(pool_size=4, max_size=4)
stats_file = WorkerStatsFile(Path(sys.argv[1]), lambda: pool, lambda: WorkState(0, None))
print("ready", flush=True)
for line in sys.stdin:
    pool = replace(pool, in_use=int(line))
    stats_file.publish()
    print("published", flush=True)
stats_file.close()
"""


def pids(run_dir: Path) -> list[int]:
    return [worker.pid for worker in read_live_workers(run_dir)]


def tell(worker: subprocess.Popen[str], in_use: int) -> None:
    assert worker.stdin is not None
    assert worker.stdout is not None
    print(in_use, file=worker.stdin, flush=True)
    assert worker.stdout.readline() == "published\n"


def test_without_any_worker_the_list_is_empty(tmp_path: Path) -> None:
    assert read_live_workers(tmp_path) == []


def test_a_killed_workers_file_disappears_and_the_others_stay(tmp_path: Path) -> None:
    with living(WORKER, tmp_path) as first, living(WORKER, tmp_path) as second:
        assert pids(tmp_path) == sorted([first.pid, second.pid])
        first.send_signal(signal.SIGKILL)
        first.wait(10)
        assert pids(tmp_path) == [second.pid]
        assert [path.name for path in (tmp_path / "workers").iterdir()] == [str(second.pid)]


def test_a_worker_that_ends_in_order_removes_its_file(tmp_path: Path) -> None:
    with living(WORKER, tmp_path) as worker:
        assert worker.stdin is not None
        worker.stdin.close()
        assert worker.wait(10) == 0
        assert list((tmp_path / "workers").iterdir()) == []


def test_published_statistics_are_seen_by_another_process_at_once(tmp_path: Path) -> None:
    with living(WORKER, tmp_path) as worker:
        for in_use in (3, 1, 4):
            tell(worker, in_use)
            found = read_live_workers(tmp_path)
            assert [(one.pid, one.load.in_use) for one in found] == [(worker.pid, in_use)]


def test_a_worker_reads_back_everything_it_publishes(tmp_path: Path) -> None:
    pool = PoolLoad(1, 2, 3, 4, 5, 6, 7, 8, 9, tuple(range(len(WAIT_BOUNDS_MS))))
    stats_file = WorkerStatsFile(tmp_path, lambda: pool, lambda: STUCK)
    try:
        found = read_live_workers(tmp_path)
        assert [(one.pid, one.load, one.work) for one in found] == [(os.getpid(), pool, STUCK)]
    finally:
        stats_file.close()


def test_the_file_of_an_earlier_process_with_this_pid_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "workers").mkdir()
    (tmp_path / "workers" / str(os.getpid())).write_bytes(b"left by another boot")
    stats_file = WorkerStatsFile(tmp_path, lambda: IDLE, lambda: NO_WORK)
    try:
        assert pids(tmp_path) == [os.getpid()]
    finally:
        stats_file.close()


def test_a_file_of_another_version_is_left_alone(tmp_path: Path) -> None:
    """Its worker is alive and holds the lock: it ends only when the new ones have started."""
    (tmp_path / "workers").mkdir()
    with (tmp_path / "workers" / "1").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write(b"another layout")
        other.flush()
        assert read_live_workers(tmp_path) == []
        assert (tmp_path / "workers" / "1").exists()


def test_closing_twice_and_publishing_afterwards_do_nothing(tmp_path: Path) -> None:
    stats_file = WorkerStatsFile(tmp_path, lambda: IDLE, lambda: NO_WORK)
    stats_file.close()
    stats_file.publish()
    stats_file.close()
    assert read_live_workers(tmp_path) == []


def test_other_users_cannot_read_a_workers_file(tmp_path: Path) -> None:
    stats_file = WorkerStatsFile(tmp_path, lambda: IDLE, lambda: NO_WORK)
    try:
        assert (tmp_path / "workers" / str(os.getpid())).stat().st_mode & 0o077 == 0
    finally:
        stats_file.close()


def test_every_worker_lists_all_live_workers(tmp_path: Path) -> None:
    stats_file = WorkerStatsFile(tmp_path, lambda: replace(IDLE, in_use=2), lambda: NO_WORK)
    try:
        with living(WORKER, tmp_path) as worker:
            tell(worker, 1)
            status = pool_status(tmp_path, "mediapipe")
            assert {one["pid"]: one["in_use"] for one in status["workers"]} == {os.getpid(): 2, worker.pid: 1}
            assert (status["pool_size"], status["in_use"], status["available"]) == (6, 3, 3)
        assert [one["pid"] for one in pool_status(tmp_path, "mediapipe")["workers"]] == [os.getpid()]
    finally:
        stats_file.close()


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT, signal.SIGABRT])
def test_however_a_process_ends_its_file_counts_no_more(tmp_path: Path, kind: signal.Signals) -> None:
    with living(f"import signal; signal.signal({int(kind)}, signal.SIG_DFL)\n{WORKER}", tmp_path) as worker:
        worker.send_signal(kind)
        worker.wait(10)
        assert read_live_workers(tmp_path) == []
