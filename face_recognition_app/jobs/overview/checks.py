"""What an operator looks at before and after a deployment: each item passes, or says what to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import redis
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from config.job_settings import JobSettings
from database import clock
from database.calls import with_connection
from jobs.broker import state
from jobs.broker.queues import queue_of
from jobs.models import Job
from jobs.overview.standing import Line, Standing, standing
from jobs.overview.workers import BrokerAway, WorkerState, workers
from vocabulary.jobs import FINISHED, JobStatus
from wire.errors import Unavailable

MOST_APART_S = 2.0
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Limits:
    """`depth`: jobs of one priority and type that may wait. `error_rate`: of the jobs that ended in an hour."""

    depth: int = 1_000
    error_rate: float = 0.05
    age: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Item:
    """`words`: what was found, and when it fails, what to do."""

    name: str
    passes: bool
    words: str


def items(settings: JobSettings, limits: Limits) -> list[Item]:
    """Every item. One that cannot be looked at fails."""
    found = [*_redis(settings), _asked("database", _database)]
    if not found[-1].passes:
        return found
    found.append(_asked("migrations", _migrations))
    if not found[-1].passes:
        return found
    now = with_connection(standing)
    return [
        *found,
        _scheduler(now),
        _workers(settings, now),
        _depth(now, limits),
        _age(now, limits),
        _asked("error rate", lambda: _error_rate(limits)),
        _asked("clocks", lambda: _clocks(settings)),
    ]


def _asked(name: str, look: Callable[[], Item]) -> Item:
    try:
        return with_connection(look)
    except (Unavailable, redis.RedisError) as error:
        return Item(name, False, f"cannot be looked at: {error}")


def _redis(settings: JobSettings) -> Iterator[Item]:
    if settings.is_embedded:
        yield Item("redis", True, "not needed: without REDIS_URL jobs go from the database to one worker")
        return
    try:
        with state.connection().asked() as client:
            memory, persistence = client.info("memory"), client.info("persistence")
    except (redis.RedisError, ValueError) as error:
        yield Item("redis", False, f"REDIS_URL cannot be reached ({error}): start Redis, or set the URL right")
        return
    assert isinstance(memory, dict)
    assert isinstance(persistence, dict)
    yield Item("redis", True, "REDIS_URL can be reached")
    policy = memory.get("maxmemory_policy", "unknown")
    yield Item(
        "redis memory",
        policy == "noeviction",
        "maxmemory-policy is noeviction"
        if policy == "noeviction"
        else f"maxmemory-policy is {policy}: Redis may drop queues. Set it to noeviction",
    )
    on = bool(persistence.get("aof_enabled"))
    yield Item(
        "redis persistence",
        on,
        "append-only file is on"
        if on
        else "the append-only file is off: a restart empties the queues, and jobs wait until the scheduler sends them "
        "again. Set appendonly yes",
    )


def _database() -> Item:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return Item("database", True, f"{connection.vendor} answers")


def _migrations() -> Item:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        return Item("migrations", False, f"{len(missing)} are not applied: run manage.py prepare")
    return Item("migrations", True, "all are applied")


def _scheduler(now: Standing) -> Item:
    if now.leader:
        return Item("scheduler", True, f"one leads: {now.leader}")
    return Item(
        "scheduler",
        False,
        "none leads: nothing is begun by its time, and jobs of dead workers stay. Start a worker with ENABLE_SCHEDULER "
        "unset, or manage.py jobs scheduler",
    )


def _workers(settings: JobSettings, now: Standing) -> Item:
    try:
        found = workers(settings)
    except BrokerAway as error:
        return Item("workers", False, f"cannot be asked ({error}): start Redis, or set REDIS_URL right")
    if not found:
        return Item("workers", False, "none is alive: start one with run_workers.sh, or manage.py jobs worker")
    idle = [f"{line.priority} {line.type}" for line in now.lines if line.queued and not _is_taken(line, found)]
    if idle:
        return Item(
            "workers",
            False,
            f"no worker takes what waits: {', '.join(idle)}. Start one whose WORKER_PRIORITIES and WORKER_JOB_TYPES "
            "have it, or a default one",
        )
    slots = sum(one.slots or 0 for one in found)
    return Item("workers", True, f"{len(found)} alive with {slots} slots; each queue with jobs has one")


def _is_taken(line: Line, found: list[WorkerState]) -> bool:
    return any(not one.queues or queue_of(line.type, line.priority) in one.queues for one in found)


def _depth(now: Standing, limits: Limits) -> Item:
    deep = [f"{line.priority} {line.type} {line.queued}" for line in now.lines if line.queued > limits.depth]
    if deep:
        return Item(
            "queue depth", False, f"over {limits.depth} jobs wait: {', '.join(deep)}. Add workers or slots (jobs scale)"
        )
    return Item("queue depth", True, f"no more than {limits.depth} jobs of a type wait")


def _age(now: Standing, limits: Limits) -> Item:
    longest_s = limits.age.total_seconds()
    old = [
        f"{line.priority} {line.type} {line.oldest_s:.0f} s"
        for line in now.lines
        if line.oldest_s is not None and line.oldest_s > longest_s
    ]
    if old:
        return Item(
            "oldest job", False, f"waits longer than {longest_s:.0f} s: {', '.join(old)}. Add workers or slots for it"
        )
    return Item("oldest job", True, f"none waits longer than {longest_s:.0f} s")


def _error_rate(limits: Limits) -> Item:
    ended = Job.across_tenants.filter(
        status__in=FINISHED - {JobStatus.CANCELLED}, finished_at__gte=clock.now() - HOUR
    ).order_by()
    every, bad = ended.count(), ended.exclude(status=JobStatus.SUCCEEDED).count()
    rate = bad / every if every else 0.0
    told = f"{bad} of {every} jobs of the last hour failed"
    if rate > limits.error_rate:
        return Item(
            "error rate", False, f"{told}, more than {limits.error_rate:.0%}: see manage.py jobs list --status dead"
        )
    return Item("error rate", True, told)


def _clocks(settings: JobSettings) -> Item:
    apart = {"the database": _apart(lambda: clock.now().timestamp())}
    if not settings.is_embedded:
        apart["Redis"] = _apart(_time_of_redis)
    wrong = [f"{name} by {seconds:.1f} s" for name, seconds in apart.items() if seconds > MOST_APART_S]
    if wrong:
        return Item("clocks", False, f"this machine's differs from {', '.join(wrong)}. Set it by NTP")
    return Item("clocks", True, f"this machine's is that of {' and '.join(apart)}")


def _apart(there: Callable[[], float]) -> float:
    """Seconds between a clock elsewhere and this machine's; at least that, since reading it takes time."""
    before = time.time()  # noqa: TID251 - this machine's clock is what is compared
    found = there()
    after = time.time()  # noqa: TID251
    return max(0.0, before - found, found - after)


def _time_of_redis() -> float:
    with state.connection().asked() as client:
        told = client.time()
    assert isinstance(told, tuple)
    return float(told[0]) + told[1] / 1e6
