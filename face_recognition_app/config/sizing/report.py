"""A plan in words and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from config.sizing import guides
from config.sizing.machine import MIB
from config.sizing.plan import Plan, ProfilePlan, machines_for
from config.sizing.workers import MEMORY_SHARE, whole_cores

_HEADS = ("profile", "workers", "pool", "memory", "sessions", "PostgreSQL", "Redis", "| guide:", "users", "GB", "pools")


def lines_of(plan: Plan, users: int | None, cpu_percent: float | None) -> Iterator[str]:
    yield from (plan.advice.line, "", *plan.advice.reasons, "")
    yield from _profile_table(plan)
    yield ""
    yield from _about_memory(plan)
    yield from _about_connections(plan)
    yield ""
    yield from _from_guides(plan)
    if users is not None:
        yield from _about_users(plan, users)
    if cpu_percent is not None:
        yield _about_step(plan, cpu_percent)


def _profile_table(plan: Plan) -> Iterator[str]:
    cells = [_HEADS, *(_cells(one, is_chosen=one is plan.chosen) for one in plan.profiles)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADS))]
    for row in cells:
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _cells(one: ProfilePlan, is_chosen: bool) -> tuple[str, ...]:
    advice, pools = one.advice, one.guide_pools
    return (
        f"{advice.profile} *" if is_chosen else advice.profile,
        f"{advice.workers}",
        f"{advice.pool_size}",
        f"{advice.workers * advice.worker_bytes / MIB:.0f} MiB",
        f"{advice.sessions}",
        f"{one.database.total}",
        f"{one.redis.total}",
        f"| {_span(one.guide_workers)} workers",
        "-" if one.claim is None else f"{one.claim.users}+",
        f"{one.guide_gb:g}",
        f"{pools.database_min}..{pools.database_max}",
    )


def _about_memory(plan: Plan) -> Iterator[str]:
    memory, machine = plan.memory, plan.advice.machine
    yield (
        f"Memory with a job worker of {plan.job_slots} slots: {_mib(memory.serving)}; while a reload has old and new "
        f"workers {_mib(memory.reloading)}; while galleries move to another embedder {_mib(memory.moving)}."
    )
    if memory.reloading > machine.memory_bytes:
        yield "A reload does not fit into the memory: restart instead, or take fewer workers."
    share = f"{MEMORY_SHARE:.0%} of {_mib(machine.memory_bytes)}"
    yield f"Workers may take {share}; galleries, pictures in work, PostgreSQL and Redis need the rest."


def _about_connections(plan: Plan) -> Iterator[str]:
    chosen = plan.chosen
    for name, held in (("PostgreSQL", chosen.database), ("Redis", chosen.redis)):
        yield (
            f"{name}: at most {held.web} connections of web workers and {held.jobs} of the job worker; "
            f"{held.during_reload} during a reload."
        )
    yield f"So postgresql.conf: max_connections = {chosen.max_connections}, shared_buffers = {guides.SHARED_BUFFERS}."


def _from_guides(plan: Plan) -> Iterator[str]:
    cores, tier, range_, workers = whole_cores(plan.advice.machine.cores), plan.tier, plan.range, plan.advice.workers
    yield f"What the original guides say of {cores} cores, and of {workers} workers; none of it was measured here:"
    yield (
        f"- pools: {tier.workers} workers x {tier.pool_size} instances = {tier.workers * tier.pool_size}, "
        f"for {_span(tier.sessions)} sessions"
    )
    yield (
        f"- workers: at least {range_.least}, recommended {range_.recommended} (60 %), at most {range_.most} (80 %); "
        f"2 x cores + 1 is {range_.formula}"
    )
    low, high = (guides.memory_gb(workers, one) for one in (guides.LEAST_WORKER_GB, guides.WORKER_GB))
    yield f"- memory with PostgreSQL, Redis and the system: {low:g} to {high:g} GB"
    total, allowed = guides.overflowing_connections(workers), guides.overflowing_max_connections(workers)
    pools = guides.pools(workers)
    yield (
        f"- PostgreSQL: {workers} x {guides.OVERFLOWING_POOL} + 20 = {total}, so max_connections = {allowed}; or pools "
        f"of {guides.MIN_POOL} to {guides.MAX_POOL}, {pools.database_min} to {pools.database_max} in all, with "
        f"max_connections = {guides.SERVERS_MAX_CONNECTIONS}; Redis: {pools.redis_max}"
    )
    claim = guides.claim(workers)
    yield (
        f"- {claim.workers} workers: {_span(claim.requests_per_s)} requests/s, {_span(claim.users)} users, "
        f"CPU {_span(claim.cpu_percent)} %"
    )


def _about_users(plan: Plan, users: int) -> Iterator[str]:
    advice = guides.for_users(users)
    more = ", on more servers" if advice.more_servers else ""
    yield f"- {users} users: {_span(advice.workers)} workers{more}"
    machines = machines_for(users, plan.advice.sessions)
    what = "more than machines like this can serve" if machines is None else f"{machines} machines like this"
    yield f"Measured: {users} people before a camera at once are {what}, at {plan.advice.fps:g} frames/s each."


def _about_step(plan: Plan, cpu_percent: float) -> str:
    workers = plan.advice.workers
    after = guides.step_up(workers, cpu_percent)
    decided = f"go on to {after}" if after > workers else "stay"
    return f"- {workers} workers with the CPU {cpu_percent:g} % busy: {decided}"


def _span(ends: Sequence[int]) -> str:
    least, most = ends
    return f"{least}" if least == most else f"{least} to {most}"


def _mib(size: int) -> str:
    return f"{size / MIB:.0f} MiB"
