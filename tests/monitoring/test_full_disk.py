"""Metrics and statistics on a full disk: no process ends, and with room again everything is published."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testkit.disks import fill, needs_small_disks, seen_by, with_small_disk
from tests.processes import living_command

pytestmark = needs_small_disks

METRICS = """
import sys

if "wait" in sys.argv:
    print("ready", flush=True)
    sys.stdin.readline()

from pathlib import Path
from monitoring import metric_files
from monitoring.exposition import exposition
from monitoring.metrics import frames

metric_files.WRITE_RETRY_S = 0.0
if "wait" not in sys.argv:
    print("ready", flush=True)
grown = 0
for line in sys.stdin:
    if line == "count\\n":
        frames.labels("ok").inc()
    elif line == "grow\\n":
        for grown in range(grown, grown + 500):
            frames.labels(f"a long label that takes its place number {grown}").inc()
    lines = exposition(Path(sys.argv[1])).decode().splitlines()
    print(sum(float(line.split()[-1]) for line in lines if line.startswith("face_frames_total")), flush=True)
"""
STATS_FILE = """
import sys
from pathlib import Path
from monitoring import worker_stats
from monitoring.pool_load import PoolLoad
from monitoring.watchdog import WorkState

worker_stats.WRITE_RETRY_S = 0.0
print("ready", flush=True)
sys.stdin.readline()
pool = PoolLoad(pool_size=4, max_size=4)
stats_file = worker_stats.WorkerStatsFile(Path(sys.argv[1]), lambda: pool, lambda: WorkState(0, None))
print(len(worker_stats.read_live_workers(Path(sys.argv[1]))), flush=True)
for line in sys.stdin:
    stats_file.publish()
    print(len(worker_stats.read_live_workers(Path(sys.argv[1]))), flush=True)
"""


@contextmanager
def process_on_disk(
    disk: Path, script: str, *arguments: str, **variables: str
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """The process, and the path of its disk as this process sees it."""
    command = with_small_disk(disk, "512k", [sys.executable, "-c", script, str(disk), *arguments])
    with living_command(command, **variables) as process:
        yield process, seen_by(process.pid, disk)


def tell(process: subprocess.Popen[str], line: str = "") -> str:
    """Send a line; return the process's answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    print(line, file=process.stdin, flush=True)
    answer = process.stdout.readline().strip()
    assert answer, f"it ended with {process.wait(10)}"
    return answer


def test_metrics_without_room_are_kept_in_memory_and_shared_later(tmp_path: Path) -> None:
    with process_on_disk(tmp_path, METRICS, PROMETHEUS_MULTIPROC_DIR=str(tmp_path)) as (process, disk):
        assert tell(process, "count") == "1.0"
        filler = fill(disk)
        told = tell(process, "grow")
        assert 1 < float(told) < 501, "as much as the file has room for"
        assert tell(process, "count") == told, "the process goes on, in memory"
        filler.unlink()
        assert tell(process, "count") == "503.0", "nothing was lost"


def test_a_process_that_starts_without_room_shares_its_metrics_later(tmp_path: Path) -> None:
    with process_on_disk(tmp_path, METRICS, "wait", PROMETHEUS_MULTIPROC_DIR=str(tmp_path)) as (process, disk):
        filler = fill(disk)
        assert process.stdin is not None
        print(file=process.stdin, flush=True)
        assert tell(process, "count") == "0"
        assert [path.name for path in disk.iterdir()] == [filler.name], "nothing half made is left for others to read"
        filler.unlink()
        assert tell(process, "count") == "2.0"


def test_statistics_without_room_are_published_once_there_is_some(tmp_path: Path) -> None:
    with process_on_disk(tmp_path, STATS_FILE) as (process, disk):
        filler = fill(disk)
        assert tell(process) == "0"
        assert tell(process) == "0"
        filler.unlink()
        assert tell(process) == "1"
