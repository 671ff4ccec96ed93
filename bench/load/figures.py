"""From what the clients counted and the server used to the figures of one step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.load.live import Tally
from bench.load.server_usage import MIB, Usage, cores_between
from bench.load.streams import Outcome
from bench.load.tables import number, table

MAX_P95_MS = 200.0
MAX_LATE = 0.5
"""Of a frame's interval, by which the p95 of the sending may be late: clients too slow prove nothing."""
MIN_SENT = 0.9
"""Of the frames that all clients should have sent: one that is stuck must not count as served."""
MAX_SESSIONS = 2_000
_HEADS = (
    *("sessions", "sent/s", "answered/s", "p50 ms", "p95 ms", "p99 ms", "dropped", "busy", "errors"),
    *(
        "decided/s",
        "succeeded/s",
        "fairness",
        "late ms",
        "client CPU",
        "server CPU",
        "RSS MiB",
        "PSS MiB",
        "growth",
        "threads",
    ),
)


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds; None when nothing was measured."""

    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Fairness:
    """Answered frames of the worst and the best served client, over the mean of all; 1.0 is fair."""

    least: float | None
    most: float | None


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """Of the master and its workers. Growth from the begin to the end of the measured time."""

    cpu_cores: float
    rss_mib: float
    pss_mib: float
    pss_growth_mib: float
    threads: int


@dataclass(frozen=True, slots=True)
class Step:
    """One load held for `seconds`. Frames are those sent in this time, and what became of them."""

    sessions: int
    seconds: float
    sent_per_s: float
    answered_per_s: float
    latency_ms: Latency
    dropped: int
    busy: int
    errors: Mapping[str, int]
    """Everything else that was not an answer, by name."""
    decided_per_s: float
    succeeded_per_s: float
    failures: Mapping[str, int]
    """Why the other decided sessions did not succeed."""
    fairness: Fairness
    client_late_p95_ms: float | None
    """How long after their time frames left the client."""
    client_cpu_cores: float
    server: ServerFigures

    def holds(self, fps: float) -> bool:
        """Every client sent its `fps` frames a second on time, and every one of these was answered in time."""
        p95, late_ms = self.latency_ms.p95, self.client_late_p95_ms
        if p95 is None or late_ms is None:
            return False
        in_time = p95 <= MAX_P95_MS and late_ms <= MAX_LATE * 1000 / fps
        everybody = self.sent_per_s >= MIN_SENT * self.sessions * fps and (self.fairness.least or 0) > 0
        return everybody and in_time and self.dropped == self.busy == 0 and not self.errors


def latency(samples_ms: Sequence[float]) -> Latency:
    if not samples_ms:
        return Latency(None, None, None)
    p50, p95, p99 = (round(float(value), 2) for value in np.percentile(samples_ms, (50, 95, 99)))
    return Latency(p50, p95, p99)


def fairness(answered: Sequence[int]) -> Fairness:
    total = sum(answered)
    if not total:
        return Fairness(None, None)
    mean = total / len(answered)
    return Fairness(round(min(answered) / mean, 3), round(max(answered) / mean, 3))


def server_figures(before: Usage, after: Usage) -> ServerFigures:
    return ServerFigures(
        cpu_cores=round(cores_between(before, after), 2),
        rss_mib=round(after.rss_bytes / MIB, 1),
        pss_mib=round(after.pss_bytes / MIB, 1),
        pss_growth_mib=round((after.pss_bytes - before.pss_bytes) / MIB, 1),
        threads=after.threads,
    )


def total(counts: Iterable[Counter[str]]) -> dict[str, int]:
    return dict(sum(counts, Counter()))


def step_of(outcome: Outcome, before: Usage, after: Usage) -> Step:
    tallies, seconds = outcome.tallies, outcome.seconds

    def per_second(count: Callable[[Tally], int]) -> float:
        return round(sum(map(count, tallies)) / seconds, 2)

    return Step(
        sessions=len(tallies),
        seconds=round(seconds, 2),
        sent_per_s=per_second(lambda tally: tally.sent),
        answered_per_s=per_second(lambda tally: tally.answered),
        latency_ms=latency([value for tally in tallies for value in tally.latencies_ms]),
        dropped=sum(tally.dropped for tally in tallies),
        busy=sum(tally.busy for tally in tallies),
        errors=total(tally.errors for tally in tallies),
        decided_per_s=per_second(lambda tally: tally.decided),
        succeeded_per_s=per_second(lambda tally: tally.succeeded),
        failures=total(tally.failures for tally in tallies),
        fairness=fairness([tally.answered for tally in tallies]),
        client_late_p95_ms=latency([value for tally in tallies for value in tally.late_ms]).p95,
        client_cpu_cores=round(outcome.client_cpu_s / seconds, 2),
        server=server_figures(before, after),
    )


def steps_table(steps: Sequence[Step]) -> str:
    return table(_HEADS, [_cells(step) for step in steps])


def _cells(step: Step) -> list[str]:
    server, fair = step.server, step.fairness
    return [
        str(step.sessions),
        number(step.sent_per_s, 1),
        number(step.answered_per_s, 1),
        *(number(value, 1) for value in (step.latency_ms.p50, step.latency_ms.p95, step.latency_ms.p99)),
        str(step.dropped),
        str(step.busy),
        str(sum(step.errors.values())),
        number(step.decided_per_s, 2),
        number(step.succeeded_per_s, 2),
        f"{number(fair.least, 2)}..{number(fair.most, 2)}",
        number(step.client_late_p95_ms, 1),
        number(step.client_cpu_cores, 2),
        number(server.cpu_cores, 2),
        number(server.rss_mib),
        number(server.pss_mib),
        f"{server.pss_growth_mib:+.1f}",
        str(server.threads),
    ]


def search_largest(holds: Callable[[int], bool], guess: int, limit: int = MAX_SESSIONS) -> int:
    """The largest N in 1..limit for which `holds(N)`, or 0: doubled or halved from `guess`, then bisected.

    As if what holds for N held for all below it; each N is tried at most once.
    """
    if holds(guess):
        good, bad = guess, guess
        while good == bad and good < limit:
            bad = min(2 * good, limit)
            if holds(bad):
                good = bad
        bad = limit + 1 if good == limit else bad
    else:
        good = bad = guess
        while good == bad and bad > 1:
            good = bad // 2
            if not holds(good):
                bad = good
        good = 0 if bad == 1 else good
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if holds(middle) else (good, middle)
    return good


def confirm(holds: Callable[[int], bool], found: int) -> int:
    """`found`, or where that does not hold for longer, the next that does some 5 % below, or 0."""
    while found and not holds(found):
        found -= max(1, found // 20)
    return found
