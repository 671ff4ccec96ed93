"""Growing and shrinking the pools of running workers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from config.job_settings import MOST_SLOTS
from jobs.overview.workers import ANSWER_S, group_of, slots_in
from jobs.scaling import celery_group

SETTLES_S = 10.0
"""How long new processes may take to start, and idle ones to end."""


class CannotScale(Exception):
    """No such group, or a size that cannot be. The message is for the operator."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """Slots of one worker before and after, and as many as were wanted. Slots that have jobs do not go."""

    name: str
    before: int
    after: int
    wanted: int


def scale(group: str, slots: int) -> list[Scaled]:
    """Give all workers of the group that many slots together, spread evenly. Waits a while for them to be there.

    `group`: of workers, or the whole name of one. Raises CannotScale, and what Redis raises.
    """
    from jobs.broker.application import application

    control = application().control
    before = _slots(control)
    names = sorted(name for name in before if group in (name, group_of(name)))
    if not names:
        known = sorted({*before, *(group_of(name) for name in before)})
        raise CannotScale(f"no worker {group} answers; there are: {', '.join(known) or 'none'}")
    if not len(names) <= slots <= MOST_SLOTS * len(names):
        raise CannotScale(
            f"each of the group's workers ({len(names)}) needs 1 to {MOST_SLOTS} slots: not {slots} together"
        )
    wanted = celery_group.resize(control, {name: before[name] for name in names}, slots)
    after = _settled(control, wanted, before)
    return [Scaled(name, before[name], after.get(name, 0), wanted[name]) for name in names]


def _settled(control: Any, wanted: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    if all(before[name] == number for name, number in wanted.items()):
        return before
    deadline = time.monotonic() + SETTLES_S
    while True:
        found = _slots(control, limit=len(before))
        if all(found.get(name) == number for name, number in wanted.items()) or time.monotonic() > deadline:
            return found


def _slots(control: Any, limit: int | None = None) -> dict[str, int]:
    """Of each worker that answers. `limit`: when so many have answered, no other is waited for."""
    stats = control.inspect(timeout=ANSWER_S, limit=limit).stats() or {}
    return {name: slots_in(told) for name, told in stats.items()}
