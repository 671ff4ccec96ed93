from __future__ import annotations

import pytest

from jobs.scaling.celery_group import WorkerLoad, load_of, spread
from jobs.scaling.rule import CALM_S, Bounds, Load, Scaling, wanted_slots


@pytest.mark.parametrize(
    ("load", "wanted"),
    [
        (Load(10, 7.0, 0, 1.0), 10),  # 70 % busy: as it should be.
        (Load(10, 10.0, 0, 1.0), 14.3),
        (Load(10, 1.0, 0, 1.0), 1.43),
        (Load(10, 0.0, 0, None), 0),
        (Load(4, 0.0, 600, 2.0), 20),  # 1,200 s of work in a minute.
        (Load(4, 2.8, 60, None), 5),  # Nothing ended lately: a second each.
        (Load(0, 0.0, 1, None), 1 / 60),
    ],
)
def test_slots_are_wanted_for_what_runs_and_for_what_waits(load: Load, wanted: float) -> None:
    assert wanted_slots(load) == pytest.approx(wanted, rel=0.01)


def test_the_group_grows_at_once_and_at_most_doubles() -> None:
    scaling = Scaling(Bounds(1, 50))
    slots, now = 2, 0.0
    grown = []
    for _ in range(5):
        slots = scaling.decide(now, Load(slots, slots, 100_000, 1.0))
        grown.append(slots)
        now += 5
    assert grown == [4, 8, 16, 32, 50]


def test_nothing_changes_between_half_and_four_fifths() -> None:
    scaling = Scaling(Bounds(1, 50))
    for second in range(0, 1_000, 5):
        assert scaling.decide(second, Load(10, 5.2 if second % 2 else 7.9, 0, 0.1)) == 10


def test_the_group_shrinks_only_after_five_calm_minutes_and_at_most_by_half() -> None:
    scaling = Scaling(Bounds(2, 50))
    idle = Load(40, 0.0, 0, None)
    assert {scaling.decide(second, idle) for second in range(0, int(CALM_S), 5)} == {40}
    assert scaling.decide(CALM_S, idle) == 20
    assert scaling.decide(CALM_S + 5, Load(20, 0.0, 0, None)) == 10
    assert scaling.decide(CALM_S + 10, Load(3, 0.0, 0, None)) == 2


def test_a_burst_every_four_minutes_keeps_the_slots_that_it_needs() -> None:
    scaling = Scaling(Bounds(1, 50))
    seen = set()
    for second in range(0, 2_400, 5):
        burst = second % 240 < 30
        seen.add(scaling.decide(second, Load(20, 14.0 if burst else 0.5, 0, 1.0)))
    assert seen == {20}


def test_bounds_hold_whatever_is_wanted() -> None:
    scaling = Scaling(Bounds(3, 6))
    assert scaling.decide(0, Load(1, 0.0, 0, None)) == 3
    assert scaling.decide(5, Load(9, 9.0, 500, 5.0)) == 6


def test_a_load_that_comes_and_goes_is_followed_without_swinging() -> None:
    """Simulated: jobs of 2 s, 5 a second for ten minutes, then one in ten seconds."""
    scaling = Scaling(Bounds(1, 40))
    slots, waiting, changes, longest = 1, 0.0, 0, 0.0
    for step in range(360):
        coming = 25.0 if step < 120 else 0.5
        done = min(waiting + coming, slots * 2.5)
        waiting += coming - done
        wanted = scaling.decide(step * 5.0, Load(slots, done * 2 / 5, int(waiting), 2.0))
        changes += wanted != slots
        slots = wanted
        if 20 <= step < 120:
            longest = max(longest, waiting)
        if 90 <= step < 120:
            assert 12 <= slots <= 25
    assert longest < 150
    assert slots == 1
    assert changes < 16


def test_a_groups_load_is_that_of_all_its_workers_and_one_queue() -> None:
    workers = {"a": WorkerLoad("io", 4, 2.0, 30, 10, 5.0), "b": WorkerLoad("io", 2, 1.0, 28, 0, 0.0)}
    assert load_of(workers) == Load(6, 3.0, 30, 0.5)
    assert load_of({"a": WorkerLoad("io", 4, 0.0, 0, 0, 0.0)}).mean_s is None
    assert spread(workers, 7) == {"a": 4, "b": 3}
    assert spread(workers, 1) == {"a": 1, "b": 1}
