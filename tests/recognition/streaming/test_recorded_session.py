"""Sessions of a real face: an animated portrait, recorded once by the real engine and replayed to many sessions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from core.face_mesh import mesh_factory
from core.imaging.frames import ImageLimits
from core.liveness.challenge import Challenge
from core.liveness.decision import Liveness
from core.liveness.policy import Policy
from core.types import Embedding, RgbImage
from gallery.thresholds import threshold_for
from recognition.sessions import checkpoints
from recognition.sessions.state import Flow, Match, Outcome
from recognition.streaming.sight import observe
from recognition.worker import Worker
from testkit.clips import encode_jpeg
from testkit.faces.expressions import Action as Performed
from testkit.faces.portrait import Portrait, framed, perform
from testkit.recognised import recognised
from testkit.recorded_sight import RecordedSight, watch
from tests.models import mesh_models
from vocabulary.faces import Action
from vocabulary.sessions import Purpose, Reason

FPS = 10
ACTIONS: tuple[Performed, ...] = ("turn_left", "nod", "open_mouth", "blink")
Takes = dict[Action, list[RecordedSight]]
Pair = tuple[Action, ...]
PAIRS: list[Pair] = list(permutations(map(Action, ACTIONS), 2))


@pytest.fixture(scope="module")
def takes(worker: Worker, astronaut_rgb: RgbImage) -> Takes:
    """Frames of each action, from rest to rest."""
    mesh = mesh_factory("openvino", mesh_models(worker.settings.model_dir))()
    portrait = Portrait(framed(astronaut_rgb, mesh), mesh)
    mesh.close()
    chance = np.random.default_rng(0)
    return {
        Action(action): list(watch(worker.engine, filmed(perform(portrait, [action], FPS), chance), 85))
        for action in ACTIONS
    }


def filmed(frames: Iterable[tuple[RgbImage, object]], chance: np.random.Generator) -> Iterator[RgbImage]:
    """Add sensor noise, so that no two frames are the same."""
    for rgb, _ in frames:
        yield np.asarray(np.clip(rgb + chance.normal(0, 2, rgb.shape), 0, 255), np.uint8)


@pytest.fixture(scope="module")
def claimed(worker: Worker, astronaut_rgb: RgbImage, limits: ImageLimits) -> Embedding:
    return recognised(worker.engine.embed(worker.engine.analyse(encode_jpeg(astronaut_rgb), limits)))


@pytest.fixture(scope="module")
def stranger(worker: Worker, hopper_rgb: RgbImage, limits: ImageLimits) -> Embedding:
    return recognised(worker.engine.embed(worker.engine.analyse(encode_jpeg(hopper_rgb), limits)))


def session(asked: Sequence[Action], policy: Policy = Policy.ACTIVE) -> Flow:
    return Flow(Purpose.AUTHENTICATION, "alice", 1, 8, Liveness(policy, Challenge("c", list(asked))))


def shown(
    flow: Flow, frames: Sequence[RecordedSight], claimed: Embedding, *, restored: bool = False
) -> tuple[int, Outcome]:
    """The deciding frame and the outcome; `restored`: another worker takes each frame, as over REST."""
    for number, seen in enumerate(frames):
        flow = checkpoints.load(checkpoints.dump(flow)) if restored else flow
        outcome = taken(flow, seen, number * 1000 // FPS, claimed)
        if outcome is not None:
            return number, outcome
    return len(frames), flow.time_is_up()


def taken(flow: Flow, sight: RecordedSight, at_ms: int, claimed: Embedding) -> Outcome | None:
    """The outcome if the frame at `at_ms` decides the session; its face is compared with `claimed`."""
    seen = observe(flow, flow.plan(at_ms), sight)
    match = None if seen.probe is None else Match("alice", float(claimed @ seen.probe), threshold_for(1e-4, 8))
    return flow.observe(seen, match)


def showing(sight: RecordedSight, somebody: Embedding) -> RecordedSight:
    """The same frame with another person's embedding."""
    assert sight.face is not None
    return replace(sight, face=replace(sight.face, embedding=somebody))


def performance(takes: Takes, actions: Sequence[Action]) -> list[RecordedSight]:
    return [seen for action in actions for seen in takes[action]]


@pytest.mark.parametrize("asked", PAIRS)
@pytest.mark.parametrize("restored", [False, True], ids=["socket", "rest"])
def test_doing_what_is_asked_passes(takes: Takes, claimed: Embedding, asked: Pair, *, restored: bool) -> None:
    _, outcome = shown(session(asked), performance(takes, asked), claimed, restored=restored)
    assert (outcome.success, outcome.reason, outcome.subject_id) == (True, None, "alice")


@pytest.mark.parametrize("recorded", PAIRS)
def test_a_recording_of_one_challenge_fails_every_other_one(takes: Takes, claimed: Embedding, recorded: Pair) -> None:
    frames = performance(takes, recorded)
    for asked in set(PAIRS) - {recorded}:
        _, outcome = shown(session(asked), frames, claimed)
        assert outcome.reason in (Reason.WRONG_ACTION, Reason.LIVENESS_TIMEOUT), asked


def test_three_steps_in_any_wrong_order_fail(takes: Takes, claimed: Embedding) -> None:
    asked = (Action.OPEN_MOUTH, Action.TURN_LEFT, Action.NOD)
    outcomes = {order: shown(session(asked), performance(takes, order), claimed)[1] for order in permutations(asked)}
    assert [order for order, outcome in outcomes.items() if outcome.success] == [asked]
    assert Reason.WRONG_ACTION in {outcome.reason for outcome in outcomes.values()}


def test_a_recording_that_is_played_over_and_over_is_told_by_its_bytes(takes: Takes, claimed: Embedding) -> None:
    _, outcome = shown(session((Action.TURN_LEFT, Action.SMILE)), performance(takes, [Action.TURN_LEFT]) * 2, claimed)
    assert outcome.reason is Reason.STREAM_REPEATED


def test_who_connects_again_may_send_the_last_frames_again(takes: Takes, claimed: Embedding) -> None:
    asked = (Action.TURN_LEFT, Action.NOD)
    flow, frames = session(asked), performance(takes, asked)
    for number, seen in enumerate(frames[:20]):
        assert taken(flow, seen, number * 100, claimed) is None
    flow.resume()
    outcomes = [taken(flow, seen, 2_000 + at * 100, claimed) for at, seen in enumerate(frames[15:])]
    assert next(outcome.success for outcome in outcomes if outcome is not None)


@pytest.mark.parametrize("for_frames", [1_000, 3], ids=["for good", "for a moment"])
def test_another_face_at_whatever_frame_ends_the_session(
    takes: Takes, claimed: Embedding, stranger: Embedding, for_frames: int
) -> None:
    asked = (Action.TURN_LEFT, Action.BLINK)
    frames = performance(takes, asked)
    decided, outcome = shown(session(asked), frames, claimed)
    assert outcome.success
    for begin in range(decided + 1):
        swapped = [showing(s, stranger) for s in frames[begin : begin + for_frames]]
        _, outcome = shown(session(asked), [*frames[:begin], *swapped, *frames[begin + for_frames :]], claimed)
        assert not outcome.success, begin
        assert outcome.reason in (Reason.FACE_CHANGED, Reason.NO_MATCH, Reason.LIVENESS_TIMEOUT), begin
        if begin and for_frames > len(frames):
            assert outcome.reason is Reason.FACE_CHANGED, begin


def test_another_person_who_does_everything_right_is_no_match(
    takes: Takes, claimed: Embedding, stranger: Embedding
) -> None:
    asked = (Action.TURN_LEFT, Action.NOD)
    frames = [showing(seen, stranger) for seen in performance(takes, asked)]
    _, outcome = shown(session(asked), frames, claimed)
    assert outcome.reason is Reason.NO_MATCH


def test_an_animated_photograph_does_what_it_is_asked_and_is_not_alive(takes: Takes, claimed: Embedding) -> None:
    asked = (Action.TURN_LEFT, Action.NOD, Action.BLINK)
    frames = performance(takes, asked)
    assert shown(session(asked), frames, claimed)[1].success
    assert not shown(session(asked, Policy.STRICT), frames, claimed)[1].success
