"""The rows of the table: the machine, the settings of the server, what follows from them, and all other settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.groups.server import ServerSettings
from config.job_settings import JobSettings
from config.settings import Settings
from config.sizing.connections import Connections, database_connections, redis_connections
from config.sizing.machine import MIB, Machine
from config.sizing.workers import MEMORY_SHARE, THREAD_BYTES, WORKER_BYTES
from server.explained.origins import Source
from server.graceful_exit import graceful_timeout_s

SOMAXCONN = Path("/proc/sys/net/core/somaxconn")
_FROM_SETTINGS = "settings above"


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    value: str
    origin: str
    meaning: str


def rows(source: Source, jobs: JobSettings, machine: Machine) -> Iterator[Row]:
    yield from _of_machine(machine)
    yield from _of_settings(source, machine, set(ServerSettings.model_fields))
    yield from _that_follow(source, jobs, machine)
    yield from _of_settings(source, machine, Settings.model_fields.keys() - ServerSettings.model_fields.keys())


def _of_settings(source: Source, machine: Machine, names: Set[str]) -> Iterator[Row]:
    for name, field in Settings.model_fields.items():
        if name in names:
            variable = field.alias or name
            value, origin = source.value_and_origin(name, variable)
            shown = _shown(variable, value, is_secret=not field.repr)
            yield Row(variable, shown, origin, _meaning(variable, value, field.description or "", source, machine))


def _of_machine(machine: Machine) -> Iterator[Row]:
    limited = machine.quota is not None and machine.quota < machine.affinity
    by = f"CPU quota of the cgroup; {machine.affinity} without it" if limited else "cores that this process may use"
    yield Row("cores", f"{machine.cores:g}", "cgroup" if limited else "machine", by)
    origin = "cgroup" if machine.memory_is_limited else "machine"
    yield Row("memory", f"{machine.installed_bytes / MIB:.0f} MiB", origin, "installed, or allowed by the cgroup")


def _that_follow(source: Source, jobs: JobSettings, machine: Machine) -> Iterator[Row]:
    settings = source.settings
    workers = int(source.value_and_origin("workers", "GUNICORN_WORKERS")[0])
    settings = settings.model_copy(update={"workers": workers})
    threads = settings.compute_threads
    origin = "measured machine" if settings.threads is None else "FACE_COMPUTE_THREADS"
    yield Row("compute threads", f"{threads}", origin, "of each worker: its share of the cores, if not given")
    yield Row("instances", f"{workers * settings.mesh_pool_size}", _FROM_SETTINGS, "FaceMesh instances of all workers")
    yield _memory(workers, threads, machine)
    stop = graceful_timeout_s(settings.drain_s)
    yield Row("graceful time-out", f"{stop} s", "FACE_DRAIN_S", "until the master kills workers that have not ended")
    beside = jobs.runs_beside_gunicorn
    why = "environment" if jobs.background_tasks is not None else "default"
    yield Row("job worker beside", "yes" if beside else "no", why, "ENABLE_BACKGROUND_TASKS; unset: without REDIS_URL")
    slots = jobs.slots if beside else 0
    if settings.database_url.startswith("postgres"):
        yield _connections("PostgreSQL connections", database_connections(workers, slots))
    if settings.redis_url:
        yield _connections("Redis connections", redis_connections(workers, slots))


def _connections(name: str, held: Connections) -> Row:
    meaning = f"at most: {held.web} of web workers, twice as many during a reload, and {held.jobs} of the job worker"
    return Row(name, f"{held.total}", _FROM_SETTINGS, meaning)


def _memory(workers: int, threads: int, machine: Machine) -> Row:
    needed = workers * (WORKER_BYTES + THREAD_BYTES * (threads - 1))
    is_enough = needed <= MEMORY_SHARE * machine.installed_bytes
    meaning = "estimate for all workers, without galleries" if is_enough else "too much for this machine: fewer workers"
    return Row("memory of workers", f"{needed / MIB:.0f} MiB", _FROM_SETTINGS, meaning)


def _shown(variable: str, value: Any, is_secret: bool) -> str:
    if value is None or value in ("", ()):
        return "unset"
    if is_secret:
        return "set, not shown"
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, tuple | list):
        return ",".join(str(one) for one in value)
    if isinstance(value, float):
        return f"{value:g}"
    return re.sub(r"//[^@/]*@", "//...@", str(value)) if variable.endswith("_URL") else str(value)


def _meaning(variable: str, value: Any, description: str, source: Source, machine: Machine) -> str:
    if variable == "GUNICORN_WORKERS" and source.origin(variable) == "measured machine":
        held = "2 at most in development, " if source.settings.development else ""
        return f"One for each of {machine.cores:g} cores, {held}as far as memory allows. {description}"
    if variable == "GUNICORN_BACKLOG":
        allowed = _somaxconn()
        return f"The system allows only {allowed}. {description}" if allowed < int(value) else description
    return description


def _somaxconn() -> int:
    return int(SOMAXCONN.read_text())
