"""Frames that cannot all be one camera's are told from those of a slow or unlucky one."""

from __future__ import annotations

import pytest

from core.liveness.continuity import Continuity, FrameFingerprint
from core.liveness.limits import FROZEN_FRAMES, FROZEN_MS, RESENT_FRAMES

SIZE = (640, 480)


def told(
    pictures: list[int], step_ms: int = 100, continuity: Continuity | None = None, begin_ms: int = 0
) -> Continuity:
    """Of one frame after another, each known by a number."""
    continuity = continuity or Continuity()
    for index, picture in enumerate(pictures):
        continuity.observe(FrameFingerprint(begin_ms + index * step_ms, f"{picture:016x}", SIZE, True))
    return continuity


def test_new_pictures_go_on() -> None:
    assert told(list(range(200))).failure is None


def test_a_slow_camera_may_repeat_each_picture() -> None:
    assert told([index // 4 for index in range(200)]).failure is None


def test_the_same_picture_for_long_is_a_frozen_stream() -> None:
    assert told([0] * FROZEN_FRAMES).failure is None
    assert told([0] * (FROZEN_FRAMES + 1)).failure == "stream_frozen"
    assert told([7, 8] + [0] * (FROZEN_FRAMES + 1)).failure == "stream_frozen"


def test_many_at_once_and_few_for_long_are_no_frozen_stream() -> None:
    burst = FROZEN_MS // 100
    assert told([0] * 100, step_ms=burst // 20).failure is None
    assert told([0] * FROZEN_FRAMES, step_ms=2_000).failure is None


def test_stillness_is_counted_anew_after_every_new_picture() -> None:
    stutter = [index for index in range(20) for _ in range(FROZEN_FRAMES - 1)]
    assert told(stutter).failure is None


def test_a_picture_that_comes_again_later_is_a_repetition() -> None:
    assert told([0, 1, 0]).failure == "stream_repeated"
    assert told([*range(120), 3]).failure == "stream_repeated"


@pytest.mark.parametrize("size", [(480, 640), (320, 240), (480, 360), (1280, 960), (361, 481)])
def test_a_phone_may_be_turned_and_a_sender_may_scale(size: tuple[int, int]) -> None:
    continuity = told([0, 1])
    continuity.observe(FrameFingerprint(200, f"{2:016x}", size, True))
    assert continuity.failure is None


@pytest.mark.parametrize("size", [(640, 360), (500, 480), (480, 480), (360, 640)])
def test_another_shape_is_another_camera(size: tuple[int, int]) -> None:
    continuity = told([0, 1])
    continuity.observe(FrameFingerprint(200, f"{2:016x}", size, True))
    assert continuity.failure == "camera_changed"


def test_the_first_failure_stays() -> None:
    continuity = told([0, 1, 0])
    continuity.observe(FrameFingerprint(400, f"{9:016x}", (320, 240), True))
    continuity.resume()
    told([20, 21], continuity=continuity, begin_ms=500)
    assert continuity.failure == "stream_repeated"


def test_who_connects_again_may_send_the_newest_frames_again_and_none_older() -> None:
    sent = list(range(10))
    repeated = told(sent)
    repeated.resume()
    assert told([*sent[-RESENT_FRAMES:], 10], continuity=repeated, begin_ms=1_000).failure is None
    looped = told(sent)
    looped.resume()
    assert told(sent, continuity=looped, begin_ms=1_000).failure == "stream_repeated"


def test_who_connects_again_may_have_stood_still_and_keeps_the_camera() -> None:

    still = told([0] * FROZEN_FRAMES)
    still.resume()
    assert told([0] * 5, continuity=still, begin_ms=100 * FROZEN_FRAMES).failure is None

    turned = told([0, 1])
    turned.resume()
    turned.observe(FrameFingerprint(200, f"{2:016x}", (640, 400), True))
    assert turned.failure == "camera_changed"


def test_after_connecting_again_the_rules_hold_as_before() -> None:
    continuity = told([0, 1])
    continuity.resume()
    assert told([5, 6, 5], continuity=continuity, begin_ms=200).failure == "stream_repeated"


def test_pictures_without_a_face_may_come_again_and_stand_still_but_not_change_their_size() -> None:
    dark = [FrameFingerprint(100 * at, "0" * 16, SIZE, False) for at in range(3 * FROZEN_FRAMES)]
    continuity = Continuity()
    for fingerprint in (*dark[:5], FrameFingerprint(500, "1" * 16, SIZE, True), *dark[6:]):
        continuity.observe(fingerprint)
    assert (continuity.failure, continuity.digests) == (None, ["1" * 16])
    continuity.observe(FrameFingerprint(9_000, "2" * 16, (320, 200), False))
    assert continuity.failure == "camera_changed"
