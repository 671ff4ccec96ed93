"""Which of the work that waits for a thread is next."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from recognition.ready_work import FRESH_S, LAST_S, LENIENCE, PATIENCE, Piece, ReadyWork, does_not_age


@dataclass(frozen=True, slots=True)
class Waiting:
    """`age`: seconds since its newest frame came, None where a new one comes all the time; `waited`: how long it has
    waited."""

    name: str
    age: float | None = None
    waited: float = 1.0
    owner: str = ""


def served(*waiting: Waiting, crowded: bool = True) -> list[str]:
    """The names, in the order in which one thread takes them; all asked before the last turn was taken."""
    now, ready, names = time.monotonic(), ReadyWork(), list[str]()
    ready.add(Piece("", lambda: None, does_not_age, now))
    ready.take(crowded=crowded)
    for one in waiting:
        ready.add(Piece(one.owner, _naming(names, one.name), _newest(now, one.age), now - one.waited))
    for _ in waiting:
        piece = ready.take(crowded=crowded)
        assert piece is not None
        piece.run()
    assert ready.take(crowded=crowded) is None
    return names


def _naming(names: list[str], name: str) -> Callable[[], object]:
    return lambda: names.append(name)


def _newest(now: float, age: float | None) -> Callable[[], float]:
    return time.monotonic if age is None else lambda: now - age


OLD_S = (FRESH_S + LAST_S) / 2


def test_of_frames_that_have_just_come_the_one_that_waits_longest_is_first() -> None:
    assert served(Waiting("a", waited=3), Waiting("b", waited=2), Waiting("c", waited=1)) == ["a", "b", "c"]


def test_of_old_frames_the_newest_is_first() -> None:
    assert served(Waiting("older", OLD_S + 0.02), Waiting("old", OLD_S)) == ["old", "older"]


def test_who_has_waited_long_may_have_an_older_frame() -> None:
    older_by = OLD_S - FRESH_S
    enough, too_little = 1.0 + 1.2 * older_by / LENIENCE, 1.0 + 0.8 * older_by / LENIENCE
    assert served(Waiting("new"), Waiting("old", OLD_S, enough)) == ["old", "new"]
    assert served(Waiting("new"), Waiting("old", OLD_S, too_little)) == ["new", "old"]


def test_who_sends_no_newer_frame_does_not_wait_for_one() -> None:
    assert served(Waiting("slow", 2 * LAST_S), Waiting("new")) == ["slow", "new"]


def test_nobody_is_passed_over_for_ever() -> None:
    names = served(Waiting("old", OLD_S), *[Waiting("new")] * (2 * PATIENCE))
    assert names.index("old") == PATIENCE


@pytest.mark.parametrize("crowded", [True, False])
def test_owners_take_turns(crowded: bool) -> None:
    many = [Waiting(f"a{number}", owner="a") for number in range(5)]
    few = [Waiting("b0", owner="b"), Waiting("b1", owner="b"), Waiting("c0", owner="c")]
    assert served(*many, *few, crowded=crowded) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3", "a4"]


def test_a_fresh_frame_of_another_owner_is_no_reason_to_wait() -> None:
    assert served(Waiting("old", OLD_S, owner="a"), Waiting("new", owner="b")) == ["old", "new"]


def test_what_is_ahead_is_counted_by_turns() -> None:
    ready = ReadyWork()
    assert ready.ahead_of_next("b") == 0
    for _ in range(5):
        ready.add(Piece("a", lambda: None, does_not_age, 0.0))
    assert ready.ahead_of_next("a") == 5
    assert ready.ahead_of_next("b") == 1
    ready.add(Piece("b", lambda: None, does_not_age, 0.0))
    assert ready.ahead_of_next("b") == 1 + 2


def test_what_was_given_up_is_not_taken() -> None:
    ready = ReadyWork()
    pieces = [Piece("a", lambda: None, does_not_age, 0.0) for _ in range(2)]
    for piece in pieces:
        ready.add(piece)
    assert ready.give_up(pieces[0])
    assert ready.take(crowded=False) is pieces[1]
    assert ready.take(crowded=False) is None


def test_what_has_begun_is_not_given_up() -> None:
    ready = ReadyWork()
    piece = Piece("a", lambda: None, does_not_age, 0.0)
    ready.add(piece)
    assert ready.take(crowded=False) is piece
    assert piece.result.set_running_or_notify_cancel()
    assert not ready.give_up(piece)
