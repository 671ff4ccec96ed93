"""Who moves all the time is as alive as who sits still."""

from __future__ import annotations

from dataclasses import replace

from core.liveness.cues.movements import BlinkCue, MouthCue, TurnCue
from core.liveness.cues.poses import in_commonest_pose
from core.liveness.observation import FaceReading
from tests.core.liveness.readings import CLOSED, OPEN, TALKING, timed


def nodding(readings: list[FaceReading]) -> list[FaceReading]:
    """The same with the head going up and down, out of comparison and back, every half second."""
    return timed([replace(r, pitch=(0.0, 9.0, 14.0, 9.0, 0.0)[at % 5]) for at, r in enumerate(readings)])


def turning(yaws: list[float]) -> TurnCue:
    cue = TurnCue()
    for reading in timed([replace(OPEN, yaw=yaw) for yaw in yaws]):
        cue.observe(reading)
    return cue


def test_who_nods_blinks() -> None:
    cue = BlinkCue()
    for reading in nodding([*[OPEN] * 19, CLOSED, CLOSED, *[OPEN] * 4]):
        cue.observe(reading)
    assert cue.seen


def test_who_nods_speaks() -> None:
    cue = MouthCue()
    for reading in nodding([*[OPEN] * 5, *[TALKING] * 5] * 4):
        cue.observe(reading)
    assert cue.seen


def test_who_laughs_and_never_closes_the_lips_moves_them() -> None:
    cue = MouthCue()
    for reading in timed([replace(OPEN, mouth_opening=opening) for opening in [0.45] * 5 + [0.8] * 5] * 2):
        cue.observe(reading)
    assert cue.seen


def test_a_head_that_turns_far_to_both_sides_is_no_flat_picture() -> None:
    assert turning([0, 25, 30, 0, -24, -28]).seen
    assert not turning([0, 25, 30, 0, 12, 25, 30]).seen
    assert not turning([0, 25, 0, -25, 0, 25, 0, -25]).seen, "a single reading may be wrong"
    assert not turning([12, 12, -12, -12] * 5).seen, "as far as a bent photograph seems to turn"


def test_the_commonest_pose_is_no_median() -> None:
    poses = [(-30.0, 0.0)] * 4 + [(0.0, 0.0)] * 3 + [(30.0, 0.0)] * 2 + [(34.0, 2.0)] * 3
    assert in_commonest_pose(poses).tolist() == [False] * 7 + [True] * 5
