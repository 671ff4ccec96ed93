from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from monitoring import metrics
from monitoring.exposition import MULTIPROCESS_VARIABLE, exposition
from monitoring.pool_load import PoolLoad
from monitoring.watchdog import WorkState
from monitoring.worker_stats import WorkerStatsFile
from tests.processes import living, run

POOL = PoolLoad(2, 3, 2, 1, 1, 4, 5, 6, 7)

WORKER = """
import sys
from monitoring import metrics

metrics.frames.labels("ok").inc(int(sys.argv[1]))
metrics.connections.inc(int(sys.argv[1]))
print("ready", flush=True)
sys.stdin.read()
"""

EXPOSE = "import sys; from pathlib import Path; from monitoring import exposition, metrics; " + (
    "sys.stdout.buffer.write(exposition.exposition(Path(sys.argv[1])))"
)


def parse(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def value(families: dict[str, Metric], name: str, sample: str = "", **labels: str) -> float:
    found = [one.value for one in families[name].samples if one.name == (sample or name) and one.labels == labels]
    assert len(found) == 1, f"{name}{labels} is there {len(found)} times"
    return float(found[0])


def test_the_exposition_has_the_pools_of_all_workers(tmp_path: Path) -> None:
    stats_file = WorkerStatsFile(tmp_path, lambda: POOL, lambda: WorkState(8, None))
    try:
        families = parse(exposition(tmp_path).decode())
    finally:
        stats_file.close()
    gauges = {"workers": 1, "pool_instances": 2, "pool_max": 3, "pool_in_use": 1, "pool_waiting": 4, "pool_stuck": 8}
    gauges |= {"pool_computing": 1, "compute_threads": 2}
    for name, expected in gauges.items():
        assert families[f"face_{name}"].type == "gauge"
        assert value(families, f"face_{name}") == expected
    own_threads = psutil.Process().num_threads()
    assert value(families, "face_worker_threads", pid=f"{os.getpid()}") == own_threads
    counters = {"pool_exhausted": 5, "pool_timeouts": 6, "pool_recycled": 7}
    for name, expected in counters.items():
        assert families[f"face_{name}"].type == "counter"
        assert value(families, f"face_{name}", f"face_{name}_total") == expected


def test_without_a_worker_there_are_still_metrics(tmp_path: Path) -> None:
    assert value(parse(exposition(tmp_path).decode()), "face_workers") == 0


def test_every_family_is_there_once_and_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MULTIPROCESS_VARIABLE, raising=False)
    metrics.decisions.labels("enrollment", "failure", "timeout").inc(0)
    lines = exposition(tmp_path).decode().splitlines()
    helped = [line.split()[2] for line in lines if line.startswith("# HELP face_")]
    assert len(helped) == len(set(helped))
    families = parse("\n".join(lines) + "\n")
    ours = {name for name in families if name.startswith("face_") and not name.endswith("_created")}
    assert ours >= {"face_frames", "face_frame_seconds", "face_frames_dropped", "face_decisions", "face_connections"}
    assert all(families[name].documentation for name in ours)


def test_every_worker_exposes_the_sum_of_all_counters(tmp_path: Path) -> None:
    directory = tmp_path / "metrics"
    directory.mkdir()
    together = {MULTIPROCESS_VARIABLE: str(directory)}
    with living(WORKER, "3", **together), living(WORKER, "4", **together):
        done = run("-c", EXPOSE, str(tmp_path), **together)
    assert done.returncode == 0, done.stderr
    families = parse(done.stdout)
    assert value(families, "face_frames", "face_frames_total", outcome="ok") == 7
    assert value(families, "face_connections") == 7
    assert value(families, "face_workers") == 0


def test_a_dead_workers_connections_count_no_more(tmp_path: Path) -> None:
    """What gunicorn_config.child_exit does when a worker ends."""
    together = {MULTIPROCESS_VARIABLE: str(tmp_path)}
    with living(WORKER, "3", **together) as dead, living(WORKER, "4", **together):
        dead.kill()
        dead.wait(10)
        script = (
            "import gunicorn_config, types; from server.roster import Roster;"
            f" worker = types.SimpleNamespace(pid={dead.pid}, slot=Roster().enter());"
            " gunicorn_config.child_exit(None, worker)"
        )
        assert run("-c", script, **together).returncode == 0
        families = parse(run("-c", EXPOSE, str(tmp_path), **together).stdout)
    assert value(families, "face_connections") == 4
    assert value(families, "face_frames", "face_frames_total", outcome="ok") == 7


def test_a_pool_without_instances_has_zero_instances(tmp_path: Path) -> None:
    stats_file = WorkerStatsFile(tmp_path, lambda: replace(POOL, pool_size=0), lambda: WorkState(0, None))
    try:
        assert value(parse(exposition(tmp_path).decode()), "face_pool_instances") == 0
    finally:
        stats_file.close()


def test_without_a_shared_directory_a_worker_exposes_its_own_metrics(tmp_path: Path) -> None:
    """As if the run directory could not be made."""
    count = "from monitoring.metrics import frames; frames.labels('ok').inc(5); "
    done = run("-c", count + EXPOSE, str(tmp_path), **{MULTIPROCESS_VARIABLE: str(tmp_path / "missing")})
    assert done.returncode == 0, done.stderr
    assert value(parse(done.stdout), "face_frames", "face_frames_total", outcome="ok") == 5
