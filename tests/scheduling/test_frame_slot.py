"""The frame slot: one frame in work and one waiting."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from scheduling.frame_slot import FrameSlot, TakenFrame
from vocabulary.errors import ErrorCode
from wire.errors import UnusableFrame
from wire.inbound import BadFrame, Frame


def frame(seq: int, at: float = 0) -> Frame:
    return Frame(seq, b"", at)


def test_the_newest_frame_replaces_the_waiting_one() -> None:
    slot = FrameSlot()
    slot.offer(frame(1))
    assert slot.take() == TakenFrame(frame(1), dropped=0)
    for seq in (2, 3, 4):
        slot.offer(frame(seq))
    assert slot.dropped == 2
    assert slot.goes_on()
    assert slot.take() == TakenFrame(frame(4), dropped=2)
    assert not slot.goes_on()
    assert slot.dropped == 2


def test_a_frame_that_is_not_taken_yet_is_replaced_like_any_other() -> None:
    slot = FrameSlot()
    assert slot.offer(frame(1))
    assert not slot.offer(frame(2))
    taken = slot.take()
    slot.offer(frame(3))
    slot.offer(frame(4))
    assert (taken, slot.dropped) == (TakenFrame(frame(2), dropped=1), 2)


def test_a_slot_tells_when_its_newest_frame_came() -> None:
    slot = FrameSlot()
    slot.offer(frame(1, at=10.0))
    slot.offer(frame(2, at=11.0))
    assert slot.newest_at() == 11.0
    slot.take()
    assert slot.newest_at() == math.inf
    slot.offer(BadFrame(3, UnusableFrame("no picture", ErrorCode.INVALID_IMAGE)))
    assert slot.newest_at() == math.inf


def test_a_frame_that_is_refused_waits_its_turn_like_any_other() -> None:
    slot = FrameSlot()
    bad = BadFrame(2, UnusableFrame("broken", ErrorCode.INVALID_IMAGE))
    slot.offer(frame(1))
    slot.take()
    slot.offer(bad)
    assert slot.take().frame is bad


@given(st.lists(st.sampled_from(["offer", "take", "end"])))
def test_every_frame_that_was_not_replaced_is_taken_once_in_order_by_one_worker(moves: list[str]) -> None:
    slot = FrameSlot()
    offered, taken, replaced = 0, [], []
    waiting: int | None = None
    working = False
    for move in [*moves, "take", "end", "take", "end"]:
        if move == "offer":
            offered += 1
            replaced += [waiting] if waiting is not None else []
            waiting = offered
            assert slot.offer(frame(offered)) is not working, "the caller starts a worker exactly when none works"
            working = True
        elif move == "take" and working and waiting is not None:
            assert slot.take().frame == frame(waiting)
            taken.append(waiting)
            waiting = None
        elif move == "end" and working:
            working = waiting is not None
            assert slot.goes_on() is working
    assert slot.dropped == len(replaced)
    assert sorted([*taken, *replaced]) == list(range(1, offered + 1))
    assert taken == sorted(taken)
