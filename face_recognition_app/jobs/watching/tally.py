"""What one worker has done since it began, and how busy it was lately. Kept in the worker's parent process."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass

from jobs.watching import counted
from jobs.watching.outcomes import RunEnded
from vocabulary.jobs import RunOutcome

WINDOW_S = 60.0
"""Over which utilisation and the mean duration are told."""

FINISHED = frozenset({RunOutcome.SUCCEEDED, RunOutcome.FAILED, RunOutcome.DEAD})
BAD = frozenset({RunOutcome.FAILED, RunOutcome.DEAD})


@dataclass(frozen=True, slots=True)
class Figures:
    """`processed`: jobs that were finished here, which are `completed` and `failed` ones. `retried`: runs that failed
    and are tried again. `mean_s`: of all runs. Of the last minute: `utilisation`, 0 to 1, and the runs that ended,
    `recent_runs`, which took `recent_s` together.
    """

    processed: int
    completed: int
    failed: int
    retried: int
    mean_s: float
    recent_runs: int
    recent_s: float
    utilisation: float
    slots: int
    running: int
    uptime_s: float

    @property
    def error_rate(self) -> float:
        """Share of failures in what was finished, 0 to 1."""
        return self.failed / self.processed if self.processed else 0.0


@dataclass(frozen=True, slots=True)
class _Moment:
    """Sums since the beginning."""

    at: float
    busy_s: float
    slot_s: float
    runs: int
    run_s: float


class Tally:
    """`now` is monotonic seconds everywhere. Read by the thread that serves metrics, too."""

    def __init__(self, group: str, slots: int, now: float) -> None:
        self.group = group
        self._lock = threading.Lock()
        self._began = now
        self._slots = slots
        self._running = 0
        self._outcomes: Counter[RunOutcome] = Counter()
        self._ended_s = 0.0
        self._moments = deque([_Moment(now, 0.0, 0.0, 0, 0.0)])
        self._runs = 0

    def count(self, ended: RunEnded) -> None:
        counted.count(self.group, ended)
        with self._lock:
            self._outcomes[ended.outcome] += 1
            if ended.seconds is not None:
                self._runs += 1
                self._ended_s += ended.seconds

    def look(self, now: float, slots: int, running_since: Iterable[float]) -> None:
        """Call it about each second: which runs go on, and since when."""
        began = list(running_since)
        with self._lock:
            last = self._moments[-1]
            self._slots, self._running = slots, len(began)
            # What a run took is measured where it ran, and a little less than is seen from here.
            busy_s = max(last.busy_s, self._ended_s + sum(now - one for one in began))
            slot_s = last.slot_s + slots * (now - last.at)
            counted.look(self.group, slots, len(began), busy_s - last.busy_s)
            self._moments.append(_Moment(now, busy_s, slot_s, self._runs, self._ended_s))
            while len(self._moments) > 2 and self._moments[1].at <= now - WINDOW_S:
                self._moments.popleft()

    def looked_at(self) -> float:
        """When `look` was called last."""
        with self._lock:
            return self._moments[-1].at

    def figures(self, now: float) -> Figures:
        with self._lock:
            first, last = self._moments[0], self._moments[-1]
            slot_s = last.slot_s - first.slot_s
            return Figures(
                processed=sum(self._outcomes[one] for one in FINISHED),
                completed=self._outcomes[RunOutcome.SUCCEEDED],
                failed=sum(self._outcomes[one] for one in BAD),
                retried=self._outcomes[RunOutcome.RETRIED],
                mean_s=self._ended_s / self._runs if self._runs else 0.0,
                recent_runs=last.runs - first.runs,
                recent_s=last.run_s - first.run_s,
                utilisation=min(1.0, (last.busy_s - first.busy_s) / slot_s) if slot_s else 0.0,
                slots=self._slots,
                running=self._running,
                uptime_s=now - self._began,
            )
