"""What runs, and what it takes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from config.settings import SettingsError
from monitoring.pool_load import PoolLoad
from monitoring.worker_stats import read_live_workers
from supervision import health, master
from supervision.daemons import Daemon
from supervision.master import Master, NoMaster
from supervision.places import Places, settings_of
from supervision.processes import Gone, Measured, command_of, environment_of, family, measure

CPU_OVER_S = 1.0


class State(StrEnum):
    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    SINGLE = "single"
    """One process of Uvicorn, since a rollback."""
    ENDING = "ending"
    """The process has died, and others that it has started still live."""


class Role(StrEnum):
    MASTER = "master"
    WORKER = "worker"
    SINGLE = "single"
    JOBS = "jobs"


@dataclass(frozen=True, slots=True)
class Process:
    """`cpu_percent`: of one core, over CPU_OVER_S. `pool`: None if it has none."""

    pid: int
    role: Role
    cpu_percent: float
    rss_bytes: int
    pss_bytes: int
    threads: int
    age_s: float
    pool: PoolLoad | None


@dataclass(frozen=True, slots=True)
class Queue:
    """Jobs of one priority and type."""

    priority: str
    type: str
    queued: int
    scheduled: int
    running: int
    dead: int
    oldest_s: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """`fault`: what keeps the service from being ready. `queues_fault`: why queues are not known."""

    service: State
    background: State
    master: Master | None
    fault: str | None
    processes: tuple[Process, ...]
    queues: tuple[Queue, ...]
    queues_fault: str | None

    @property
    def workers(self) -> int:
        return sum(process.role in (Role.WORKER, Role.SINGLE) for process in self.processes)

    @property
    def runs(self) -> bool:
        return not {self.service, self.background} <= {State.STOPPED}


def look(places: Places) -> Status:
    found = _master(places)
    root = found.pid if found else places.service.leader
    background = places.background.leader
    queues, queues_fault = _queues(root or background)
    return Status(
        service=State.RUNNING if found else _state(places.service, State.STARTING),
        background=_state(places.background, State.RUNNING),
        master=found,
        fault=None if root is None else _fault(root),
        processes=_processes(places, found, [pid for pid in (root, background) if pid is not None]),
        queues=queues,
        queues_fault=queues_fault,
    )


def _master(places: Places) -> Master | None:
    try:
        return master.ask(places.control_socket)
    except NoMaster:
        return None


def _state(daemon: Daemon, of_the_living: State) -> State:
    leader = daemon.leader
    if leader is None:
        return State.ENDING if daemon.runs else State.STOPPED
    with suppress(Gone):
        if "uvicorn" in command_of(leader):
            return State.SINGLE
    return of_the_living


def _fault(pid: int) -> str | None:
    try:
        return health.fault(settings_of(pid))
    except (Gone, SettingsError) as error:
        return str(error)


def _processes(places: Places, found: Master | None, roots: Iterable[int]) -> tuple[Process, ...]:
    before = _measure(pid for root in roots for pid in family(root))
    began = time.monotonic()
    time.sleep(CPU_OVER_S if before else 0)
    after, over_s = _measure(before), time.monotonic() - began
    pools = {worker.pid: worker.load for worker in read_live_workers(places.run_dir)}
    return tuple(
        Process(
            pid=pid,
            role=_role(now, found, pools),
            cpu_percent=100 * (now.cpu_s - before[pid].cpu_s) / over_s,
            rss_bytes=now.rss_bytes,
            pss_bytes=now.pss_bytes,
            threads=now.threads,
            age_s=now.age_s,
            pool=pools.get(pid),
        )
        for pid, now in after.items()
    )


def _measure(pids: Iterable[int]) -> dict[int, Measured]:
    found = {}
    for pid in pids:
        with suppress(Gone):
            found[pid] = measure(pid)
    return found


def _role(process: Measured, found: Master | None, pools: dict[int, PoolLoad]) -> Role:
    if found and process.pid in found.workers:
        return Role.WORKER
    if found and process.pid == found.pid:
        return Role.MASTER
    return Role.SINGLE if process.pid in pools else Role.JOBS


def _queues(pid: int | None) -> tuple[tuple[Queue, ...], str | None]:
    """From the database of the running process `pid`."""
    if pid is None:
        return (), None
    try:
        os.environ.update(environment_of(pid))
        return _ask_database(), None
    except Exception as error:  # Whatever is wrong with the database, the rest is worth knowing.
        return (), str(error)


def _ask_database() -> tuple[Queue, ...]:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "face_app.settings")
    django.setup()
    from database.calls import with_connection
    from jobs.overview.standing import standing

    return tuple(
        Queue(line.priority, line.type, line.queued, line.scheduled, line.running, line.dead, line.oldest_s)
        for line in with_connection(standing).lines
    )
