"""The executor: from the event loop to a compute thread."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar

import pytest

from scheduling.executor import CAMERA_INTERVAL_S, MAX_BUSY_RETRY_MS, MIN_BUSY_RETRY_MS, Executor, FrameFailed
from scheduling.frame_queue import ServiceClass
from scheduling.frame_slot import FrameSlot
from testkit.patience import PATIENCE_S
from tests.recognition.support import became
from vocabulary.errors import ErrorCode
from wire.errors import Busy, Unavailable, UnusableFrame
from wire.inbound import BadFrame, Frame

pytestmark = pytest.mark.usefixtures("unblocked_loop")


class Work:
    """Work that runs until `end` is set, and counts how much of it ran at once."""

    def __init__(self) -> None:
        self.end = threading.Event()
        self.running = 0
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self) -> str:
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


Make = Callable[..., Executor]


@pytest.fixture
def make(work: Work) -> Iterator[Make]:
    """Executors that are closed when the test ends."""
    made: list[Executor] = []

    def one(threads: int = 2, instances: int | None = None, timeout_s: float = PATIENCE_S) -> Executor:
        made.append(Executor(threads, instances or threads, timeout_s))
        return made[-1]

    yield one
    work.end.set()
    for executor in made:
        executor.close()


def load(executor: Executor) -> tuple[int, int, int]:
    """Computing, in use, waiting."""
    statistics = executor.statistics()
    return statistics.computing, statistics.in_use, statistics.waiting


async def fill(executor: Executor, work: Work, number: int = 2) -> list[asyncio.Task[str]]:
    """Add `number` pieces of work, and wait until every thread that has one has begun it."""
    tasks = [asyncio.create_task(executor.run(work)) for _ in range(number)]
    at_once = min(number, executor.threads.size)
    await became(lambda: work.running == at_once and sum(load(executor)[1:]) == number, "the work began")
    return tasks


def fail() -> None:
    raise ValueError("the work failed")


async def test_work_runs_on_a_compute_thread_in_the_context_of_its_caller(make: Make) -> None:
    executor, asked_by = make(), ContextVar[str]("asked_by")
    asked_by.set("alice")
    name, who = await executor.run(lambda: (threading.current_thread().name, asked_by.get()))
    assert name.startswith("frame")
    assert who == "alice"
    assert load(executor) == (0, 0, 0), "the caller goes on when it counts no more"


async def test_work_that_fails_leaves_its_thread(make: Make) -> None:
    executor = make()
    for _ in range(5):
        with pytest.raises(ValueError, match="the work failed"):
            await executor.run(fail)
    assert load(executor) == (0, 0, 0)


@pytest.mark.parametrize(("threads", "instances"), [(8, 8), (2, 8), (1, 1)])
async def test_every_thread_computes_at_once(make: Make, work: Work, threads: int, instances: int) -> None:
    executor = make(threads, instances)
    tasks = await fill(executor, work, 20)
    assert load(executor) == (threads, instances, 20 - instances)
    assert executor.statistics().threads == threads
    assert executor.statistics().exhausted_total == 20 - instances
    work.end.set()
    assert len(set(await asyncio.gather(*tasks))) <= threads
    assert work.most == threads
    assert load(executor) == (0, 0, 0)
    assert sum(executor.statistics().wait_counts) == 20


@pytest.mark.parametrize(("threads", "instances"), [(0, 1), (3, 2)])
def test_each_thread_has_an_instance(threads: int, instances: int) -> None:
    with pytest.raises(ValueError, match="threads"):
        Executor(threads, instances, 1.0)


async def test_work_that_has_begun_outlives_its_cancelled_caller(make: Make, work: Work) -> None:
    executor = make()
    (task,) = await fill(executor, work, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (work.running, load(executor)) == (1, (1, 1, 0))
    work.end.set()
    await became(lambda: load(executor) == (0, 0, 0), "the thread is free")


async def test_a_caller_cancelled_while_waiting_leaves_the_queue(make: Make, work: Work) -> None:
    executor = make(instances=3)
    tasks = await fill(executor, work, 4)
    for left in ((2, 3, 0), (2, 2, 0)):
        waiting = tasks.pop()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert load(executor) == left
    work.end.set()
    await asyncio.gather(*tasks)


async def test_callers_cancelled_at_any_moment_leak_nothing(make: Make) -> None:
    executor = make()

    def brief() -> None:
        time.sleep(0.001)

    for turn in range(40):
        tasks = [asyncio.create_task(executor.run(brief)) for _ in range(6)]
        await asyncio.sleep(0.0005 * (turn % 5))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    await became(lambda: load(executor) == (0, 0, 0), "all threads are free")
    await executor.run(brief)


async def test_a_wait_that_is_too_long_becomes_busy(make: Make, work: Work) -> None:
    hasty = make(instances=8, timeout_s=0.1)
    tasks = await fill(hasty, work)
    began = time.monotonic()
    results = await asyncio.gather(*[hasty.run(work) for _ in range(3)], return_exceptions=True)
    assert time.monotonic() - began >= 0.1
    for result in results:
        assert isinstance(result, Busy)
        assert result.retry_after_ms is not None
        assert MIN_BUSY_RETRY_MS <= result.retry_after_ms <= MAX_BUSY_RETRY_MS
    assert load(hasty) == (2, 2, 0)
    assert hasty.statistics().timeouts_total == 3
    work.end.set()
    assert await asyncio.gather(*tasks), "what had begun is not ended"
    assert await hasty.run(work), "who comes again is served"


async def test_the_retry_time_grows_with_the_queue(make: Make, work: Work) -> None:
    executor = make()
    tasks = await fill(executor, work, 20)
    for _ in range(200):
        executor.pacer.served(PATIENCE_S)
    with pytest.raises(Busy) as caught:
        await executor.run(work)
    assert caught.value.retry_after_ms == MAX_BUSY_RETRY_MS
    work.end.set()
    await asyncio.gather(*tasks)


async def test_no_thread_is_held_while_waiting(make: Make, work: Work) -> None:
    executor = make()
    before = threading.active_count()
    tasks = await fill(executor, work, 200)
    assert threading.active_count() == before
    work.end.set()
    await asyncio.gather(*tasks)


async def test_work_of_one_owner_is_served_in_its_order(make: Make) -> None:
    one, served = make(1), list[int]()
    await asyncio.gather(*[one.run(lambda number=number: served.append(number)) for number in range(20)])  # type: ignore[misc]
    assert served == list(range(20))


async def test_closing_waits_for_what_has_begun_and_cancels_the_rest(work: Work) -> None:
    executor = Executor(1, 8, PATIENCE_S)
    begun, waiting = await fill(executor, work, 2)
    closing = asyncio.create_task(asyncio.to_thread(executor.close))
    await became(lambda: executor.threads._shutdown, "it closes")
    assert not closing.done()
    work.end.set()
    await closing
    assert await begun
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert load(executor) == (0, 0, 0)


async def test_after_closing_nothing_is_taken_and_nothing_leaks(work: Work) -> None:
    executor = Executor(1, 1, PATIENCE_S)
    executor.close()
    with pytest.raises(RuntimeError):
        await executor.run(work)
    assert load(executor) == (0, 0, 0)


async def test_an_overload_is_logged_once_and_not_for_every_frame(
    make: Make, work: Work, caplog: pytest.LogCaptureFixture
) -> None:
    hasty = make(timeout_s=0.1)
    await fill(hasty, work)
    with caplog.at_level(logging.WARNING, logger="scheduling.executor"):
        results = await asyncio.gather(*[hasty.run(work) for _ in range(10)], return_exceptions=True)
    assert all(isinstance(result, Busy) for result in results)
    [warning] = [record for record in caplog.records if record.name == "scheduling.executor"]
    assert "2 are computed at once" in warning.getMessage()


@pytest.mark.parametrize(("instances", "threads"), [(2, 2), (8, 1)])
async def test_a_wait_that_is_bound_to_be_too_long_is_refused_at_once(
    make: Make, work: Work, instances: int, threads: int
) -> None:
    """Even if an instance is free, but no thread."""
    executor = make(threads, instances)
    tasks = await fill(executor, work, threads)
    for _ in range(100):
        executor.pacer.served(4 * PATIENCE_S)
    with pytest.raises(Busy):
        await asyncio.wait_for(executor.run(work), PATIENCE_S / 2)
    assert executor.statistics().timeouts_total == 1
    work.end.set()
    await asyncio.gather(*tasks)
    assert await executor.run(work), "with a free thread nobody is refused, however slow the last ones were"


async def test_the_expected_wait_of_the_owner_with_the_next_turn_ignores_other_owners(make: Make, work: Work) -> None:
    executor = make(1, 40)
    greedy = [asyncio.create_task(executor.run(work, owner="greedy")) for _ in range(45)]
    await became(lambda: load(executor) == (1, 40, 5), "the work began")
    for _ in range(200):
        executor.pacer.served(PATIENCE_S / 20)
    modest = asyncio.create_task(executor.run(work, owner="modest"))
    await became(lambda: load(executor) == (1, 40, 6), "it is not refused")
    with pytest.raises(Busy):
        await executor.run(work, owner="greedy")
    with pytest.raises(Busy):
        await executor.run(work, owner="modest", service=ServiceClass.BULK)
    work.end.set()
    await asyncio.gather(*greedy, modest)


async def test_an_owner_with_much_work_does_not_delay_one_with_little(make: Make, work: Work) -> None:
    """Even if the latter adds its next work only after each answer."""
    executor, served = make(1, 8), list[str]()
    first = await fill(executor, work, 1)

    def serving(name: str) -> Callable[[], None]:
        return lambda: served.append(name)

    async def one_after_the_other(name: str) -> None:
        for _ in range(4):
            await executor.run(serving(name), owner=name)

    greedy = [asyncio.create_task(executor.run(serving("greedy"), owner="greedy")) for _ in range(20)]
    at_once = [asyncio.create_task(executor.run(serving("modest"), owner="modest")) for _ in range(3)]
    slowly = asyncio.create_task(one_after_the_other("quiet"))
    await became(lambda: sum(load(executor)[1:]) == 25, "all wait")
    work.end.set()
    await asyncio.gather(*first, *greedy, *at_once, slowly)
    assert served[:9].count("modest") == 3
    assert "quiet" in served[:3]
    assert served.count("quiet") == 4


@pytest.mark.parametrize(("crowded", "order"), [(True, ["new", "old"]), (False, ["old", "new"])])
async def test_in_a_crowd_the_newest_frame_is_first(make: Make, work: Work, crowded: bool, order: list[str]) -> None:
    executor, served = make(1, 8), list[str]()
    for _ in range(200):
        executor.pacer.served(2 * CAMERA_INTERVAL_S if crowded else CAMERA_INTERVAL_S / 100)
    tasks: list[asyncio.Task[object]] = [*await fill(executor, work, 1)]
    for name, age in (("old", 0.1), ("new", 0.0)):
        asked = executor.run(
            lambda name=name: served.append(name),  # type: ignore[misc]
            newest_at=lambda age=age: time.monotonic() - age,  # type: ignore[misc]
        )
        tasks.append(asyncio.create_task(asked))
        await asyncio.sleep(0)
    work.end.set()
    await asyncio.gather(*tasks)
    assert served == order


async def test_results_are_freed_without_the_garbage_collector(make: Make) -> None:
    """Pictures are many megabytes in few objects, which do not trigger a collection."""
    executor = make()
    gc.disable()
    try:
        result = weakref.ref(await executor.run(Work))
        await became(lambda: result() is None, "nothing holds it")
    finally:
        gc.enable()


async def test_a_failing_observer_costs_no_frame(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    executor = make()

    def disk_is_full() -> None:
        raise OSError("no space left on device")

    executor.on_change = disk_is_full
    assert await executor.run(lambda: 42) == 42
    assert load(executor) == (0, 0, 0)
    assert "no space left" in caplog.text


async def test_the_observer_sees_work_added_begun_and_done(make: Make) -> None:
    executor, seen = make(1, 2), list[tuple[int, int, int]]()
    executor.on_change = lambda: seen.append(load(executor))
    await executor.run(lambda: None)
    assert seen[0][1] == 1
    assert (1, 1, 0) in seen
    assert seen[-1] == (0, 0, 0)


def frame(seq: int) -> Frame:
    return Frame(seq, b"", time.monotonic())


def slot_with(*frames: Frame | BadFrame) -> FrameSlot:
    slot = FrameSlot()
    for one in frames:
        slot.offer(one)
    return slot


async def test_a_frame_is_taken_when_its_thread_is_free_and_comes_back_with_its_result(make: Make, work: Work) -> None:
    executor, slot = make(1), slot_with(frame(1))
    first = await fill(executor, work, 1)
    asked = asyncio.create_task(executor.run_frame(slot, lambda one: one.seq * 10))
    await became(lambda: load(executor) == (1, 1, 1), "it waits")
    slot.offer(frame(2))
    work.end.set()
    taken, result = await asked
    assert (taken.frame.seq, taken.dropped, result) == (2, 1, 20)
    await asyncio.gather(*first)


async def test_an_error_of_a_frame_carries_its_number(make: Make) -> None:
    def refuse(one: Frame | BadFrame) -> None:
        assert isinstance(one, BadFrame)
        raise one.error

    problem = UnusableFrame("no picture", ErrorCode.INVALID_IMAGE)
    with pytest.raises(FrameFailed) as caught:
        await make().run_frame(slot_with(BadFrame(7, problem)), refuse)
    assert (caught.value.seq, caught.value.error) == (7, problem)


async def test_a_busy_answer_carries_the_number_of_the_frame_and_removes_it(make: Make, work: Work) -> None:
    hasty, slot = make(1, timeout_s=0.1), slot_with(frame(3))
    await fill(hasty, work, 1)
    with pytest.raises(FrameFailed) as caught:
        await hasty.run_frame(slot, lambda one: None)
    assert caught.value.seq == 3
    assert isinstance(caught.value.error, Busy)
    assert not slot.goes_on()


async def test_an_error_that_ends_the_session_comes_as_it_is(make: Make) -> None:
    def outage(one: Frame | BadFrame) -> None:
        raise Unavailable("the disk is full", 1_000)

    with pytest.raises(Unavailable):
        await make().run_frame(slot_with(frame(4)), outage)
