"""Analysis of single frames: the live engine and a recording give the same."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import Any

import cv2
import numpy as np
import pytest

from core.face_mesh import UNTRACKED
from core.liveness.challenge import Challenge
from core.liveness.cues.light import LightCue
from core.liveness.decision import Liveness
from core.liveness.policy import Policy
from core.types import Detail, Embedding, RgbImage
from gallery.people import Sample
from recognition.sessions.state import Flow, FramePlan, Observation, Outcome
from recognition.streaming.analysis import EngineSight, find_match
from recognition.streaming.sight import Sight, observe
from recognition.worker import Worker
from testkit.clips import encode_jpeg
from testkit.recognised import recognised
from testkit.recorded_sight import RecordedSight, watch
from tests.conftest import needs_shared_data
from tests.enrolling import enroll
from tests.recognition.support import Backend
from vocabulary.faces import Action
from vocabulary.sessions import Purpose, Reason

JPEG_QUALITY = 90
FRAME_MS = 100


def test_a_frame_that_is_decoded_smaller_keeps_its_size(worker: Worker, astronaut_rgb: RgbImage) -> None:
    """A session whose frames change their size is refused as a change of the camera."""
    data = encode_jpeg(np.asarray(cv2.resize(astronaut_rgb, (1923, 1921)), np.uint8))
    flow = Flow.begin(Purpose.SANDBOX, None, Policy.PASSIVE, "", 0, 0)
    closely, briefly = FramePlan(0, spoof=True, identity=True, probe=False), FramePlan(0, False, False, False)
    tracking, sizes, reductions = UNTRACKED, set(), []
    for plan in (closely, briefly, closely):
        view = worker.engine.analyse(data, worker.limits, tracking, plan.detail)
        tracking = view.tracking(tracking)
        seen = observe(flow, plan, EngineSight(worker.engine, view, data))
        sizes.add(seen.fingerprint.size)
        reductions.append(round(view.picture.reduction))
        assert seen.fingerprint.shows_face
    assert sizes == {(1923, 1921)}
    assert reductions == [1, 2, 1]


@pytest.fixture(scope="module")
def frames(enrolled_clip: list[RgbImage], hopper_rgb: RgbImage) -> list[RgbImage]:
    """A person who talks and blinks, with one frame in between that shows nobody."""
    return [*enrolled_clip[:10], np.full_like(enrolled_clip[0], 90), *enrolled_clip[10:]]


@pytest.fixture(scope="module")
def recorded(worker: Worker, frames: list[RgbImage]) -> list[RecordedSight]:
    return list(watch(worker.engine, frames, JPEG_QUALITY))


class Taken:
    """Runs frames through a session, and keeps the observation and outcome of each."""

    def __init__(self, worker: Worker, backend: Backend, flow: Flow) -> None:
        self._worker, self._backend = worker, backend
        self.flow = flow
        self.observations: list[Observation] = []
        self.outcomes: list[Outcome | None] = []

    def play(self, sights: Sequence[RecordedSight]) -> None:
        for sight in sights:
            self._take(self._plan(), sight)

    def run(self, frames: Sequence[RgbImage]) -> None:
        """Analyse each frame with the live engine, in the service's order of steps."""
        engine, tracking = self._worker.engine, UNTRACKED
        for rgb in frames:
            data, plan = encode_jpeg(rgb, JPEG_QUALITY), self._plan()
            assert plan.detail is Detail.FULL, "a recording knows nothing of what a brief look would see"
            view = engine.analyse(data, self._worker.limits, tracking, plan.detail)
            tracking = view.tracking(tracking)
            self._take(plan, EngineSight(engine, view, data))

    @property
    def decision(self) -> Outcome | None:
        return self.outcomes[-1]

    def _plan(self) -> FramePlan:
        return self.flow.plan(len(self.outcomes) * FRAME_MS)

    def _take(self, plan: FramePlan, sight: Sight) -> None:
        if self.outcomes and self.decision is not None:
            return
        seen = observe(self.flow, plan, sight)
        match = find_match(self._worker.deciding, self._backend.tenant, self.flow, seen)
        self.observations.append(seen)
        self.outcomes.append(self.flow.observe(seen, match))


def flow_of(purpose: Purpose, policy: Policy) -> Flow:
    challenge = None
    if policy is Policy.STRICT:
        challenge = Challenge("c", [Action.LIGHT, Action.BLINK], light=LightCue.draw(random.Random(1)))
    return Flow(purpose, "bob", 3, 8, Liveness(policy, challenge))


def comparable(seen: Observation) -> list[object]:
    """All contents of an observation, arrays as their bytes."""

    def parts(value: Any) -> Iterator[object]:
        if isinstance(value, tuple):
            for part in value:
                yield from parts(part)
        else:
            yield value.tobytes() if isinstance(value, np.ndarray) else value

    return list(parts(astuple(seen)))


@needs_shared_data
@pytest.mark.parametrize(
    ("purpose", "policy", "enrolled", "reason"),
    [
        (Purpose.AUTHENTICATION, Policy.PASSIVE, "speaker", None),
        (Purpose.IDENTIFICATION, Policy.PASSIVE, "speaker", None),
        (Purpose.AUTHENTICATION, Policy.PASSIVE, "stranger", Reason.NO_MATCH),
        (Purpose.ENROLLMENT, Policy.STRICT, "stranger", Reason.LIVENESS_TIMEOUT),
    ],
)
def test_a_recording_shows_and_decides_what_its_frames_do(
    worker: Worker,
    backend: Backend,
    frames: list[RgbImage],
    recorded: list[RecordedSight],
    hopper_embedding: Embedding,
    purpose: Purpose,
    policy: Policy,
    enrolled: str,
    reason: Reason | None,
) -> None:
    vector = hopper_embedding if enrolled == "stranger" else recognised(recorded[0].embedding())
    enroll(backend.tenant, "bob", [Sample(vector, 1.0)], worker.deciding.gallery, worker.deciding.rules)
    played, live = (Taken(worker, backend, flow_of(purpose, policy)) for _ in range(2))
    played.play(recorded)
    live.run(frames)
    assert [comparable(seen) for seen in played.observations] == [comparable(seen) for seen in live.observations]
    assert played.outcomes == live.outcomes
    assert played.flow == live.flow
    embedded = {None if seen.face is None else seen.face.embedding is not None for seen in live.observations}
    assert embedded == {None, False, True}, "each kind of frame is among them"
    assert (live.decision or live.flow.time_is_up()).reason == reason
