"""A status as text for a terminal and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from jobs.management.actions.words import span, table
from monitoring.pool_load import PoolLoad
from supervision.status import Process, State, Status

_STATES = {
    State.STOPPED: "is not running",
    State.STARTING: "is starting",
    State.RUNNING: "runs",
    State.SINGLE: "runs as one process of Uvicorn, without Gunicorn",
    State.ENDING: "has died, and processes that it has started are ending",
}


def as_json(status: Status) -> str:
    told = asdict(status)
    for process, row in zip(status.processes, told["processes"], strict=True):
        pool = process.pool
        row["pool"] = pool and {
            "pool_size": pool.pool_size,
            "max_size": pool.max_size,
            "in_use": pool.in_use,
            "available": pool.available,
            "waiting": pool.waiting,
        }
    return json.dumps({**told, "workers": status.workers, "totals": _totals(status.processes)})


def as_text(status: Status) -> str:
    return "\n".join([*_heading(status), *_processes(status.processes), *_queues(status)])


def _heading(status: Status) -> Iterator[str]:
    found = status.master
    line = f"the service {_STATES[status.service]}"
    if found:
        line += (
            f" since {span(found.uptime_s)}: master {found.pid} keeps {found.wanted} workers, {found.reloads} reloads"
        )
    yield line
    if status.service in (State.RUNNING, State.SINGLE):
        yield f"it is not ready: {status.fault}" if status.fault else "it is ready"
    if status.background is not State.STOPPED:
        yield f"the job worker {_STATES[status.background]}"


def _totals(processes: Sequence[Process]) -> dict[str, float]:
    return {
        "cpu_percent": sum(one.cpu_percent for one in processes),
        "rss_bytes": sum(one.rss_bytes for one in processes),
        "pss_bytes": sum(one.pss_bytes for one in processes),
        "threads": sum(one.threads for one in processes),
    }


def _processes(processes: Sequence[Process]) -> Iterator[str]:
    if not processes:
        return
    totals = _totals(processes)
    head = ["PID", "ROLE", "CPU %", "RSS MB", "PSS MB", "THREADS", "POOL", "WAITING", "SINCE"]
    rows = [
        [
            *(str(one.pid), one.role, f"{one.cpu_percent:.0f}", _mb(one.rss_bytes), _mb(one.pss_bytes)),
            *(str(one.threads), _pool(one.pool), str(one.pool.waiting) if one.pool else "-", span(one.age_s)),
        ]
        for one in processes
    ]
    total = [f"{totals['cpu_percent']:.0f}", _mb(totals["rss_bytes"]), _mb(totals["pss_bytes"]), f"{totals['threads']}"]
    yield ""
    yield from table(head, [*rows, ["all", "", *total, "", "", ""]])


def _pool(pool: PoolLoad | None) -> str:
    return f"{pool.in_use}/{pool.pool_size} of {pool.max_size}" if pool else "-"


def _queues(status: Status) -> Iterator[str]:
    if not status.runs:
        return
    yield ""
    if status.queues_fault:
        yield f"queues: {status.queues_fault}"
    elif not status.queues:
        yield "no job waits, runs or is dead"
    else:
        rows = [
            [
                *(one.priority, one.type, str(one.queued), str(one.scheduled)),
                *(str(one.running), str(one.dead), span(one.oldest_s)),
            ]
            for one in status.queues
        ]
        yield from table(["PRIORITY", "TYPE", "QUEUED", "SCHEDULED", "RUNNING", "DEAD", "OLDEST"], rows)


def _mb(number: float) -> str:
    return f"{number / 1_000_000:.0f}"
