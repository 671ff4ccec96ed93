from __future__ import annotations

from server.door import Door


class Visitor:
    def __init__(self) -> None:
        self.evicted = False

    def evict(self) -> None:
        self.evicted = True


def visitors(door: Door, count: int) -> list[Visitor]:
    made = [Visitor() for _ in range(count)]
    for visitor in made:
        assert door.admit(visitor)
    return made


def evicted(made: list[Visitor]) -> list[bool]:
    return [visitor.evicted for visitor in made]


def test_the_idle_one_that_waits_longest_goes_first() -> None:
    door = Door(3)
    made = visitors(door, 3)
    for visitor in (made[2], made[1]):
        door.works(visitor)
        door.rests(visitor)
    visitors(door, 1)
    assert evicted(made) == [False, False, True]
    assert len(door) == 3


def test_then_the_head_that_takes_longest() -> None:
    door = Door(3)
    made = visitors(door, 3)
    door.works(made[0])
    visitors(door, 1)
    assert evicted(made) == [False, True, False]


def test_who_sends_another_head_is_the_newest_of_them() -> None:
    door = Door(2)
    made = visitors(door, 2)
    door.works(made[0])
    door.rests(made[0])
    door.arrives(made[0])
    visitors(door, 1)
    assert evicted(made) == [False, True]


def test_who_is_at_work_stays_and_the_new_one_does_not() -> None:
    door = Door(2)
    made = visitors(door, 2)
    for visitor in made:
        door.works(visitor)
    assert not door.admit(Visitor())
    assert evicted(made) == [False, False]
    assert len(door) == 2


def test_who_has_left_leaves_a_place_and_may_leave_twice() -> None:
    door = Door(1)
    (first,) = visitors(door, 1)
    door.works(first)
    door.leave(first)
    door.leave(first)
    assert len(door) == 0
    assert door.admit(Visitor())
