"""The way from the event loop to a worker thread."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from core.permits import Permit, PermitQueue
from recognition.admission import MAX_RETRY_MS, MIN_RETRY_MS, Admission
from tests.recognition.support import PATIENCE_S, became
from wire.errors import Busy

pytestmark = pytest.mark.usefixtures("unblocked_loop")


class Work:
    """Runs until it is told to end, and knows how many ran side by side."""

    def __init__(self) -> None:
        self.end = threading.Event()
        self.running = 0
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self, permit: Permit) -> str:
        assert permit.granted
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        assert self.end.wait(PATIENCE_S)
        with self._lock:
            self.running -= 1
        return threading.current_thread().name


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.end.set()


@pytest.fixture
def permits() -> PermitQueue:
    return PermitQueue(2)


@pytest.fixture
def patient(permits: PermitQueue) -> Iterator[Admission]:
    admission = Admission(permits, timeout_s=PATIENCE_S)
    yield admission
    admission.close()


@pytest.fixture
def hasty(permits: PermitQueue) -> Iterator[Admission]:
    admission = Admission(permits, timeout_s=0.1)
    yield admission
    admission.close()


def fail(permit: Permit) -> None:
    raise ValueError("the work failed")


async def fill(admission: Admission, work: Work, number: int = 2) -> list[asyncio.Task[str]]:
    tasks = [asyncio.create_task(admission.run(work)) for _ in range(number)]
    await became(lambda: work.running == min(number, 2), "the work began")
    return tasks


async def test_work_runs_in_a_thread_of_its_own_and_gives_its_permit_back(
    patient: Admission, permits: PermitQueue, work: Work
) -> None:
    work.end.set()
    assert (await patient.run(work)).startswith("frame")
    await became(lambda: permits.statistics().in_use == 0, "the permit came back")


async def test_work_that_fails_gives_its_permit_back(patient: Admission, permits: PermitQueue) -> None:
    for _ in range(5):
        with pytest.raises(ValueError, match="the work failed"):
            await patient.run(fail)
    await became(lambda: permits.statistics().in_use == 0, "the permits came back")


async def test_a_cancelled_caller_does_not_free_the_permit_before_its_thread_ended(
    patient: Admission, permits: PermitQueue, work: Work
) -> None:
    (task,) = await fill(patient, work, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.05)
    assert (work.running, permits.statistics().in_use) == (1, 1)
    work.end.set()
    await became(lambda: permits.statistics().in_use == 0, "the permit came back")
    assert work.running == 0


async def test_a_caller_who_is_cancelled_while_waiting_leaves_the_queue(
    patient: Admission, permits: PermitQueue, work: Work
) -> None:
    tasks = await fill(patient, work)
    waiting = asyncio.create_task(patient.run(work))
    await became(lambda: permits.statistics().waiting == 1, "the caller waits")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert permits.statistics().waiting == 0
    work.end.set()
    await asyncio.gather(*tasks)
    await became(lambda: permits.statistics().in_use == 0, "the permits came back")


async def test_many_callers_who_are_cancelled_at_any_moment_leak_nothing(
    patient: Admission, permits: PermitQueue
) -> None:
    def brief(permit: Permit) -> None:
        time.sleep(0.001)

    for turn in range(40):
        tasks = [asyncio.create_task(patient.run(brief)) for _ in range(6)]
        await asyncio.sleep(0.0005 * (turn % 5))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await became(lambda: permits.statistics().in_use == 0, "the permits came back")
    assert permits.statistics().waiting == 0
    await patient.run(brief)


async def test_a_wait_that_is_too_long_becomes_busy(hasty: Admission, permits: PermitQueue, work: Work) -> None:
    await fill(hasty, work)
    began = time.monotonic()
    with pytest.raises(Busy) as caught:
        await hasty.run(work)
    assert time.monotonic() - began >= 0.1
    assert caught.value.retry_after_ms is not None
    assert MIN_RETRY_MS <= caught.value.retry_after_ms <= MAX_RETRY_MS
    statistics = permits.statistics()
    assert (statistics.timeouts_total, statistics.waiting, statistics.in_use) == (1, 0, 2)


async def test_who_was_told_busy_may_come_again(hasty: Admission, work: Work) -> None:
    await fill(hasty, work)
    with pytest.raises(Busy):
        await hasty.run(work)
    work.end.set()
    await became(lambda: work.running == 0, "the work ended")
    assert await hasty.run(work)


async def test_the_longer_the_queue_the_later_one_should_come_again(permits: PermitQueue, work: Work) -> None:
    slow = Admission(permits, timeout_s=0.3)
    for _ in range(30):
        permits.request(lambda: None)
    for _ in range(100):
        slow.pacer.served(0.5)
    with pytest.raises(Busy) as caught:
        await slow.run(work)
    slow.close()
    assert caught.value.retry_after_ms == MAX_RETRY_MS


async def test_no_thread_is_held_while_waiting(patient: Admission, permits: PermitQueue, work: Work) -> None:
    tasks = await fill(patient, work)
    before = threading.active_count()
    tasks += [asyncio.create_task(patient.run(work)) for _ in range(200)]
    await became(lambda: permits.statistics().waiting == 200, "all others wait")
    assert threading.active_count() == before
    work.end.set()
    await asyncio.gather(*tasks)


async def test_no_more_work_runs_at_once_than_there_are_permits(patient: Admission, work: Work) -> None:
    tasks = await fill(patient, work, 20)
    work.end.set()
    names = await asyncio.gather(*tasks)
    assert work.most == 2
    assert len(set(names)) <= 2


async def test_who_came_first_is_served_first(permits: PermitQueue) -> None:
    one = Admission(PermitQueue(1), PATIENCE_S)
    served: list[int] = []

    def serve(number: int) -> None:
        served.append(number)

    await asyncio.gather(*[one.run(lambda _, number=number: serve(number)) for number in range(20)])  # type: ignore[misc]
    one.close()
    assert served == list(range(20))


async def test_closing_waits_for_what_is_in_work(permits: PermitQueue, work: Work) -> None:
    admission = Admission(permits, PATIENCE_S)
    (task,) = await fill(admission, work, 1)
    closing = asyncio.create_task(asyncio.to_thread(admission.close))
    await asyncio.sleep(0.05)
    assert not closing.done()
    work.end.set()
    await closing
    assert await task


async def test_after_closing_nothing_is_taken_and_nothing_leaks(permits: PermitQueue, work: Work) -> None:
    admission = Admission(permits, PATIENCE_S)
    admission.close()
    with pytest.raises(RuntimeError):
        await admission.run(work)
    assert permits.statistics().in_use == 0


async def test_a_full_pool_is_logged_once_and_not_for_every_frame(
    hasty: Admission, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    await fill(hasty, work)
    with caplog.at_level(logging.WARNING, logger="recognition.admission"):
        results = await asyncio.gather(*[hasty.run(work) for _ in range(10)], return_exceptions=True)
    assert all(isinstance(result, Busy) for result in results)
    warnings = [record for record in caplog.records if record.name == "recognition.admission"]
    assert len(warnings) == 1
    assert "2 of 2 instances in use" in warnings[0].getMessage()


@pytest.mark.parametrize(("instances", "threads"), [(2, 2), (8, 1)])
async def test_a_wait_that_is_bound_to_be_too_long_is_refused_at_once(work: Work, instances: int, threads: int) -> None:
    """Also where an instance is free and no thread."""
    admission = Admission(PermitQueue(instances), PATIENCE_S, threads)
    tasks = await fill(admission, work, threads)
    for _ in range(100):
        admission.pacer.served(4 * PATIENCE_S)
    began = time.monotonic()
    with pytest.raises(Busy):
        await admission.run(work)
    assert time.monotonic() - began < PATIENCE_S
    work.end.set()
    await asyncio.gather(*tasks)
    assert await admission.run(work), "with a free thread nobody is refused, however slow the last ones were"
    admission.close()


async def test_who_is_let_in_and_does_not_get_a_thread_in_time_is_told_busy(work: Work) -> None:
    permits = PermitQueue(8)
    admission = Admission(permits, timeout_s=0.1, threads=1)
    tasks = await fill(admission, work, 1)
    results = await asyncio.gather(*[admission.run(work) for _ in range(3)], return_exceptions=True)
    assert all(isinstance(result, Busy) for result in results)
    statistics = permits.statistics()
    assert (statistics.in_use, statistics.waiting, statistics.timeouts_total) == (1, 0, 3)
    await asyncio.sleep(0.15)
    work.end.set()
    assert await asyncio.gather(*tasks), "what had begun is not ended"
    assert await admission.run(work), "who comes again is served"
    admission.close()


async def test_what_others_wait_for_does_not_count_for_who_has_the_next_turn(work: Work) -> None:
    admission = Admission(PermitQueue(40), timeout_s=PATIENCE_S, threads=1)
    greedy = [asyncio.create_task(admission.run(work, "greedy")) for _ in range(45)]
    await became(lambda: work.running == 1, "the work began")
    for _ in range(200):
        admission.pacer.served(PATIENCE_S / 20)
    modest = asyncio.create_task(admission.run(work, "modest"))
    await asyncio.sleep(0.05)
    assert not modest.done(), "it is not refused"
    with pytest.raises(Busy):
        await admission.run(work, "greedy")
    work.end.set()
    await asyncio.gather(*greedy, modest)
    admission.close()


async def test_what_was_computed_is_let_go_without_the_garbage_collector(patient: Admission) -> None:
    """Pictures: many megabytes of few objects, which it does not hurry for."""
    gc.disable()
    try:
        result = weakref.ref(await patient.run(lambda _: Work()))
        await became(lambda: result() is None, "nothing holds it")
    finally:
        gc.enable()


async def test_a_caller_who_is_cancelled_after_being_let_in_makes_room(work: Work) -> None:
    permits = PermitQueue(2)
    admission = Admission(permits, PATIENCE_S, threads=1)
    tasks = await fill(admission, work, 1)
    waiting = asyncio.create_task(admission.run(work))
    await became(lambda: permits.statistics().in_use == 2, "the second is let in")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert permits.statistics().in_use == 1
    work.end.set()
    await asyncio.gather(*tasks)
    admission.close()


async def test_more_is_let_in_than_is_computed_at_once(work: Work) -> None:
    permits = PermitQueue(4)
    admission = Admission(permits, PATIENCE_S, threads=1)
    tasks = [asyncio.create_task(admission.run(work)) for _ in range(6)]
    await became(lambda: permits.statistics().waiting == 2, "four are let in")
    await asyncio.sleep(0.05)
    assert work.running == 1
    work.end.set()
    assert len(set(await asyncio.gather(*tasks))) == 1
    await became(lambda: permits.statistics().in_use == 0, "the permits came back")
    admission.close()
