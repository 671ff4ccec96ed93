"""A group of Celery workers: what it does, and how many slots it has. By remote control."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from config.job_settings import MOST_SLOTS
from jobs.scaling.rule import Load
from jobs.watching.tally import Figures

COMMAND = "job_load"
ANSWER_S = 1.0
"""How long answers of workers are waited for."""


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """What one worker answers. `runs` and `run_s`: those that ended in the last minute, and their time together."""

    group: str
    slots: int
    busy: float
    waiting: int
    runs: int
    run_s: float


def answer_of(group: str, figures: Figures, waiting: int | None) -> dict[str, Any]:
    return {
        "group": group,
        "slots": figures.slots,
        "busy": figures.slots * figures.utilisation,
        "waiting": waiting or 0,
        "runs": figures.recent_runs,
        "run_s": figures.recent_s,
    }


def workers_of(control: Any, group: str) -> dict[str, WorkerLoad]:
    """By name. Raises what Redis raises."""
    answers = control.broadcast(COMMAND, reply=True, timeout=ANSWER_S) or []
    found = {name: WorkerLoad(**told) for answer in answers for name, told in answer.items() if _is_load(told)}
    return {name: load for name, load in sorted(found.items()) if load.group == group}


def load_of(workers: Mapping[str, WorkerLoad]) -> Load:
    """Of the whole group, whose workers take from the same queues."""
    runs = sum(one.runs for one in workers.values())
    return Load(
        slots=sum(one.slots for one in workers.values()),
        busy=sum(one.busy for one in workers.values()),
        waiting=max(one.waiting for one in workers.values()),
        mean_s=sum(one.run_s for one in workers.values()) / runs if runs else None,
    )


def spread(names: Collection[str], slots: int) -> dict[str, int]:
    """So many slots over the workers, as evenly as can be; each has at least one."""
    whole, rest = divmod(slots, len(names))
    return {name: max(1, min(whole + (at < rest), MOST_SLOTS)) for at, name in enumerate(names)}


def resize(control: Any, sizes: Mapping[str, int], slots: int) -> dict[str, int]:
    """Have workers of these sizes add processes, or end those that are idle; busy ones stay until a later call.

    Returns the sizes that are wanted. Raises what Redis raises.
    """
    wanted = spread(sizes, slots)
    for name, size in wanted.items():
        more = size - sizes[name]
        if more > 0:
            control.pool_grow(more, destination=[name], reply=True, timeout=ANSWER_S, limit=1)
        elif more < 0:
            control.pool_shrink(-more, destination=[name], reply=True, timeout=ANSWER_S, limit=1)
    return wanted


def _is_load(told: Any) -> bool:
    return isinstance(told, dict) and "slots" in told
