"""From one frame to what a session learns of it."""

from __future__ import annotations

import cv2
import numpy as np

from core.face_mesh import UNTRACKED
from core.liveness.policy import Policy
from core.types import RgbImage
from recognition.analysis import analyse
from recognition.flow import Flow, Plan, Purpose
from recognition.runtime import Runtime
from tools.clips import encode_jpeg


def test_a_frame_that_is_decoded_smaller_keeps_its_size(runtime: Runtime, astronaut_rgb: RgbImage) -> None:
    """A session whose frames change their size ends as another camera's."""
    data = encode_jpeg(np.asarray(cv2.resize(astronaut_rgb, (1923, 1921)), np.uint8))
    flow = Flow.begin(Purpose.SANDBOX, None, Policy.PASSIVE, "", 0, 0)
    closely, briefly = Plan(spoof=True, identity=True, probe=False, tint=False), Plan(False, False, False, False)
    tracking, sizes, reductions = UNTRACKED, set(), []
    for plan in (closely, briefly, closely):
        look = runtime.engine.look(data, runtime.limits, tracking, plan.detail)
        tracking = look.tracking(tracking)
        seen = analyse(runtime, None, flow, look, data, plan, 0)
        sizes.add(seen.mark.size)
        reductions.append(round(look.picture.reduction))
        assert seen.mark.shows_face
    assert sizes == {(1923, 1921)}
    assert reductions == [1, 2, 1]
