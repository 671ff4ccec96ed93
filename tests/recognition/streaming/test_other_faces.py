"""Who stands behind a person changes nothing; who takes the person's place ends the session; and masks."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from core.liveness.decision import Liveness
from core.liveness.policy import Policy
from core.types import Embedding, RgbImage
from gallery.people import Sample
from recognition.sessions.state import Flow, Outcome
from recognition.streaming.analysis import EngineSight, find_match
from recognition.streaming.sight import observe
from recognition.worker import Worker
from testkit.clips import GRID_CLIPS, encode_jpeg, read_clip
from testkit.faces.covers import draw
from tests.conftest import needs_shared_data
from tests.enrolling import enroll
from tests.recognition.support import Backend
from vocabulary.faces import Issue
from vocabulary.sessions import Purpose, Reason

FRAME_MS = 100
FRAMES = 74


@pytest.fixture(scope="module")
def frames() -> list[RgbImage]:
    return read_clip(GRID_CLIPS[0].path, 0, FRAMES)


@pytest.fixture
def speaker(worker: Worker, backend: Backend, frames: list[RgbImage]) -> Embedding:
    """Enrolled as bob."""
    vector = worker.engine.embed(worker.engine.analyse(encode_jpeg(frames[0]), worker.limits))
    assert vector is not None
    enroll(backend.tenant, "bob", [Sample(vector, 1.0)], worker.deciding.gallery, worker.deciding.rules)
    return vector


def authentication(covered_faces: bool = False, policy: Policy = Policy.PASSIVE) -> Flow:
    return Flow(Purpose.AUTHENTICATION, "bob", 1, 8, Liveness(policy), covered_faces=covered_faces)


def shown(worker: Worker, backend: Backend, flow: Flow, frames: Sequence[RgbImage]) -> tuple[int, Outcome | None]:
    """The outcome, and the number of the frame that decided."""
    for number, rgb in enumerate(frames):
        data, plan = encode_jpeg(rgb), flow.plan(number * FRAME_MS)
        seen = observe(flow, plan, EngineSight(worker.engine, worker.engine.analyse(data, worker.limits), data))
        outcome = flow.observe(seen, find_match(worker.deciding, backend.tenant, flow, seen))
        if outcome is not None:
            return number, outcome
    return len(frames), None


def with_somebody_behind(rgb: RgbImage, other: RgbImage) -> RgbImage:
    picture = rgb.copy()
    head = cv2.resize(other[90:390, 140:400], (60, 70), interpolation=cv2.INTER_AREA)
    picture[10:80, 5:65] = head
    return picture


@needs_shared_data
@pytest.mark.django_db(transaction=True)
def test_a_bystander_who_comes_and_goes_changes_nothing(
    worker: Worker, backend: Backend, speaker: Embedding, frames: list[RgbImage], hopper_rgb: RgbImage
) -> None:
    alone = shown(worker, backend, authentication(), frames)
    assert alone[1] is not None
    assert alone[1].success
    visited = [with_somebody_behind(rgb, hopper_rgb) if at // 6 % 2 else rgb for at, rgb in enumerate(frames)]
    found = worker.engine.analyse(encode_jpeg(visited[6]), worker.limits)
    assert len(found.faces) == 2, "nobody is seen behind"
    number, outcome = shown(worker, backend, authentication(), visited)
    assert outcome is not None
    assert outcome.success
    assert number <= alone[0] + 2


@needs_shared_data
@pytest.mark.django_db(transaction=True)
def test_who_takes_the_person_s_place_ends_the_session(
    worker: Worker, backend: Backend, speaker: Embedding, frames: list[RgbImage]
) -> None:
    another = read_clip(GRID_CLIPS[3].path, 0, FRAMES)
    _, outcome = shown(worker, backend, authentication(), [*frames[:12], *another[12:]])
    assert outcome is not None
    assert (outcome.success, outcome.reason) == (False, Reason.FACE_CHANGED)


@needs_shared_data
@pytest.mark.django_db(transaction=True)
def test_a_masked_person_is_recognised_only_where_the_tenant_allows_it(
    worker: Worker, backend: Backend, speaker: Embedding, frames: list[RgbImage]
) -> None:
    masked = [
        draw("mask", rgb, worker.engine.detector.safe_process(rgb)[0], np.random.default_rng(1)) for rgb in frames[:20]
    ]
    assert Issue.FACE_COVERED in worker.engine.analyse(encode_jpeg(masked[0]), worker.limits).quality.issues
    refused = authentication(policy=Policy.NONE)
    assert shown(worker, backend, refused, masked)[1] is None
    assert (refused.unmatched, refused.match) == (0, None)
    allowed = authentication(covered_faces=True, policy=Policy.NONE)
    shown(worker, backend, allowed, masked)
    uncovered = authentication(covered_faces=True, policy=Policy.NONE)
    shown(worker, backend, uncovered, frames[:1])
    assert allowed.nearest is not None
    assert uncovered.nearest is not None
    rise = worker.deciding.gallery.profile.covered_rise
    assert allowed.nearest.threshold == pytest.approx(uncovered.nearest.threshold + rise)
