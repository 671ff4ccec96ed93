from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from monitoring.watchdog import CHECKS_BEFORE_END, Watchdog, WorkState, all_stuck, work_state
from scheduling.threads import StartedThreads
from testkit.patience import PATIENCE_S

AT_ONCE = 0.0
NEVER = 1_000.0


class Held:
    """Calls that block until they are released."""

    def __init__(self) -> None:
        self._go = threading.Event()
        self._arrived = threading.Semaphore(0)

    def on(self, threads: StartedThreads, calls: int = 1, call: Callable[[], Any] | None = None) -> None:
        """Have so many calls in hand."""
        for _ in range(calls):
            threads.submit(call or self.stay)
        for _ in range(calls):
            assert self._arrived.acquire(timeout=PATIENCE_S)

    def stay(self) -> None:
        self._arrived.release()
        assert self._go.wait(PATIENCE_S)

    def let_go(self, threads: StartedThreads) -> None:
        self._go.set()
        deadline = time.monotonic() + PATIENCE_S
        while threads.in_hand():
            assert time.monotonic() < deadline
            time.sleep(0.001)


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held._go.set()


@pytest.fixture
def compute(held: Held) -> Iterator[StartedThreads]:
    with StartedThreads(2, "frame") as threads:
        yield threads
        held._go.set()


@pytest.fixture
def database(held: Held) -> Iterator[StartedThreads]:
    with StartedThreads(1, "database") as threads:
        yield threads
        held._go.set()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def ended_by(watchdog_of: Callable[[Callable[[], None]], Watchdog], checks: int) -> int:
    """How often `end` was called in that many checks."""
    ends: list[None] = []
    watchdog = watchdog_of(lambda: ends.append(None))
    for _ in range(checks):
        watchdog.check()
    return len(ends)


def test_stuck_work_is_logged_once_and_again_when_it_ends(
    held: Held, compute: StartedThreads, caplog: pytest.LogCaptureFixture
) -> None:
    watchdog = Watchdog(compute, [], AT_ONCE, lambda: None)

    def work() -> None:
        compute.tell("a frame of session s1 of tenant 7")
        held.stay()

    held.on(compute, call=work)
    watchdog.check()
    watchdog.check()
    [told] = warnings(caplog)
    assert told.startswith("stuck: a frame of session s1 of tenant 7 on thread frame_")
    assert "in stay" in told, "where it is"
    held.let_go(compute)
    watchdog.check()
    watchdog.check()
    assert len(warnings(caplog)) == 2
    assert warnings(caplog)[1].startswith("no longer stuck: a frame of session s1 of tenant 7 on thread frame_")


def test_work_within_the_limit_is_not_logged(
    held: Held, compute: StartedThreads, caplog: pytest.LogCaptureFixture
) -> None:
    held.on(compute, 2)
    assert ended_by(lambda end: Watchdog(compute, [], NEVER, end), 2 * CHECKS_BEFORE_END) == 0
    assert warnings(caplog) == []
    assert work_state(compute, NEVER).stuck == 0


def test_the_work_state_has_the_number_of_stuck_threads_and_the_oldest_work(
    held: Held, compute: StartedThreads
) -> None:
    assert work_state(compute, AT_ONCE) == WorkState(0, None)
    before = time.monotonic()
    held.on(compute)
    state = work_state(compute, AT_ONCE)
    assert state.stuck == 1
    assert state.oldest_began is not None
    assert before <= state.oldest_began <= time.monotonic()
    assert state.oldest_ms(state.oldest_began + 1.5) == 1500
    assert not all_stuck(compute, AT_ONCE)
    held.on(compute)
    assert all_stuck(compute, AT_ONCE)


def test_a_worker_with_a_thread_left_goes_on(held: Held, compute: StartedThreads) -> None:
    held.on(compute)
    assert ended_by(lambda end: Watchdog(compute, [], AT_ONCE, end), 2 * CHECKS_BEFORE_END) == 0


@pytest.mark.parametrize(("checks", "ends"), [(CHECKS_BEFORE_END - 1, 0), (3 * CHECKS_BEFORE_END, 1)])
def test_a_worker_without_a_thread_left_ends_once_and_not_at_the_first_check(
    held: Held, compute: StartedThreads, checks: int, ends: int
) -> None:
    """The first check after a pause of the whole process finds all work old."""
    held.on(compute, 2)
    assert ended_by(lambda end: Watchdog(compute, [], AT_ONCE, end), checks) == ends


def test_threads_that_wait_for_the_database_are_logged_and_end_nothing(
    held: Held, compute: StartedThreads, caplog: pytest.LogCaptureFixture
) -> None:
    """Another process would wait for the same database."""
    inside: dict[str, Any] = {"__name__": "django.db.backends.utils", "stay": held.stay}
    exec("def execute(): stay()", inside)
    held.on(compute)
    held.on(compute, call=inside["execute"])
    assert ended_by(lambda end: Watchdog(compute, [], AT_ONCE, end), 2 * CHECKS_BEFORE_END) == 0
    assert all_stuck(compute, AT_ONCE)
    assert len(warnings(caplog)) == 2


def test_stuck_threads_that_do_not_compute_are_logged_and_end_nothing(
    held: Held, compute: StartedThreads, database: StartedThreads, caplog: pytest.LogCaptureFixture
) -> None:
    held.on(database)
    assert ended_by(lambda end: Watchdog(compute, [database], AT_ONCE, end), 2 * CHECKS_BEFORE_END) == 0
    [told] = warnings(caplog)
    assert "on thread database_0" in told
