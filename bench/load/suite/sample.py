"""What the clients of one load saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.load.figures import latency


@dataclass(frozen=True, slots=True)
class Sample:
    """Times are of what was answered. `per_s`, `mean_ms` and `p95_ms` are None where they are not measured."""

    answered: int
    failures: Mapping[str, int]
    """Requests that were not answered as they should be, by kind."""
    per_s: float | None
    mean_ms: float | None
    p95_ms: float | None

    @property
    def success_percent(self) -> float:
        """Rounded down, so that 100 means all of them."""
        asked = self.answered + sum(self.failures.values())
        return 100_000 * self.answered // asked / 1000 if asked else 0.0


def sample_of(latencies_ms: Sequence[float], failures: Mapping[str, int], seconds: float | None) -> Sample:
    """The sample of what was answered after `latencies_ms`. `seconds`: of all of it; None: the rate means nothing.

    Failures of which there are none are left out.
    """
    answered = len(latencies_ms)
    return Sample(
        answered=answered,
        failures={kind: count for kind, count in failures.items() if count},
        per_s=answered / seconds if seconds else None,
        mean_ms=sum(latencies_ms) / answered if answered else None,
        p95_ms=latency(latencies_ms).p95,
    )


def nothing(reason: str) -> Sample:
    """The sample of a load that could not be carried out."""
    return Sample(0, {reason: 1}, None, None, None)
