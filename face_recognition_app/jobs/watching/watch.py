"""What a worker's parent process does now and then: look at its slots, say how it does, answer probes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from config.job_settings import JobSettings
from jobs.watching import counted
from jobs.watching.system_metrics import log_system_metrics
from jobs.watching.tally import Tally

LOOKS_EVERY_S = 1.0
DEPTH_EVERY_S = 5.0
STALLED_AFTER_S = 60.0

Depths = Callable[[], Mapping[str, int] | None]
"""Jobs that wait for this worker, by priority; None when that is not known."""


class Watch:
    """For the thread of the worker's loop; `is_stalled` for any."""

    def __init__(self, settings: JobSettings, depths: Depths) -> None:
        now = time.monotonic()
        self.tally = Tally(settings.group, settings.slots, now)
        self._depths = depths
        self._interval_s = settings.metrics_interval.total_seconds()
        self._next_look = now
        self._next_depth = now
        self._next_line = now + self._interval_s

    def look(self, slots: int, running_since: Sequence[float]) -> None:
        """Call it as often as the loop turns. `running_since`: beginnings of the runs that go on, monotonic seconds."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOKS_EVERY_S
        self.tally.look(now, slots, running_since)
        if now >= self._next_depth:
            self._next_depth = now + DEPTH_EVERY_S
            depths = self._depths()
            counted.depth(self.tally.group, None if depths is None else sum(depths.values()))
        if now >= self._next_line:
            self._next_line = max(self._next_line + self._interval_s, now)
            self.say()

    def say(self) -> None:
        log_system_metrics(self.tally.figures(time.monotonic()), self._depths())

    def is_stalled(self) -> bool:
        """Whether the loop has not turned for a minute."""
        return time.monotonic() - self.tally.looked_at() > STALLED_AFTER_S
