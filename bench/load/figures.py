"""Computes the figures of one step from the clients' counts and the server's usage."""

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
"""Allowed p95 of late sending, as a share of a frame's interval: clients that are too slow prove nothing."""
MIN_SENT = 0.9
"""Required share of the frames that all clients should have sent: a stuck client must not count as served."""
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
    """Answered frames of the worst and the best served client, relative to the mean of all; 1.0 is fair."""

    least: float | None
    most: float | None


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """Resource usage of the master and its workers, and its growth during the measured time."""

    cpu_cores: float
    rss_mib: float
    pss_mib: float
    pss_growth_mib: float
    threads: int


@dataclass(frozen=True, slots=True)
class Step:
    """Figures of one load held for `seconds`. Counts are of the frames sent in this time."""

    sessions: int
    seconds: float
    sent_per_s: float
    answered_per_s: float
    latency_ms: Latency
    dropped: int
    busy: int
    errors: Mapping[str, int]
    """Counts of all other failures, by name."""
    decided_per_s: float
    succeeded_per_s: float
    failures: Mapping[str, int]
    """Decided sessions that did not succeed, by reason."""
    fairness: Fairness
    client_late_p95_ms: float | None
    """Delay with which frames left the client."""
    client_cpu_cores: float
    server: ServerFigures

    def holds(self, fps: float) -> bool:
        """Whether every client sent `fps` frames per second on time, and every frame was answered in time."""
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
    """The largest N in 1..limit for which `holds(N)`, or 0: doubles or halves `guess`, then bisects.

    Assumes that `holds` is monotonic; tries each N at most once.
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
    """Confirm `found` over a longer time: returns it, or the next value that holds in steps of 5 % below, or 0."""
    while found and not holds(found):
        found -= max(1, found // 20)
    return found
