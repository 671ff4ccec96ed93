"""Names of the broker's queues: one for each priority and type, so that a worker takes exactly what is its own."""

from __future__ import annotations

from collections.abc import Iterable

from vocabulary.jobs import JobType, Priority

KEY_PREFIX = "face:"
"""Of every key in Redis, so that the length of a queue is `redis-cli LLEN face:queue:high:bulk_enroll`."""


def queue_of(type_: str, priority: str) -> str:
    return f"queue:{priority}:{type_}"


def queues_of(types: Iterable[JobType], priorities: Iterable[Priority]) -> list[str]:
    """In the order in which a worker looks into them: strictly by priority."""
    types = list(types)
    return [queue_of(type_, priority) for priority in Priority if priority in set(priorities) for type_ in types]


ALL = queues_of(JobType, Priority)
