"""manage.py jobs autoscale: as many slots for a group of running workers as its jobs need."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandError

from config.job_settings import MOST_SLOTS, JobSettings
from jobs.scaling import celery_group
from jobs.scaling.rule import Bounds, Scaling
from jobs.workers.running import told_to_end

Say = Callable[[str], Any]
"""Tells the operator a line."""


def add(actions: Any) -> None:
    parser = actions.add_parser("autoscale", help="grow and shrink a group of running workers, until told to end")
    parser.add_argument("group", metavar="GROUP", help="WORKER_GROUP of the workers, or what it is by default")
    parser.add_argument("--min", type=int, required=True, metavar="N", help="slots of all its workers at least")
    parser.add_argument("--max", type=int, required=True, metavar="N", help="slots of all its workers at most")
    parser.add_argument("--every", type=float, default=5.0, metavar="SECONDS", help="how often to look (5)")
    parser.set_defaults(act=autoscale)


def autoscale(command: BaseCommand, settings: JobSettings, options: dict[str, Any]) -> None:
    if settings.is_embedded:
        raise CommandError("without REDIS_URL there is one worker, whose slots WORKER_CONCURRENCY says")
    if not 1 <= options["min"] <= options["max"] <= 100 * MOST_SLOTS:
        raise CommandError("--min must be at least 1, and --max at least --min")
    if options["every"] < 1:
        raise CommandError("--every must be at least 1")
    scaling = Scaling(Bounds(options["min"], options["max"]))
    follow(options["group"], scaling, options["every"], told_to_end(), command.stdout.write)


def follow(group: str, scaling: Scaling, every_s: float, is_over: Callable[[], bool], say: Say) -> None:
    """Look and change until it is over. A group that does not answer now may answer later."""
    from kombu.exceptions import OperationalError

    from jobs.broker.application import application

    control, silent = application().control, False
    while not is_over():
        try:
            workers = celery_group.workers_of(control, group)
            if bool(workers) == silent:
                silent = not workers
                say(f"{group}: no worker answers" if silent else f"{group}: {', '.join(workers)}")
            if workers:
                adjust(control, workers, scaling, say)
        except (OperationalError, OSError, redis.RedisError) as error:
            say(f"{group}: Redis cannot be reached: {error}")
        until = time.monotonic() + every_s
        while not is_over() and time.monotonic() < until:
            time.sleep(0.1)


def adjust(control: Any, workers: dict[str, celery_group.WorkerLoad], scaling: Scaling, say: Say) -> None:
    load = celery_group.load_of(workers)
    slots = max(len(workers), scaling.decide(time.monotonic(), load))
    if slots == load.slots:
        return
    group = next(iter(workers.values())).group
    mean = "unknown" if load.mean_s is None else f"{load.mean_s:.3g} s"
    say(f"{group}: {load.slots} -> {slots} slots ({load.busy:.1f} busy, {load.waiting} waiting, mean time {mean})")
    celery_group.resize(control, {name: one.slots for name, one in workers.items()}, slots)
