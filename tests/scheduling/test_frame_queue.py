"""The order in which the frame queue serves waiting work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from scheduling.frame_queue import (
    AGE_CREDIT,
    STALE_S,
    FrameQueue,
    ServiceClass,
    WorkItem,
    never_stale,
)
from scheduling.waits import bin_of
from tests.scheduling.clock import ManualClock

LIVE, STILL, BULK = ServiceClass
FAR = 10_000.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """`age`: seconds since its newest frame came, None where a new one comes all the time; `waited`: how long the work
    has waited."""

    name: str
    age: float | None = None
    waited: float = 1.0
    owner: str = ""
    service: ServiceClass = LIVE


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(clock: ManualClock) -> FrameQueue:
    return FrameQueue(clock)


def work(owner: str = "", service: ServiceClass = LIVE, deadline: float = FAR, about: str = "") -> WorkItem:
    return WorkItem(lambda: None, deadline, owner, service, about=about)


def served(*waiting: Waiting, crowded: bool = True) -> list[str]:
    """The names in the order in which one thread takes the work."""
    clock = ManualClock()
    queue = FrameQueue(clock)
    now = clock.now
    for one in sorted(waiting, key=lambda one: -one.waited):
        clock.now = now - one.waited
        newest_at = _newest(clock, None if one.age is None else now - one.age)
        queue.add(WorkItem(lambda: None, FAR, one.owner, one.service, newest_at, one.name))
    clock.now = now
    return taken(queue, crowded=crowded)


def _newest(clock: ManualClock, at: float | None) -> Callable[[], float]:
    return clock if at is None else lambda: at


def taken(queue: FrameQueue, *, crowded: bool = False) -> list[str]:
    names = []
    while (item := queue.take(crowded=crowded)) is not None:
        names.append(item.about)
        queue.done()
    return names


def test_among_fresh_frames_the_longest_waiting_is_first() -> None:
    assert served(Waiting("a", waited=3), Waiting("b", waited=2), Waiting("c", waited=1)) == ["a", "b", "c"]


def test_among_old_frames_the_newest_is_first() -> None:
    assert served(Waiting("older", 0.1), Waiting("old", 0.05), Waiting("new", 0.01)) == ["new", "old", "older"]


def test_without_a_crowd_the_longest_waiting_is_first() -> None:
    waiting = Waiting("older", 0.1, 1.2), Waiting("new", 0.01, 1.1)
    assert served(*waiting, crowded=False) == ["older", "new"]


def test_a_longer_wait_makes_up_for_an_older_frame() -> None:
    enough, too_little = 1.0 + 1.1 * 0.1 / AGE_CREDIT, 1.0 + 0.9 * 0.1 / AGE_CREDIT
    assert served(Waiting("new"), Waiting("old", 0.1, enough)) == ["old", "new"]
    assert served(Waiting("new"), Waiting("old", 0.1, too_little)) == ["new", "old"]


def test_a_session_with_a_stale_frame_is_first() -> None:
    assert served(Waiting("slow", 1.1 * STALE_S), Waiting("new", waited=5)) == ["slow", "new"]


@pytest.mark.parametrize("frames_every_s", [0.1, FAR])
def test_a_crowd_with_newer_frames_starves_no_session(
    queue: FrameQueue, clock: ManualClock, frames_every_s: float
) -> None:
    """Even if its own frames are always older than those of all others, or no more come."""
    began = clock.now
    queue.add(WorkItem(lambda: None, FAR, newest_at=lambda: clock.now - min(0.1, clock.now - began), about="patient"))
    for passed_over in range(100):
        queue.add(WorkItem(lambda: None, FAR, newest_at=clock, about="eager"))
        clock.pass_(0.01)
        item = queue.take(crowded=True)
        assert item is not None
        if item.about == "patient":
            assert passed_over > 0
            return
    raise AssertionError("it was never its turn")


@pytest.mark.parametrize("crowded", [True, False])
def test_owners_take_turns(crowded: bool) -> None:
    many = [Waiting(f"a{number}", owner="a", waited=9 - number) for number in range(5)]
    few = [Waiting("b0", owner="b", waited=0.9), Waiting("b1", owner="b", waited=0.8), Waiting("c0", owner="c")]
    assert served(*many, *few, crowded=crowded) == ["a0", "c0", "b0", "a1", "b1", "a2", "a3", "a4"]


def test_an_owner_that_was_idle_has_saved_no_turns(queue: FrameQueue) -> None:
    for number in range(8):
        queue.add(work("busy", about=f"busy {number}"))
    for _ in range(4):
        queue.take(crowded=False)
    for number in range(3):
        queue.add(work("idle", about=f"idle {number}"))
    assert taken(queue)[:4] in (["idle 0", "busy 4", "idle 1", "busy 5"], ["busy 4", "idle 0", "busy 5", "idle 1"])


def test_a_fresh_frame_of_another_owner_is_no_reason_to_wait() -> None:
    assert served(Waiting("old", 0.1, owner="a"), Waiting("new", waited=0.5, owner="b")) == ["old", "new"]


def test_pictures_of_a_tenant_take_turns_with_its_frames() -> None:
    pictures = [Waiting(f"picture {number}", None, 9 - number, "a", STILL) for number in range(4)]
    frames = [Waiting(f"frame {number}", None, 0.9 - number / 10, "a", LIVE) for number in range(2)]
    assert served(*pictures, *frames)[:4] == ["picture 0", "frame 0", "picture 1", "frame 1"]


def test_bulk_work_waits_for_everything_else() -> None:
    bulk = [Waiting("bulk a", waited=9, owner="a", service=BULK), Waiting("bulk b", waited=8, owner="b", service=BULK)]
    others = [Waiting("frame", owner="a"), Waiting("picture", waited=0.5, owner="a", service=STILL)]
    assert served(*bulk, *others) == ["frame", "picture", "bulk a", "bulk b"]


def test_items_ahead_are_counted_by_turns(queue: FrameQueue) -> None:
    assert queue.ahead_of_next("b", LIVE) == 0
    for _ in range(5):
        queue.add(work("a"))
    assert queue.ahead_of_next("a", LIVE) == 5
    assert queue.ahead_of_next("b", LIVE) == 1
    queue.add(work("b"))
    assert queue.ahead_of_next("b", LIVE) == 1 + 2


def test_bulk_work_is_behind_all_other_and_ahead_of_none(queue: FrameQueue) -> None:
    queue.add(work("a", BULK))
    queue.add(work("a"))
    queue.add(work("b", STILL))
    assert queue.ahead_of_next("b", BULK) == 3
    assert queue.ahead_of_next("a", LIVE) == 2


def test_work_past_its_deadline_is_not_begun(queue: FrameQueue, clock: ManualClock) -> None:
    queue.add(work(deadline=clock.now + 1, about="late"))
    queue.add(work(deadline=clock.now + 3, about="in time"))
    clock.pass_(2)
    assert taken(queue) == ["in time"]
    assert queue.statistics().waiting == 1


def test_a_removed_item_is_not_taken(queue: FrameQueue) -> None:
    items = [work("a", about="first"), work("a", about="second")]
    for item in items:
        queue.add(item)
    assert queue.remove(items[0])
    assert not queue.remove(items[0])
    assert taken(queue) == ["second"]


def test_a_taken_item_is_not_removed(queue: FrameQueue) -> None:
    item = work("a")
    queue.add(item)
    assert queue.take(crowded=False) is item
    assert not queue.remove(item)


def test_clearing_returns_the_waiting_items_only(queue: FrameQueue) -> None:
    items = [work("a"), work("b", BULK)]
    for item in [work("begun"), *items]:
        queue.add(item)
    queue.take(crowded=False)
    assert queue.clear() == items
    assert queue.take(crowded=False) is None


def test_statistics_count_waiting_and_taken_items_and_waits(queue: FrameQueue, clock: ManualClock) -> None:
    for _ in range(3):
        queue.add(work())
    clock.pass_(0.02)
    queue.take(crowded=False)
    clock.pass_(1)
    queue.take(crowded=False)
    queue.done()
    statistics = queue.statistics()
    assert (statistics.waiting, statistics.taken, queue.load) == (1, 1, 2)
    assert statistics.wait_counts[bin_of(0.02)] == statistics.wait_counts[bin_of(1.02)] == 1
    assert sum(statistics.wait_counts) == 2


def test_work_without_a_camera_frame_is_served_in_its_order(queue: FrameQueue, clock: ManualClock) -> None:
    assert work().newest_at is never_stale
    for number in range(3):
        queue.add(work(about=str(number)))
        clock.pass_(1)
    assert taken(queue, crowded=True) == ["0", "1", "2"]
