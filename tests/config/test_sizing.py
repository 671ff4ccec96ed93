"""Recommended sizes for a machine and a frame's cost; and the command with the real engine."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from config.management.commands import recommend_workers
from config.service import service_settings
from config.settings import Settings
from config.sizing.machine import MIB, Limits, Machine, cgroup_limits, memory_of, this_machine
from config.sizing.measured import CORES_PER_WORKER, REST, USABLE, FrameCosts, recommend, sessions_for
from config.sizing.workers import MEMORY_SHARE, THREAD_BYTES, compute_threads, pool_size_for, workers_for
from core.face_recognition_engine import FaceRecognitionEngine
from core.features.quality import MIN_FACE_WIDTH_PX
from core.imaging.frames import ImageLimits

GIB = 1024 * MIB
TWO_CORES = Machine(affinity=2, quota=None, memory_bytes=8 * GIB, memory_is_limited=False, installed_bytes=16 * GIB)


def test_cores_are_the_affinity_or_a_lower_quota() -> None:
    assert TWO_CORES.cores == 2
    assert replace(TWO_CORES, quota=0.5).cores == 0.5
    assert replace(TWO_CORES, quota=16.0).cores == 2


@pytest.mark.parametrize(
    ("cores", "workers", "pool_size"),
    [(0.5, 1, 4), (1, 1, 4), (2, 2, 4), (3.9, 3, 4), (64, 64, 4), (1000, 256, 8)],
)
def test_a_worker_for_each_whole_core(cores: float, workers: int, pool_size: int) -> None:
    assert workers_for(cores) == workers
    assert pool_size_for(cores, workers) == pool_size


def test_few_workers_on_many_cores_have_larger_pools_as_far_as_settings_allow() -> None:
    assert pool_size_for(8, 1) == 16
    assert pool_size_for(256, 1) == 128


def test_every_recommendation_is_a_valid_setting() -> None:
    for cores in (1, 2, 7, 96, 2000):
        advice = recommend(replace(TWO_CORES, affinity=cores, memory_bytes=10_000 * GIB), 20.0, 300 * MIB, 10.0)
        Settings.model_validate({"GUNICORN_WORKERS": advice.workers, "FACE_MESH_POOL_SIZE": advice.pool_size})


def test_sessions_are_what_the_usable_time_of_the_cores_holds() -> None:
    assert sessions_for(cores=2, workers=2, frame_ms=10.0, fps=10.0) == int(USABLE * 2 * 10)
    assert sessions_for(cores=2, workers=2, frame_ms=20.0, fps=10.0) == int(USABLE * 10)
    assert sessions_for(cores=8, workers=1, frame_ms=10.0, fps=10.0) == int(USABLE * CORES_PER_WORKER * 10)
    assert sessions_for(cores=0.1, workers=1, frame_ms=50.0, fps=30.0) == 0


def test_a_frame_costs_its_parts_as_often_as_they_are_asked_for() -> None:
    assert FrameCosts(analysis=10.0, spoof=0.0, samples=0.0, embed=0.0).frame_ms == pytest.approx(10.0 * REST)
    everything = FrameCosts(analysis=10.0, spoof=10.0, samples=10.0, embed=10.0).frame_ms
    assert 10.0 * REST < everything < 40.0 * REST


def test_the_line_has_the_command_and_the_expected_sessions() -> None:
    advice = recommend(TWO_CORES, 15.0, 480 * MIB, 10.0)
    assert advice.line == (
        "./run_gunicorn.sh --workers 2 --pool-size 4   "
        "# 2 cores, 480 MiB per worker, about 9 live sessions at 10 frames/s"
    )
    workers, memory, sessions = advice.reasons
    assert workers == "This process may use 2 cores: 2 workers, and at least 4 instances in each."
    assert memory == "2 workers take 960 MiB of 8192 MiB that are available."
    assert "15.0 ms" in sessions


def test_the_reasons_name_a_quota_and_a_memory_limit() -> None:
    contained = Machine(affinity=8, quota=1.5, memory_bytes=2 * GIB, memory_is_limited=True, installed_bytes=2 * GIB)
    workers, memory, _ = recommend(contained, 15.0, 480 * MIB, 10.0).reasons
    assert workers.startswith("This process may use 1.5 cores, by the cgroup's CPU quota: 1 worker,")
    assert memory == "1 worker takes 537 MiB of 2048 MiB that the cgroup allows."


def test_memory_allows_fewer_workers_than_cores() -> None:
    advice = recommend(replace(TWO_CORES, affinity=8, memory_bytes=1 * GIB), 15.0, 300 * MIB, 10.0)
    assert (advice.workers, advice.pool_size) == (1, 16)
    assert advice.sessions == sessions_for(8, 1, 15.0, 10.0)
    assert "because memory has no room for more" in advice.reasons[0]


def test_recommended_workers_fit_into_memory_with_all_their_threads() -> None:
    for memory in (1 * GIB, 2 * GIB, 3 * GIB, 8 * GIB):
        advice = recommend(replace(TWO_CORES, affinity=8, memory_bytes=memory), 15.0, 300 * MIB, 10.0)
        threads = compute_threads(8, advice.workers, advice.pool_size)
        assert advice.worker_bytes == 300 * MIB + (threads - 1) * THREAD_BYTES
        assert advice.workers * advice.worker_bytes <= MEMORY_SHARE * memory


def test_without_room_for_one_worker_one_is_recommended_and_the_lack_reported() -> None:
    advice = recommend(replace(TWO_CORES, affinity=1, memory_bytes=100 * MIB), 200.0, 300 * MIB, 10.0)
    assert (advice.workers, advice.sessions) == (1, 0)
    assert "less than one live session at" in advice.line
    assert advice.reasons[1].endswith(": too little.")


def test_available_memory_is_read() -> None:
    assert memory_of("MemTotal:  100 kB\nMemAvailable:   42 kB\n", "MemAvailable") == 42 * 1024
    with pytest.raises(ValueError, match="MemAvailable"):
        memory_of("MemTotal: 100 kB\n", "MemAvailable")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_limits_of_version_2_are_the_least_on_the_way_up(tmp_path: Path) -> None:
    write(tmp_path / "cpu.max", "max 100000\n")
    write(tmp_path / "a" / "cpu.max", "150000 100000\n")
    write(tmp_path / "a" / "memory.max", f"{GIB}\n")
    write(tmp_path / "a" / "b" / "cpu.max", "400000 100000\n")
    write(tmp_path / "a" / "b" / "memory.max", "max\n")
    assert cgroup_limits("0::/a/b\n", tmp_path) == Limits(1.5, GIB)
    assert cgroup_limits("0::/\n", tmp_path) == Limits(None, None)


def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path) -> None:
    write(tmp_path / "cpu.max", "50000 100000\n")
    write(tmp_path / "memory.max", f"{GIB}\n")
    assert cgroup_limits("0::/docker/0123456789\n", tmp_path) == Limits(0.5, GIB)
    assert cgroup_limits("0::/../../elsewhere\n", tmp_path) == Limits(0.5, GIB)


def test_limits_of_version_1(tmp_path: Path) -> None:
    write(tmp_path / "cpu" / "box" / "cpu.cfs_quota_us", "200000\n")
    write(tmp_path / "cpu" / "box" / "cpu.cfs_period_us", "100000\n")
    write(tmp_path / "cpu" / "cpu.cfs_quota_us", "-1\n")
    write(tmp_path / "cpu" / "cpu.cfs_period_us", "100000\n")
    write(tmp_path / "memory" / "box" / "memory.limit_in_bytes", f"{2 * GIB}\n")
    membership = "4:memory:/box\n2:cpu,cpuacct:/box\n1:name=systemd:/\n0::/\n"
    assert cgroup_limits(membership, tmp_path) == Limits(2.0, 2 * GIB)
    assert cgroup_limits("", tmp_path) == Limits(None, None)


def machine_of(tmp_path: Path, limit: str) -> Machine:
    write(tmp_path / "proc" / "self" / "cgroup", "0::/\n")
    write(tmp_path / "proc" / "meminfo", f"MemTotal: {16 * GIB // 1024} kB\nMemAvailable: {8 * GIB // 1024} kB\n")
    write(tmp_path / "cgroup" / "memory.max", limit)
    return this_machine(tmp_path / "proc", tmp_path / "cgroup")


def test_memory_is_the_available_memory_or_a_lower_limit(tmp_path: Path) -> None:
    free = machine_of(tmp_path, "9223372036854771712\n")
    assert (free.memory_bytes, free.memory_is_limited, free.quota) == (8 * GIB, False, None)
    limited = machine_of(tmp_path, f"{2 * GIB}\n")
    assert (limited.memory_bytes, limited.memory_is_limited) == (2 * GIB, True)
    assert (free.installed_bytes, limited.installed_bytes) == (16 * GIB, 2 * GIB)


def test_this_machine_has_cores_and_memory() -> None:
    machine = this_machine()
    assert machine.cores > 0
    assert machine.memory_bytes > 0


@pytest.mark.parametrize("backend", ["openvino", "mediapipe"])
def test_the_command_measures_and_answers(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recommend_workers, "MEASURE_S", 0.0)
    chosen = service_settings().model_copy(update={"mesh_backend": backend})
    monkeypatch.setattr(recommend_workers, "service_settings", lambda: chosen)
    output = StringIO()
    call_command("recommend_workers", "--json", stdout=output)
    figures = json.loads(output.getvalue())
    assert figures["command"].startswith(f"./run_gunicorn.sh --workers {figures['workers']} ")
    assert figures["worker_bytes"] > 100 * MIB
    assert all(cost > 0 for cost in figures["costs_ms"].values())


def test_the_command_prints_its_line_first_and_then_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recommend_workers, "MEASURE_S", 0.0)
    output = StringIO()
    call_command("recommend_workers", stdout=output)
    line, empty, *_reasons = output.getvalue().strip().splitlines()
    assert line.startswith("./run_gunicorn.sh --workers ")
    assert empty == ""


def test_the_command_plans_for_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recommend_workers, "MEASURE_S", 0.0)
    output = StringIO()
    flags = ["--cores=6", "--memory=12", "--users=700", "--profile=conservative", "--cpu=75", "--json"]
    call_command("recommend_workers", *flags, stdout=output)
    figures = json.loads(output.getvalue())
    assert (figures["profile"], figures["workers"], figures["machine"]["quota"]) == ("conservative", 4, 6.0)
    assert figures["machine"]["memory_bytes"] == 12 * GIB
    assert figures["for_users"] == {"workers": [6, 6], "more_servers": False}
    assert figures["step_up"] == 6
    assert {one["advice"]["profile"]: one["advice"]["workers"] for one in figures["profiles"]} == {
        "measured": 6,
        "environment": 13,
        "conservative": 4,
        "moderate": 6,
        "aggressive": 8,
        "maximum": 13,
    }


@pytest.mark.parametrize(
    "flag", ["--cores=0", "--memory=-1", "--cores=nan", "--users=0", "--profile=fast", "--cpu=inf"]
)
def test_the_command_refuses_what_no_machine_has(flag: str) -> None:
    with pytest.raises(CommandError, match=flag.partition("=")[0]):
        call_command("recommend_workers", flag)


def test_the_drawn_face_is_tracked_with_good_quality(engine: FaceRecognitionEngine, limits: ImageLimits) -> None:
    (face,) = engine.detector.safe_process(recommend_workers.portrait())
    low, high = face.points.min(axis=0), face.points.max(axis=0)
    assert high[0] - low[0] > MIN_FACE_WIDTH_PX
    assert recommend_workers.frame_costs(engine, limits, 0.0).analysis > 0


def test_an_engine_that_finds_no_face_is_not_measured(
    engine: FaceRecognitionEngine, limits: ImageLimits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recommend_workers, "portrait", lambda: np.zeros((480, 640, 3), np.uint8))
    with pytest.raises(CommandError, match="does not see the face"):
        recommend_workers.frame_costs(engine, limits, 0.0)
