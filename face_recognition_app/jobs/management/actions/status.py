"""manage.py jobs status: what waits and runs, which workers are alive, and what is due."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.job_settings import JobSettings
from database.calls import with_connection
from jobs.management.actions.words import painted, span, table
from jobs.overview.standing import Standing, standing
from jobs.overview.workers import BrokerAway, WorkerState, workers
from wire.errors import Unavailable

WATCH_EVERY_S = 2.0
ANEW = "\x1b[H\x1b[2J"


def add(actions: Any) -> None:
    parser = actions.add_parser("status", help="what waits and runs, which workers are alive, and what is due")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--watch", action="store_true", help=f"again every {WATCH_EVERY_S:.0f} s, until interrupted")
    parser.set_defaults(act=show)


def show(command: BaseCommand, settings: JobSettings, options: dict[str, Any]) -> None:
    try:
        command.stdout.write(_picture(command, settings, options))
        while options["watch"]:
            time.sleep(WATCH_EVERY_S)
            text = _picture(command, settings, options)
            command.stdout.write(ANEW + text if command.stdout.isatty() else text)
    except Unavailable as error:
        raise CommandError(f"the database cannot be used: {error}") from error
    except KeyboardInterrupt:
        return


def _picture(command: BaseCommand, settings: JobSettings, options: dict[str, Any]) -> str:
    now = with_connection(standing)
    fault, found = "", []
    try:
        found = with_connection(workers, settings)
    except BrokerAway as error:
        fault = f"Redis cannot be reached: {error}"
    if options["json"]:
        told = {**asdict(now), "workers": [asdict(one) for one in found], "fault": fault or None}
        return json.dumps(told, default=str)
    return "\n".join([*_jobs(command, now), "", *_workers(command, settings, found, fault), "", *_due(command, now)])


def _jobs(command: BaseCommand, now: Standing) -> Iterator[str]:
    rows = [
        [
            line.priority,
            line.type,
            *map(str, (line.queued, line.scheduled, line.running, line.dead)),
            span(line.oldest_s),
        ]
        for line in now.lines
    ]
    lines = table(["PRIORITY", "TYPE", "QUEUED", "SCHEDULED", "RUNNING", "DEAD", "OLDEST"], rows)
    yield from lines[:2]
    for line, text in zip(now.lines, lines[2:], strict=True):
        yield painted(command, text, "ERROR") if line.dead else text
    if not rows:
        yield "no job waits, runs or is dead"
    if now.unreadable:
        yield painted(command, f"{now.unreadable} messages that nobody could read (jobs purge --all)", "ERROR")


def _workers(command: BaseCommand, settings: JobSettings, found: list[WorkerState], fault: str) -> Iterator[str]:
    if fault:
        yield painted(command, fault, "ERROR")
        return
    if not found:
        yield painted(command, "no worker is alive", "ERROR")
        return
    rows = [[one.name, one.group, _use(one), ", ".join(_running(one)) or "-"] for one in found]
    yield from table(["WORKER", "GROUP", "BUSY", "RUNS"], rows)


def _use(worker: WorkerState) -> str:
    return f"{len(worker.running)}/{'?' if worker.slots is None else worker.slots}"


def _running(worker: WorkerState) -> Iterator[str]:
    for job in worker.running:
        whose = f" of {job.tenant}" if job.tenant else ""
        yield f"{job.type} {job.id[:8]}{whose} for {span(job.for_s)}"


def _due(command: BaseCommand, now: Standing) -> Iterator[str]:
    if now.leader:
        yield painted(command, f"scheduler: {now.leader} leads", "SUCCESS")
    else:
        yield painted(command, "scheduler: none leads", "ERROR")
    for due in now.schedules:
        late = " (late)" if due.in_s < -60 else ""
        yield f"  {due.name}: {due.type} every {span(due.every_s)}, next in {span(due.in_s)}{late}"
