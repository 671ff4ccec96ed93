"""Permits go to those who wait longest, none is lost, and every wait is counted."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from core.permits import WAIT_BOUNDS_MS, Permit, PermitQueue, wait_percentile_ms

PATIENCE_S = 30.0


def waiting(queue: PermitQueue, name: str, granted: list[str]) -> Permit:
    return queue.request(lambda: granted.append(name))


def test_a_free_permit_is_granted_at_once_and_without_a_call() -> None:
    calls: list[str] = []
    queue = PermitQueue(2)
    assert waiting(queue, "first", calls).granted
    assert waiting(queue, "second", calls).granted
    assert not waiting(queue, "third", calls).granted
    assert calls == []
    statistics = queue.statistics()
    assert (statistics.size, statistics.in_use, statistics.waiting, statistics.exhausted_total) == (2, 2, 1, 1)


def test_those_who_wait_are_served_in_the_order_they_came() -> None:
    granted: list[str] = []
    queue = PermitQueue(1)
    turn = waiting(queue, "holder", granted)
    line = {name: waiting(queue, name, granted) for name in ("a", "b", "c", "d")}
    for name in ("a", "b", "c", "d"):
        turn.release()
        turn = line[name]
        assert turn.granted
    assert granted == ["a", "b", "c", "d"]


def test_nobody_barges_in_before_those_who_wait() -> None:
    granted: list[str] = []
    queue = PermitQueue(1)
    holder = waiting(queue, "holder", granted)
    patient = waiting(queue, "patient", granted)
    holder.release()
    pushy = waiting(queue, "pushy", granted)
    assert patient.granted
    assert not pushy.granted


def test_owners_take_turns_and_each_keeps_its_order() -> None:
    granted: list[str] = []
    queue = PermitQueue(1)
    held = waiting(queue, "held", granted)
    permits = {
        name: queue.request(partial(granted.append, name), owner=name[0]) for name in ("a1", "a2", "a3", "b1", "b2")
    }
    held.release()
    for number in range(len(permits)):
        permits[granted[number]].release()
    assert granted == ["a1", "b1", "a2", "b2", "a3"]


def test_what_lies_ahead_of_a_request_is_counted_by_turns() -> None:
    queue = PermitQueue(2)
    assert queue.ahead_of_next("b") == 0
    for _ in range(12):
        queue.request(lambda: None, "a")
    assert queue.ahead_of_next("a") == 10
    assert queue.ahead_of_next("b") == 1
    queue.request(lambda: None, "b")
    assert queue.ahead_of_next("b") == 1 + 2


def test_who_is_sent_away_at_once_is_counted_too() -> None:
    queue = PermitQueue(1)
    queue.count_timeout()
    permit = queue.request(lambda: None)
    queue.count_timeout()
    statistics = queue.statistics()
    assert (statistics.timeouts_total, statistics.exhausted_total, statistics.in_use) == (2, 1, 1)
    permit.release()


def test_one_who_gave_up_is_passed_over() -> None:
    granted: list[str] = []
    queue = PermitQueue(1)
    holder = waiting(queue, "holder", granted)
    impatient = waiting(queue, "impatient", granted)
    waiting(queue, "next", granted)
    impatient.release(timed_out=True)
    holder.release()
    assert granted == ["next"]
    assert not impatient.granted


def test_a_release_counts_once() -> None:
    granted: list[str] = []
    queue = PermitQueue(1)
    holder = waiting(queue, "holder", granted)
    waiting(queue, "a", granted)
    waiting(queue, "b", granted)
    for _ in range(3):
        holder.release()
    assert granted == ["a"]
    assert (queue.statistics().in_use, queue.statistics().waiting) == (1, 1)


def test_everyone_hears_of_the_grant_exactly_once() -> None:
    calls: list[int] = []
    queue = PermitQueue(1)
    first = queue.request(lambda: calls.append(-1))
    line = [queue.request(lambda number=number: calls.append(number)) for number in range(50)]  # type: ignore[misc]
    for permit in (first, *line, first, *line):
        permit.release()
    assert calls == list(range(50))


def test_on_grant_may_use_the_queue() -> None:
    queue = PermitQueue(1)
    holder = queue.request(lambda: None)
    seen: list[int] = []
    queue.request(lambda: seen.append(queue.statistics().in_use))
    holder.release()
    assert seen == [1]


def test_a_wait_in_vain_ends_in_time_and_is_counted() -> None:
    queue = PermitQueue(1)
    holder = queue.acquire(0)
    began = time.monotonic()
    assert queue.acquire(0.05) is None
    assert time.monotonic() - began >= 0.04
    assert (queue.statistics().timeouts_total, queue.statistics().waiting) == (1, 0)
    assert holder is not None
    holder.release()
    assert queue.acquire(0) is not None


def test_one_who_gives_up_as_the_grant_arrives_is_counted_and_loses_no_permit() -> None:
    queue = PermitQueue(1)
    holder = queue.request(lambda: None)
    late = queue.request(lambda: None)
    holder.release()
    late.release(timed_out=True)
    statistics = queue.statistics()
    assert (statistics.timeouts_total, statistics.in_use) == (1, 0)


def test_leaving_the_queue_without_a_timeout_is_not_counted_as_one() -> None:
    queue = PermitQueue(1)
    queue.request(lambda: None)
    queue.request(lambda: None).release()
    assert (queue.statistics().timeouts_total, queue.statistics().waiting) == (0, 0)


def test_a_thread_that_waits_is_woken_by_a_release() -> None:
    queue = PermitQueue(1)
    holder = queue.acquire(0)
    assert holder is not None
    timer = threading.Timer(0.05, holder.release)
    timer.start()
    began = time.monotonic()
    permit = queue.acquire(PATIENCE_S)
    timer.join()
    assert permit is not None
    assert permit.granted
    assert time.monotonic() - began < PATIENCE_S


def test_an_interrupted_wait_leaves_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = PermitQueue(1)
    holder = queue.acquire(0)
    assert holder is not None

    def interrupted(event: threading.Event, timeout: float) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Event, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            queue.acquire(10)
    holder.release()
    assert (queue.statistics().in_use, queue.statistics().waiting) == (0, 0)


def test_the_observer_hears_of_every_change() -> None:
    queue = PermitQueue(1)
    seen: list[tuple[int, int]] = []
    queue.on_change = lambda: seen.append((queue.statistics().in_use, queue.statistics().waiting))
    holder = queue.request(lambda: None)
    waiter = queue.request(lambda: None)
    holder.release()
    waiter.release()
    assert seen == [(1, 0), (1, 1), (1, 0), (0, 0)]


def test_a_failing_observer_costs_no_permit(caplog: pytest.LogCaptureFixture) -> None:
    def disk_is_full() -> None:
        raise OSError("no space left on device")

    queue = PermitQueue(1)
    queue.on_change = disk_is_full
    granted: list[str] = []
    holder = waiting(queue, "holder", granted)
    waiter = waiting(queue, "waiter", granted)
    holder.release()
    waiter.release()
    assert granted == ["waiter"]
    assert queue.statistics().in_use == 0
    assert "observer" in caplog.text


@pytest.mark.parametrize("size", [0, -1])
def test_a_queue_of_nothing_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        PermitQueue(size)


def test_grants_without_a_wait_count_as_no_wait() -> None:
    queue = PermitQueue(1)
    for _ in range(100):
        queue.request(lambda: None).release()
    counts = queue.statistics().wait_counts
    assert sum(counts) == 100
    assert wait_percentile_ms(counts, 0.5) == 0.0


def test_a_wait_is_measured_from_the_request_to_the_grant() -> None:
    queue = PermitQueue(1)
    holder = queue.request(lambda: None)
    queue.request(lambda: None)
    time.sleep(0.03)
    holder.release()
    assert 30 <= wait_percentile_ms(queue.statistics().wait_counts, 1.0) < 1_000


def test_percentiles_are_upper_edges_of_their_bins() -> None:
    counts = [0] * len(WAIT_BOUNDS_MS)
    counts[0], counts[10], counts[-1] = 90, 9, 1
    assert wait_percentile_ms(tuple(counts), 0.5) == 0.0
    assert wait_percentile_ms(tuple(counts), 0.9) == 0.0
    assert wait_percentile_ms(tuple(counts), 0.95) == WAIT_BOUNDS_MS[10]
    assert wait_percentile_ms(tuple(counts), 0.99) == WAIT_BOUNDS_MS[10]
    assert wait_percentile_ms(tuple(counts), 1.0) == WAIT_BOUNDS_MS[-1]


def test_no_grant_has_no_wait() -> None:
    assert wait_percentile_ms((0,) * len(WAIT_BOUNDS_MS), 0.99) == 0.0


def test_waits_longer_than_every_bin_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = PermitQueue(1)
    holder = queue.request(lambda: None)
    queue.request(lambda: None)
    later = time.monotonic() + 3600
    monkeypatch.setattr("core.permits.time.monotonic", lambda: later)
    holder.release()
    assert queue.statistics().wait_counts[-1] == 1


def test_permits_under_many_threads_stay_within_their_number() -> None:
    queue = PermitQueue(3)
    lock = threading.Lock()
    now = most = served = 0

    def serve() -> None:
        nonlocal now, most, served
        for _ in range(200):
            permit = queue.acquire(10)
            assert permit is not None
            with lock:
                now, served = now + 1, served + 1
                most = max(most, now)
            time.sleep(0)
            with lock:
                now -= 1
            permit.release()

    threads = [threading.Thread(target=serve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statistics = queue.statistics()
    assert (served, most) == (1600, 3)
    assert (statistics.in_use, statistics.waiting, statistics.timeouts_total) == (0, 0, 0)
    assert sum(statistics.wait_counts) == 1600
