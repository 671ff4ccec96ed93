"""How many slots a group of workers should have. deploy/prometheus/jobs.rules.yml says the same in PromQL."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

TARGET = 0.7
"""Share of time that slots shall be busy: within the 60 to 80 % at which jobs rarely wait for a slot."""
SCALE_OUT = 0.8
SCALE_IN = 0.5
WORK_OFF_S = 60.0
"""In which time what waits shall be worked off, beside what comes."""
UNKNOWN_MEAN_S = 1.0
CALM_S = 300.0
"""How long fewer slots must suffice before there are fewer, so that nothing swings."""


@dataclass(frozen=True, slots=True)
class Load:
    """Of a group. `busy`: slots that were busy, on average of the last minute. `waiting`: jobs that no worker has.
    `mean_s`: of a run, None when none has ended lately."""

    slots: int
    busy: float
    waiting: int
    mean_s: float | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """At least one slot."""

    least: int
    most: int

    def within(self, slots: int) -> int:
        return max(self.least, min(slots, self.most))

    def enough(self, wanted: float) -> int:
        return self.within(math.ceil(wanted - 1e-9))


def wanted_slots(load: Load) -> float:
    """So many that the present work takes TARGET of their time, and those that work off what waits. Not rounded."""
    mean_s = UNKNOWN_MEAN_S if load.mean_s is None else load.mean_s
    return load.busy / TARGET + load.waiting * mean_s / WORK_OFF_S


@dataclass(slots=True)
class Scaling:
    """The rule over time: more at once, at most twice as many a time; fewer only when that has sufficed for CALM_S, at
    most half as many a time; no change while utilisation is between SCALE_IN and SCALE_OUT and nothing piles up."""

    bounds: Bounds
    _wanted: deque[tuple[float, float]] = field(default_factory=deque)
    _since: float | None = None

    def decide(self, now: float, load: Load) -> int:
        """Slots that the group shall have. `now`: monotonic seconds, later than at the last call."""
        wanted = wanted_slots(load)
        self._since = now if self._since is None else self._since
        self._wanted.append((now, wanted))
        while self._wanted[0][0] < now - CALM_S:
            self._wanted.popleft()
        if wanted > load.slots * SCALE_OUT / TARGET:
            return self.bounds.enough(min(wanted, max(2 * load.slots, 1)))
        highest = max(one for _, one in self._wanted)
        if highest < load.slots * SCALE_IN / TARGET and now - self._since >= CALM_S:
            return self.bounds.enough(max(highest, load.slots // 2))
        return self.bounds.within(load.slots)
