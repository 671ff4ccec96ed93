from __future__ import annotations

import pytest

from jobs.watching.outcomes import RunEnded, outcome_of_failure
from jobs.watching.system_metrics import in_words
from jobs.watching.tally import Tally
from vocabulary.jobs import JobStatus, RunOutcome


def ended(outcome: RunOutcome, seconds: float | None = 0.5) -> RunEnded:
    return RunEnded("noop", "normal", outcome, seconds)


def test_parts_and_failed_tries_are_no_finished_jobs() -> None:
    tally = Tally("thin", 2, 0.0)
    for outcome in RunOutcome:
        tally.count(ended(outcome))
    figures = tally.figures(1.0)
    assert (figures.processed, figures.completed, figures.failed, figures.retried) == (3, 1, 2, 1)
    assert figures.error_rate == pytest.approx(2 / 3)


def test_nothing_done_is_no_division_by_zero() -> None:
    figures = Tally("thin", 0, 0.0).figures(0.0)
    assert (figures.error_rate, figures.mean_s, figures.utilisation, figures.recent_runs) == (0.0, 0.0, 0.0, 0)


def test_utilisation_counts_short_runs_between_two_looks_and_long_ones_across_them() -> None:
    tally = Tally("thin", 2, 0.0)
    tally.look(10.0, 2, [5.0])  # One slot of two since half of the time.
    assert tally.figures(10.0).utilisation == pytest.approx(0.25)
    tally.count(ended(RunOutcome.SUCCEEDED, 10.0))
    for _ in range(10):
        tally.count(ended(RunOutcome.SUCCEEDED, 0.5))
    tally.look(20.0, 2, [])
    assert tally.figures(20.0).utilisation == pytest.approx(15 / 40)


def test_what_is_told_of_the_last_minute_forgets_what_was_before() -> None:
    tally = Tally("thin", 1, 0.0)
    tally.count(ended(RunOutcome.SUCCEEDED, 30.0))
    for second in range(1, 40):
        tally.look(float(second), 1, [])
    assert tally.figures(40.0).utilisation == pytest.approx(30 / 39)
    for second in range(40, 140):
        tally.look(float(second), 1, [])
    figures = tally.figures(140.0)
    assert (figures.utilisation, figures.recent_runs, figures.recent_s, figures.mean_s) == (0.0, 0, 0.0, 30.0)


def test_slots_that_are_added_count_from_then_on() -> None:
    tally = Tally("thin", 1, 0.0)
    tally.look(10.0, 1, [0.0])
    tally.look(20.0, 3, [0.0])
    assert tally.figures(20.0).utilisation == pytest.approx(20 / 40)
    assert (tally.figures(20.0).slots, tally.figures(20.0).running) == (3, 1)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(JobStatus.SCHEDULED, RunOutcome.RETRIED), (JobStatus.DEAD, RunOutcome.DEAD), (None, RunOutcome.DROPPED)],
)
def test_a_failure_is_counted_by_what_it_made_of_the_job(status: JobStatus | None, outcome: RunOutcome) -> None:
    assert outcome_of_failure(status) is outcome


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.9, "0s"), (59, "59s"), (60, "1m0s"), (3_600, "1h0m0s"), (8_130, "2h15m30s")]
)
def test_times_are_told_as_people_say_them(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
