"""Numbers of workers by profile and environment, and what a container is allowed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.settings import SettingsError, load
from config.sizing.machine import MIB, Machine, this_machine
from config.sizing.workers import (
    MAX_WORKERS,
    MEMORY_SHARE,
    WORKER_BYTES,
    Environment,
    WorkerProfile,
    by_environment,
    workers_of,
)

GIB = 1024 * MIB
STRONG = "Zk3-unguessable-and-long-enough-9Qx7"


def machine(cores: float, memory_gib: float = 1_000) -> Machine:
    memory = int(memory_gib * GIB)
    return Machine(64, cores, memory_bytes=memory, memory_is_limited=False, installed_bytes=memory)


@pytest.mark.parametrize("cores", range(1, 65))
def test_the_environments_of_the_original_guide(cores: int) -> None:
    assert by_environment("development", cores) == 2
    assert by_environment("staging", cores) == cores + 1
    assert by_environment("production", cores) == min(2 * cores + 1, 16)


@pytest.mark.parametrize(
    ("profile", "cores", "workers"),
    [
        ("conservative", 6, 4),
        ("moderate", 6, 6),
        ("aggressive", 6, 8),
        ("maximum", 6, 13),
        ("conservative", 1, 1),
        ("moderate", 1, 1),
        ("aggressive", 1, 2),
        ("maximum", 1, 3),
        ("moderate", 0.5, 1),
        ("maximum", 2.9, 5),
        ("environment", 7, 15),
        ("environment", 8, 16),
        ("measured", 6, 6),
        ("measured", 2.9, 2),
        ("measured", 0.5, 1),
    ],
)
def test_each_profile_is_a_formula_over_whole_cores(profile: WorkerProfile, cores: float, workers: int) -> None:
    assert workers_of(profile, "production", machine(cores)) == workers


def test_no_profile_exceeds_what_the_setting_allows() -> None:
    many = Machine(1_000, None, memory_bytes=GIB, memory_is_limited=False, installed_bytes=10_000 * GIB)
    for profile in ("measured", "moderate", "aggressive", "maximum"):
        assert workers_of(profile, "production", many) == MAX_WORKERS


def test_development_leaves_cores_to_the_developer() -> None:
    assert workers_of("measured", "development", machine(16)) == 2
    assert workers_of("measured", "development", machine(1)) == 1
    assert workers_of("moderate", "development", machine(16)) == 16, "who names a profile gets it"


def test_what_was_measured_fits_into_the_memory() -> None:
    least = WORKER_BYTES / MEMORY_SHARE / GIB
    assert workers_of("measured", "production", machine(6, 6.1 * least)) == 6
    assert workers_of("measured", "production", machine(6, 5.9 * least)) == 4, "fewer workers compute on more threads"
    assert workers_of("measured", "production", machine(6, 0.1)) == 1


def test_a_flag_of_the_service_beats_the_other_variable_and_that_the_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("config.groups.server.this_machine", lambda: machine(4))
    profile = {"WORKER_PROFILE": "maximum"}
    assert load(profile).workers == 9
    assert load(profile | {"API_WORKERS": "12"}).workers == 12
    assert load(profile | {"API_WORKERS": "12", "GUNICORN_WORKERS": "5"}).workers == 5


def test_a_default_that_follows_from_a_wrong_setting_is_no_problem_of_its_own() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"WORKER_PROFILE": "fast"})
    assert str(caught.value).startswith("WORKER_PROFILE='fast': Input should be 'measured', ")
    assert "\n" not in str(caught.value)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def container_of_version_1(root: Path) -> str:
    write(root / "cpu,cpuacct" / "docker" / "box" / "cpu.cfs_quota_us", "200000\n")
    write(root / "cpu,cpuacct" / "docker" / "box" / "cpu.cfs_period_us", "100000\n")
    write(root / "memory" / "docker" / "box" / "memory.limit_in_bytes", f"{4 * GIB}\n")
    return "6:memory:/docker/box\n4:cpu,cpuacct:/docker/box\n"


def container_of_version_2(root: Path) -> str:
    write(root / "cpu.max", "200000 100000\n")
    write(root / "memory.max", f"{4 * GIB}\n")
    return "0::/\n"


@pytest.mark.parametrize("container", [container_of_version_1, container_of_version_2])
@pytest.mark.parametrize(
    ("environment", "profile", "workers"),
    [
        ("production", "measured", 2),
        ("production", "environment", 5),
        ("staging", "environment", 3),
        ("production", "conservative", 1),
        ("production", "moderate", 2),
        ("production", "aggressive", 3),
        ("production", "maximum", 5),
    ],
)
def test_a_container_of_two_cores_on_a_machine_of_64(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    container: object,
    environment: Environment,
    profile: WorkerProfile,
    workers: int,
) -> None:
    assert callable(container)
    write(tmp_path / "proc" / "self" / "cgroup", container(tmp_path / "cgroup"))
    write(tmp_path / "proc" / "meminfo", f"MemTotal: {512 * 2**20} kB\nMemAvailable: {500 * 2**20} kB\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr(
        "config.groups.server.this_machine", lambda: this_machine(tmp_path / "proc", tmp_path / "cgroup")
    )
    settings = load({"APP_ENV": environment, "WORKER_PROFILE": profile, "FACE_SECRET_KEY": STRONG})
    assert settings.workers == workers
    assert settings.compute_threads * settings.workers <= max(2, workers), "not the 64 of the machine"


def test_a_container_with_little_memory_gets_fewer_workers_than_cores() -> None:
    small = Machine(64, 8.0, memory_bytes=GIB, memory_is_limited=True, installed_bytes=GIB)
    assert workers_of("measured", "production", small) == 1
