"""The plan for a machine, and its text."""

from __future__ import annotations

from config.sizing.machine import MIB, Machine
from config.sizing.measured import FrameCosts, recommend
from config.sizing.plan import Plan, machines_for, plan
from config.sizing.report import lines_of
from config.sizing.workers import FORMER_EMBEDDER_BYTES, WORKER_BYTES, WorkerProfile

GIB = 1024 * MIB
COSTS = FrameCosts(analysis=10.0, spoof=6.0, samples=1.0, embed=10.0)
SIX_CORES = Machine(affinity=6, quota=None, memory_bytes=12 * GIB, memory_is_limited=False, installed_bytes=12 * GIB)
JOB_SLOTS = 5


def planned(machine: Machine = SIX_CORES, profile: WorkerProfile = "measured") -> Plan:
    advice = recommend(machine, 20.0, WORKER_BYTES, 10.0, profile)
    return plan(advice, COSTS, WORKER_BYTES, JOB_SLOTS)


def text(made: Plan, users: int | None = None, cpu_percent: float | None = None) -> str:
    return "\n".join(lines_of(made, users, cpu_percent))


def test_more_workers_than_cores_serve_no_more_sessions_and_take_more_memory() -> None:
    by_profile = {one.advice.profile: one.advice for one in planned().profiles}
    measured, largest = by_profile["measured"], by_profile["maximum"]
    assert measured.sessions == largest.sessions
    assert largest.workers * largest.worker_bytes > 2 * measured.workers * measured.worker_bytes


def test_memory_counts_the_job_worker_both_generations_and_a_second_embedder() -> None:
    memory = planned().memory
    web = 6 * WORKER_BYTES
    jobs = memory.serving - web
    assert jobs > WORKER_BYTES, "the engine for jobs, and its processes"
    assert memory.reloading == 2 * web + jobs
    assert memory.moving == memory.serving + (6 + 1) * FORMER_EMBEDDER_BYTES


def test_connections_are_those_of_the_chosen_profile() -> None:
    chosen = planned(profile="conservative").chosen
    assert chosen.advice.workers == 4
    assert (chosen.database.web, chosen.redis.web) == (40, 40)
    assert chosen.max_connections == 200, "80 during a reload, 14 of jobs, 20 for administration"


def test_the_text_has_every_profile_with_its_claims() -> None:
    rows = {line.split()[0]: line for line in text(planned(profile="moderate")).splitlines() if "workers" in line}
    assert rows["moderate"].startswith("moderate *")
    for profile, workers, users, gigabytes, pools in (
        ("conservative", "4", "1000+", "3.7", "8..40"),
        ("moderate", "6", "1500+", "4.3", "12..60"),
        ("aggressive", "8 to 10", "2000+", "4.9", "16..80"),
        ("maximum", "13", "2000+", "6.4", "26..130"),
    ):
        assert f"| {workers} workers" in rows[profile]
        assert all(cell in rows[profile].split() for cell in (users, gigabytes, pools))


def test_the_text_has_the_formulas_of_the_guides() -> None:
    told = text(planned(), users=700, cpu_percent=69.0)
    for line in (
        "- pools: 2 workers x 4 instances = 8, for 8 to 16 sessions",
        "- workers: at least 2, recommended 4 (60 %), at most 5 (80 %); 2 x cores + 1 is 13",
        "- memory with PostgreSQL, Redis and the system: 3.7 to 4.3 GB",
        "- 6 workers: 1200 to 1500 requests/s, 600 to 1200 users, CPU 90 to 100 %",
        "- 700 users: 6 workers",
        "- 6 workers with the CPU 69 % busy: go on to 8",
    ):
        assert line in told.splitlines()
    assert "6 x 20 + 20 = 140, so max_connections = 200" in told
    assert "max_connections = 200, shared_buffers = 256MB" in told
    assert "PostgreSQL: at most 60 connections of web workers and 14 of the job worker; 134 during a reload." in told
    assert "none of it was measured here" in told


def test_users_and_steps_are_told_when_they_are_asked_for() -> None:
    assert " users: " not in text(planned())
    assert "% busy" not in text(planned())
    assert "8 workers, on more servers" in text(planned(), users=5_000)
    assert "with the CPU 95 % busy: stay" in text(planned(), cpu_percent=95.0)


def test_people_before_cameras_need_machines() -> None:
    assert [machines_for(people, 20) for people in (1, 20, 21)] == [1, 1, 2]
    assert machines_for(1, 0) is None
    slow = Machine(affinity=1, quota=0.1, memory_bytes=GIB, memory_is_limited=False, installed_bytes=GIB)
    assert "more than machines like this can serve" in text(planned(slow), users=10)


def test_a_reload_without_room_is_told() -> None:
    small = Machine(affinity=2, quota=None, memory_bytes=GIB, memory_is_limited=True, installed_bytes=GIB)
    assert "A reload does not fit into the memory" in text(planned(small))
    assert "A reload does not fit" not in text(planned())
