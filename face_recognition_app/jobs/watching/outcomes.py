"""What a worker counts: how one run of a job ended."""

from __future__ import annotations

from dataclasses import dataclass

from vocabulary.jobs import JobStatus, RunOutcome


@dataclass(frozen=True, slots=True)
class RunEnded:
    """`seconds`: from the claim to the end; None when nobody could measure it."""

    type: str
    priority: str
    outcome: RunOutcome
    seconds: float | None


def outcome_of_failure(status: JobStatus | None) -> RunOutcome:
    """By what the failure has made of the job; None: it was not this worker's any more."""
    if status is None:
        return RunOutcome.DROPPED
    return RunOutcome.DEAD if status is JobStatus.DEAD else RunOutcome.RETRIED
