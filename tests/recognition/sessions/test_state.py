"""The state machine of a session: observations in, progress and one outcome out."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.features.appearance import SIZE
from core.features.values import Appearance, FrameSamples, Quality
from core.liveness.challenge import Challenge
from core.liveness.continuity import FrameFingerprint
from core.liveness.cues.light import LightCue
from core.liveness.decision import Liveness, Verdict
from core.liveness.observation import FaceReading
from core.liveness.policy import Policy
from core.types import Box, Detail, Embedding
from recognition.sessions import checkpoints
from recognition.sessions import state as flows
from recognition.sessions.state import (
    PROBE_GAP_MS,
    SAMPLE_GAP_FRAMES,
    SAMPLE_GAP_MS,
    FaceSeen,
    Flow,
    Match,
    Observation,
    Outcome,
)
from recognition.streaming.sight import observe
from tests.core.liveness.readings import OPEN, lively, moving
from tests.core.liveness.scenes import living
from vocabulary.faces import Action, Guidance, Issue
from vocabulary.sessions import Purpose, Reason

BOX = Box(0.3, 0.2, 0.4, 0.6)
GOOD = Quality(0.9, (), 0.05)
ALICE, STRANGER = Match("alice", 0.8, 0.45), Match("alice", 0.1, 0.45)
OPEN_EYES = OPEN
CLOSED_EYES = replace(OPEN_EYES, blink=0.7, eye_opening=0.08)


def person(number: int) -> Embedding:
    embedding = np.zeros(512, np.float32)
    embedding[number] = 1.0
    return embedding


def begin(purpose: Purpose, policy: Policy = Policy.NONE, target_samples: int = 3) -> Flow:
    return Flow.begin(purpose, "alice", policy, "challenge", target_samples, 8)


@dataclass(frozen=True, slots=True)
class FakeSight:
    """A frame with given contents; `who` is None where it must not be embedded."""

    digest: str
    size: tuple[int, int]
    quality: Quality
    box: Box | None
    measures: FaceReading
    marks: FrameSamples
    look: Appearance
    who: Embedding | None

    def reading(self, at_ms: int, *, scored: bool, tinted: bool) -> FaceReading:
        asked = replace(self.measures, at_ms=at_ms)
        asked = asked if scored else replace(asked, live_score=None, moire=None)
        return asked if tinted else replace(asked, tint=None)

    def frame_samples(self) -> FrameSamples:
        return self.marks

    def appearance(self) -> Appearance:
        return self.look

    def embedding(self) -> Embedding:
        assert self.who is not None, "a frame was embedded that should have been recognised"
        return self.who

    def picture(self) -> bytes:
        return b"a crop"


def watch(
    flow: Flow,
    at_ms: int,
    *,
    who: int | None = 0,
    issues: tuple[Issue, ...] = (),
    match: Match | None = None,
    reading: FaceReading = OPEN_EYES,
    live_score: float = 0.9,
    picture: int | None = None,
    size: tuple[int, int] = (640, 480),
    look: int | None = None,
) -> Outcome | None:
    """Feed one frame to the flow; by default its `picture` and `look` differ from all others."""
    sight = FakeSight(
        digest=f"{1_000 + flow.frames if picture is None else picture:016x}",
        size=size,
        quality=replace(GOOD, issues=issues),
        box=None if Issue.NO_FACE in issues else BOX,
        measures=replace(reading, live_score=live_score),
        marks=living(flow.frames),
        look=looks_like(10 + flow.frames % 200 if look is None else look),
        who=None if who is None else person(who),
    )
    seen = observe(flow, flow.plan(at_ms), sight)
    return flow.observe(seen, None if seen.probe is None else match)


def looks_like(number: int) -> Appearance:
    appearance = np.zeros(SIZE, np.float32)
    appearance[number] = 1.0
    return appearance


def blink(flow: Flow, from_ms: int, match: Match | None = None, issues: tuple[Issue, ...] = ()) -> Outcome | None:
    """Five seconds of a person who speaks, enough for passive liveness."""
    outcome = None
    for index, reading in enumerate(lively(50)):
        outcome = outcome or watch(flow, from_ms + 100 * index, reading=reading, match=match, issues=issues)
    return outcome


def test_who_was_matched_must_still_match_when_it_is_decided() -> None:
    flow = begin(Purpose.AUTHENTICATION, Policy.PASSIVE)
    outcome = None
    for number, reading in enumerate(lively(50)):
        # Another person, similar enough to pass for the one of the first frame, who does not match.
        outcome = outcome or watch(flow, 100 * number, reading=reading, match=ALICE if number < 4 else STRANGER)
    assert outcome == Outcome(False, Reason.NO_MATCH, None, ALICE)


def test_a_comparison_that_fails_once_is_made_up_for_by_the_next() -> None:
    flow = begin(Purpose.AUTHENTICATION, Policy.PASSIVE)
    outcomes = []
    for number, reading in enumerate(lively(60)):
        match = STRANGER if 20 <= number < 40 else ALICE
        outcomes.append(watch(flow, 100 * number, reading=reading, match=match))
    decided = [outcome for outcome in outcomes if outcome is not None]
    assert decided[0] == Outcome(True, None, "alice", ALICE)
    assert outcomes.index(decided[0]) >= 40


def test_a_match_of_long_ago_is_not_enough() -> None:
    flow = begin(Purpose.AUTHENTICATION, Policy.PASSIVE)
    turned = (Issue.LOOK_STRAIGHT,)
    outcomes = [
        watch(flow, 100 * number, reading=reading, match=ALICE, issues=turned if number else ())
        for number, reading in enumerate(lively(50))
    ]
    assert flow.liveness.verdict is Verdict.PASSED
    assert outcomes == [None] * 50
    assert watch(flow, 5_000, match=ALICE) == Outcome(True, None, "alice", ALICE)


def test_the_same_bytes_again_prove_nothing() -> None:
    flow = begin(Purpose.AUTHENTICATION, Policy.PASSIVE)
    for number in range(6):
        watch(flow, 100 * number, match=ALICE, picture=7)
    assert (flow.liveness.readings, len(flow.liveness.spoof.scores), flow.unmatched) == (1, 1, 0)


def test_a_photograph_that_is_sent_again_and_again_is_refused_as_one() -> None:
    flow = begin(Purpose.AUTHENTICATION, Policy.PASSIVE)
    outcomes = [watch(flow, 30 * number, match=STRANGER, picture=7, live_score=0.1) for number in range(30)]
    assert next(outcome.reason for outcome in outcomes if outcome is not None) is Reason.SPOOF_SUSPECTED
    assert (flow.liveness.readings, flow.unmatched) == (1, 0)


def test_a_grid_that_was_seen_is_not_lost() -> None:
    flow = begin(Purpose.AUTHENTICATION, Policy.PASSIVE)
    watch(flow, 0, match=ALICE)
    while not flow.plan(100 * flow.frames).spoof:
        watch(flow, 100 * flow.frames, match=ALICE)
    kept = flow.progress
    watch(flow, 100 * flow.frames, match=ALICE, reading=replace(OPEN_EYES, moire=2.0))
    assert flow.progress != kept


def test_samples_of_a_fast_stream_stand_apart_in_frames() -> None:
    flow = begin(Purpose.ENROLLMENT)
    sampled = []
    for frame in range(30):
        before = len(flow.samples)
        watch(flow, frame)
        if len(flow.samples) > before:
            sampled.append(frame)
    assert len(sampled) == 3
    assert min(np.diff(sampled)) >= SAMPLE_GAP_FRAMES


def test_samples_of_a_slow_stream_stand_apart_in_time() -> None:
    flow = begin(Purpose.ENROLLMENT)
    assert watch(flow, 0) is None
    assert watch(flow, SAMPLE_GAP_MS) is None
    assert watch(flow, 2 * SAMPLE_GAP_MS - 1) is None
    assert watch(flow, 2 * SAMPLE_GAP_MS) == Outcome(True, None, "alice", None)


def test_a_frame_with_an_issue_is_no_sample() -> None:
    flow = begin(Purpose.ENROLLMENT)
    for frame in range(10):
        watch(flow, frame * 1000, issues=(Issue.BLURRY,))
    assert flow.samples == []


def test_samples_are_the_embeddings_that_were_seen() -> None:
    flow = begin(Purpose.ENROLLMENT, target_samples=1)
    watch(flow, 0, who=7)
    assert np.array_equal(flow.samples[0].embedding, person(7))
    assert flow.samples[0].quality == GOOD.score


@pytest.mark.parametrize("purpose", [Purpose.ENROLLMENT, Purpose.AUTHENTICATION, Purpose.IDENTIFICATION])
def test_another_face_ends_the_session(purpose: Purpose) -> None:
    flow = begin(purpose)
    assert watch(flow, 0, who=0) is None
    outcome = watch(flow, 1000, who=1)
    assert outcome is not None
    assert (outcome.success, outcome.reason, outcome.subject_id) == (False, Reason.FACE_CHANGED, None)


def test_another_face_is_never_matched_even_when_it_is_the_claimed_one() -> None:
    flow = begin(Purpose.AUTHENTICATION)
    watch(flow, 0, who=0, match=STRANGER)
    outcome = watch(flow, 1000, who=1, match=ALICE)
    assert outcome is not None
    assert outcome.reason is Reason.FACE_CHANGED


def test_the_eighth_good_frame_without_a_match_is_no_match() -> None:
    flow = begin(Purpose.IDENTIFICATION)
    outcomes = [watch(flow, frame * 1000, match=None) for frame in range(8)]
    assert outcomes[:7] == [None] * 7
    assert outcomes[7] == Outcome(False, Reason.NO_MATCH, None, None)


def test_bad_frames_do_not_count_towards_no_match() -> None:
    flow = begin(Purpose.AUTHENTICATION)
    outcomes = [watch(flow, frame * 1000, issues=(Issue.TOO_DARK,)) for frame in range(40)]
    assert outcomes == [None] * 40


def test_frames_too_close_to_each_other_do_not_count_towards_no_match() -> None:
    flow = begin(Purpose.AUTHENTICATION)
    outcomes = [watch(flow, frame, match=STRANGER) for frame in range(8)]
    assert outcomes == [None] * 8


def test_a_similarity_below_the_threshold_is_no_match_and_is_told_to_the_backend() -> None:
    flow = begin(Purpose.AUTHENTICATION)
    nearest = replace(STRANGER, similarity=0.4)
    outcome = None
    for frame in range(8):
        outcome = watch(flow, frame * 1000, match=nearest if frame == 3 else STRANGER)
    assert outcome == Outcome(False, Reason.NO_MATCH, None, nearest)


def test_one_match_among_strangers_is_enough() -> None:
    flow = begin(Purpose.AUTHENTICATION)
    for frame in range(7):
        assert watch(flow, frame * 1000, match=STRANGER) is None
    assert watch(flow, 7000, match=ALICE) == Outcome(True, None, "alice", ALICE)


@pytest.mark.parametrize("purpose", [Purpose.ENROLLMENT, Purpose.AUTHENTICATION, Purpose.IDENTIFICATION])
@pytest.mark.parametrize("policy", [Policy.PASSIVE, Policy.ACTIVE])
def test_no_success_before_liveness_has_passed(purpose: Purpose, policy: Policy) -> None:
    flow = begin(purpose, policy)
    outcomes = [watch(flow, frame * 200, match=ALICE) for frame in range(40)]
    assert not any(outcome is not None and outcome.success for outcome in outcomes)


@pytest.mark.parametrize("purpose", [Purpose.ENROLLMENT, Purpose.AUTHENTICATION, Purpose.IDENTIFICATION])
def test_success_comes_when_liveness_has_passed(purpose: Purpose) -> None:
    flow = begin(purpose, Policy.PASSIVE)
    for frame in range(10):
        assert watch(flow, frame * 200, match=ALICE) is None
    outcome = blink(flow, 2000, ALICE)
    assert outcome is not None
    assert (outcome.success, outcome.subject_id) == (True, "alice")


def test_liveness_alone_is_no_success() -> None:
    flow = begin(Purpose.ENROLLMENT, Policy.PASSIVE, target_samples=100)
    assert blink(flow, 0) is None
    assert flow.liveness.steps_done == 1


def test_a_turned_head_counts_when_it_is_the_same_persons() -> None:
    flow = begin(Purpose.ENROLLMENT, Policy.PASSIVE, target_samples=100)
    watch(flow, 0)
    assert blink(flow, 100, issues=(Issue.LOOK_STRAIGHT,)) is None
    assert flow.liveness.steps_done == 1


def test_frames_before_the_first_good_one_are_no_evidence() -> None:
    flow = begin(Purpose.ENROLLMENT, Policy.PASSIVE, target_samples=100)
    blink(flow, 0, issues=(Issue.LOOK_STRAIGHT,))
    assert flow.liveness.steps_done == 0


def test_another_persons_blink_is_no_evidence_however_it_is_hidden() -> None:
    flow = begin(Purpose.ENROLLMENT, Policy.PASSIVE, target_samples=100)
    watch(flow, 0, who=0)
    resting = lively(60, speaks=False)
    for index in range(60):
        reading = replace(resting[index], blink=0.7, eye_opening=0.08) if index % 15 in (8, 9) else resting[index]
        hidden = (Issue.LOOK_STRAIGHT,) if index % 4 else ()
        outcome = watch(flow, 100 + 40 * index, who=1 if index % 4 else 0, reading=reading, issues=hidden)
        assert outcome is None
    assert flow.liveness.steps_done == 0


@pytest.mark.parametrize("every", [2, 3, 4, 5])
def test_a_photo_between_the_frames_of_a_living_stranger_ends_the_session(every: int) -> None:
    flow = begin(Purpose.AUTHENTICATION, Policy.PASSIVE)
    outcomes = [watch(flow, 40 * index, who=int(index % every != 0), match=ALICE) for index in range(20)]
    assert next(outcome.reason for outcome in outcomes if outcome is not None) is Reason.FACE_CHANGED


def test_a_frame_that_looks_like_a_photo_is_no_sample_of_a_living_person() -> None:
    flow = begin(Purpose.ENROLLMENT, Policy.PASSIVE)
    for index in range(5):
        watch(flow, 1000 * index, live_score=0.1)
    assert flow.samples == []


def test_a_photo_that_never_gives_a_good_frame_is_refused_all_the_same() -> None:
    flow = begin(Purpose.IDENTIFICATION, Policy.PASSIVE)
    outcomes = [watch(flow, 100 * index, issues=(Issue.LOOK_STRAIGHT,), live_score=0.0) for index in range(30)]
    assert next(outcome.reason for outcome in outcomes if outcome is not None) is Reason.SPOOF_SUSPECTED


def test_what_looks_live_before_the_first_good_frame_speaks_for_nobody() -> None:
    flow = begin(Purpose.IDENTIFICATION, Policy.PASSIVE)
    for index in range(30):
        watch(flow, 100 * index, issues=(Issue.LOOK_STRAIGHT,), live_score=1.0)
    assert flow.liveness.spoof.scores == []


def test_what_speaks_against_a_client_is_kept_at_once() -> None:
    flow = begin(Purpose.ENROLLMENT, Policy.PASSIVE)
    watch(flow, 0)
    for index in range(1, 6):
        before = flow.progress
        watch(flow, 1000 * index, live_score=0.1)
        assert flow.progress != before


def test_a_presented_photo_ends_the_session() -> None:
    flow = begin(Purpose.AUTHENTICATION, Policy.PASSIVE)
    outcomes = [watch(flow, frame * 300, match=ALICE, live_score=0.1) for frame in range(10)]
    outcome = next(outcome for outcome in outcomes if outcome is not None)
    assert (outcome.success, outcome.reason) == (False, Reason.SPOOF_SUSPECTED)


def test_a_challenge_that_is_not_followed_times_out() -> None:
    flow = begin(Purpose.AUTHENTICATION, Policy.ACTIVE)
    outcomes = [watch(flow, frame * 250, match=ALICE) for frame in range(80)]
    outcome = next(outcome for outcome in outcomes if outcome is not None)
    assert outcome.reason is Reason.LIVENESS_TIMEOUT


@pytest.mark.parametrize("issues", [(), (Issue.BLURRY,), (Issue.MULTIPLE_FACES,)])
@pytest.mark.parametrize(
    ("pictures", "reason"),
    [([1] * 20, Reason.STREAM_FROZEN), ([1, 2, 3, 1], Reason.STREAM_REPEATED)],
    ids=["frozen", "repeated"],
)
def test_faces_that_come_again_end_the_session_however_good_they_are(
    issues: tuple[Issue, ...], pictures: list[int], reason: Reason
) -> None:
    flow = begin(Purpose.AUTHENTICATION, Policy.ACTIVE)
    outcomes = [watch(flow, 100 * at, picture=p, issues=issues, match=ALICE) for at, p in enumerate(pictures)]
    assert next(outcome.reason for outcome in outcomes if outcome is not None) is reason


@pytest.mark.parametrize("issues", [(), (Issue.NO_FACE,)])
def test_another_shape_of_frame_ends_the_session(issues: tuple[Issue, ...]) -> None:
    flow = begin(Purpose.ENROLLMENT, Policy.PASSIVE)
    assert watch(flow, 0) is None
    outcome = watch(flow, 100, size=(640, 360), issues=issues)
    assert outcome is not None
    assert outcome.reason is Reason.CAMERA_CHANGED


def test_after_connecting_again_the_last_frames_again_are_fine_and_another_camera_is_not() -> None:
    flow = begin(Purpose.AUTHENTICATION, Policy.ACTIVE)
    for at in range(4):
        assert watch(flow, 100 * at, picture=at) is None
    flow.resume()
    assert watch(flow, 500, picture=3) is None
    outcome = watch(flow, 600, picture=9, size=(640, 360))
    assert outcome is not None
    assert outcome.reason is Reason.CAMERA_CHANGED


def test_who_asks_for_no_liveness_does_not_mind_where_frames_come_from() -> None:
    flow = begin(Purpose.ENROLLMENT, target_samples=100)
    assert [watch(flow, 100 * at, picture=at % 2, size=(640 + at, 480)) for at in range(30)] == [None] * 30
    assert flow.seen_digests == []


def test_a_mistake_is_kept_at_once() -> None:
    turned = replace(OPEN_EYES, yaw=20.0)
    for rested in range(6, 9):
        flow = begin(Purpose.AUTHENTICATION, Policy.ACTIVE)
        challenge = flow.liveness.challenge = Challenge("c", [Action.NOD, Action.BLINK])
        for at, reading in enumerate([OPEN_EYES] * rested + [turned] * 3):
            before, mistakes = flow.progress, challenge.mistakes
            watch(flow, 200 * at, reading=reading)
            assert challenge.mistakes == mistakes or flow.progress != before
        assert challenge.mistakes == 1


def test_a_session_without_a_frame_times_out() -> None:
    assert begin(Purpose.AUTHENTICATION, Policy.PASSIVE).time_is_up() == Outcome(False, Reason.TIMEOUT, None, None)


def test_a_session_whose_liveness_never_passed_says_so_at_its_time_limit() -> None:
    flow = begin(Purpose.AUTHENTICATION, Policy.PASSIVE)
    silent = enumerate(moving(60))
    assert {watch(flow, 200 * at, match=ALICE, reading=reading) for at, reading in silent} == {None}
    outcome = flow.time_is_up()
    assert (outcome.success, outcome.reason) == (False, Reason.LIVENESS_TIMEOUT)


def test_a_session_with_too_few_good_frames_times_out() -> None:
    flow = begin(Purpose.AUTHENTICATION)
    watch(flow, 0, match=STRANGER)
    assert flow.time_is_up() == Outcome(False, Reason.TIMEOUT, None, STRANGER)


def test_what_the_evidence_decided_stands_at_the_time_limit() -> None:
    flow = begin(Purpose.AUTHENTICATION)
    decided = watch(flow, 0, match=ALICE)
    assert decided is not None
    assert flow.time_is_up() == decided


def test_a_sandbox_decides_nothing() -> None:
    flow = begin(Purpose.SANDBOX, Policy.PASSIVE)
    assert blink(flow, 0) is None
    assert [watch(flow, 2000 + frame * 300, live_score=0.0) for frame in range(30)] == [None] * 30
    assert (flow.samples, flow.match, flow.unmatched) == ([], None, 0)


def test_closed_eyes_are_not_scolded_while_a_blink_is_asked_for() -> None:
    flow = begin(Purpose.AUTHENTICATION, Policy.PASSIVE)
    assert flow.guidance(replace(GOOD, issues=(Issue.EYES_CLOSED,))) is Guidance.BLINK
    assert flow.guidance(replace(GOOD, issues=(Issue.TOO_DARK,))) is Guidance.TOO_DARK


def test_closed_eyes_are_scolded_when_no_blink_is_asked_for() -> None:
    assert begin(Purpose.ENROLLMENT).guidance(replace(GOOD, issues=(Issue.EYES_CLOSED,))) is Guidance.EYES_CLOSED


ISSUES = st.sampled_from([(), (), (), (Issue.LOOK_STRAIGHT,), (Issue.BLURRY,), (Issue.NO_FACE,)])
READINGS = st.builds(
    FaceReading,
    at_ms=st.just(0),
    blink=st.sampled_from([0.05, 0.1, 0.7]),
    eye_opening=st.sampled_from([0.3, 0.29, 0.08]),
    mouth_opening=st.floats(0, 0.4),
    yaw=st.sampled_from([0.0, 2.5, 15.0, -15.0]),
    pitch=st.floats(-5, 5),
    sharpness=st.floats(0.01, 0.2),
    live_score=st.none(),
    mouth_width=st.floats(0.5, 1.2),
    smile=st.floats(0, 1),
    box=st.just(OPEN.box),
    x=st.floats(0.4, 0.6),
    y=st.floats(0.3, 0.5),
    size=st.floats(0.08, 0.2),
    moire=st.just(OPEN.moire),
)
FRAMES = st.lists(
    st.tuples(
        st.integers(0, 2_000),
        st.fixed_dictionaries(
            {
                "who": st.sampled_from([0, 0, 0, 0, 0, 0, 1]),
                "issues": ISSUES,
                "match": st.sampled_from([None, STRANGER, STRANGER, ALICE]),
                "reading": READINGS,
                "live_score": st.floats(0, 1),
                "picture": st.sampled_from([None] * 20 + [0, 1]),
                "size": st.sampled_from([(640, 480)] * 30 + [(320, 240)]),
            }
        ),
    ),
    max_size=40,
)
BEGINNINGS = st.builds(begin, st.sampled_from(Purpose), st.sampled_from(Policy), st.integers(1, 4))


@given(BEGINNINGS, st.integers(0, 50), FRAMES)
def test_a_flow_that_is_restored_at_every_step_is_equal_and_decides_the_same(
    flow: Flow, lively_frames: int, frames: list[tuple[int, dict[str, object]]]
) -> None:
    """A restored flow decides as the original one; REST clients depend on it at every frame."""
    at_ms, restored = 0, checkpoints.load(checkpoints.dump(flow))
    living_first: list[tuple[int, dict[str, object]]] = [(100, {"reading": r}) for r in lively(lively_frames)]
    for gap_ms, frame in living_first + frames:
        at_ms += gap_ms
        restored = checkpoints.load(checkpoints.dump(restored))
        assert restored == flow
        assert restored.plan(at_ms) == flow.plan(at_ms)
        decided = watch(flow, at_ms, **frame)  # type: ignore[arg-type]
        assert watch(restored, at_ms, **frame) == decided  # type: ignore[arg-type]
        if decided is not None:
            break
    assert restored.time_is_up() == flow.time_is_up()


@given(BEGINNINGS, FRAMES)
def test_whatever_is_seen_success_needs_liveness_and_the_claimed_person(
    flow: Flow, frames: list[tuple[int, dict[str, object]]]
) -> None:
    at_ms = 0
    for gap_ms, frame in frames:
        at_ms += gap_ms
        decided = watch(flow, at_ms, **frame)  # type: ignore[arg-type]
        if decided is None:
            continue
        if decided.success:
            assert decided.reason is None
            assert decided.subject_id == "alice"
            assert flow.liveness.verdict in ("passed", "not_required")
        else:
            assert decided.reason is not None
            assert decided.subject_id is None
        return


def test_no_colour_is_told_twice_because_a_connection_broke() -> None:
    """Each step is checkpointed when it is announced: reconnecting must not reveal it in advance."""
    light = LightCue.draw(random.Random(0))
    liveness = Liveness(Policy.ACTIVE, Challenge("c", [Action.LIGHT], light=light))
    flow = Flow(Purpose.IDENTIFICATION, None, 1, 8, liveness)
    kept, told = checkpoints.dump(flow), 0
    for at_ms in range(0, 6_000, 100):
        before, colour = flow.progress, light.colour
        watch(flow, at_ms, reading=replace(OPEN, tint=(0.0, 0.0)))
        kept = checkpoints.dump(flow) if flow.progress != before else kept
        if light.colour is not colour:
            challenge = checkpoints.load(kept).liveness.challenge
            assert challenge is not None
            assert challenge.colour is light.colour
            told += 1
    assert told > 4


@given(BEGINNINGS, FRAMES)
def test_at_the_time_limit_the_last_progress_decides_as_the_connection_itself_would(
    flow: Flow, frames: list[tuple[int, dict[str, object]]]
) -> None:
    at_ms, checkpoint = 0, checkpoints.dump(flow)
    for gap_ms, frame in frames:
        at_ms += gap_ms
        progress = flow.progress
        if watch(flow, at_ms, **frame) is not None:  # type: ignore[arg-type]
            return
        if flow.progress != progress:
            checkpoint = checkpoints.dump(flow)
        assert checkpoints.load(checkpoint).time_is_up() == flow.time_is_up()


def known_person() -> Flow:
    """A flow after three embedded frames, of which the first was compared."""
    flow = begin(Purpose.AUTHENTICATION, Policy.PASSIVE)
    for at_ms in (0, 100, 200):
        watch(flow, at_ms, look=0, who=0, match=ALICE)
    assert flow.liveness.readings == 3
    return flow


def test_a_face_that_looks_as_it_did_counts_without_an_embedding() -> None:
    flow = known_person()
    watch(flow, 300, look=0, who=None)
    assert flow.liveness.readings == 4


def test_a_face_that_looks_otherwise_is_embedded() -> None:
    flow = known_person()
    outcome = watch(flow, 300, look=1, who=1)
    assert outcome is not None
    assert outcome.reason is Reason.FACE_CHANGED


def test_a_face_that_looks_otherwise_counts_only_with_an_embedding() -> None:
    flow = known_person()
    fingerprint = FrameFingerprint(300, f"{9:016x}", (640, 480), True)
    for look, readings in ((1, 3), (0, 4)):
        face = FaceSeen(replace(OPEN_EYES, at_ms=300), living(3), looks_like(look), None, is_probe=False)
        flow.observe(Observation(replace(fingerprint, digest=f"{look:016x}"), BOX, GOOD, face), None)
        assert flow.liveness.readings == readings


def test_nobody_is_taken_at_a_glance_for_ever() -> None:
    flow = known_person()
    for number in range(flows.MAX_UNEMBEDDED_FRAMES):
        assert watch(flow, 300 + 100 * number, look=0, who=None) is None
    outcome = watch(flow, 1_000, look=0, who=1)
    assert outcome is not None
    assert outcome.reason is Reason.FACE_CHANGED


def test_a_probe_is_embedded_however_much_the_face_looks_as_it_did() -> None:
    flow = known_person()
    flow.frames += flows.COMPARED_AGAIN_FRAMES
    assert flow.plan(300).probe
    outcome = watch(flow, 300, look=0, who=1)
    assert outcome is not None
    assert outcome.reason is Reason.FACE_CHANGED


def test_closing_eyes_are_never_taken_at_a_glance() -> None:
    flow = known_person()
    assert flow.recognises(looks_like(0), OPEN_EYES)
    assert not flow.recognises(looks_like(0), CLOSED_EYES)
    watch(flow, 300, look=0, who=0, reading=CLOSED_EYES)
    assert not flow.recognises(looks_like(0), OPEN_EYES), "the eyes open again: that completes a blink"


def test_after_a_stranger_an_embedding_is_needed_again() -> None:
    flow = known_person()
    watch(flow, 300, look=2, who=1, reading=replace(OPEN_EYES, yaw=25.0))
    assert not flow.recognises(looks_like(0), OPEN_EYES)


def test_after_an_empty_frame_an_embedding_is_needed_again() -> None:
    flow = known_person()
    watch(flow, 300, issues=(Issue.NO_FACE,))
    assert not flow.recognises(looks_like(0), OPEN_EYES)


def test_a_frame_that_can_prove_nothing_is_only_glanced_at() -> None:
    flow = begin(Purpose.AUTHENTICATION)
    assert flow.plan(0).detail is Detail.FULL
    watch(flow, 0, match=STRANGER)
    assert flow.plan(100).detail is Detail.LIGHT
    assert flow.plan(PROBE_GAP_MS).detail is Detail.FULL
    assert begin(Purpose.AUTHENTICATION, Policy.PASSIVE).plan(0).detail is Detail.FULL


def test_what_was_found_is_not_looked_for_again() -> None:
    flow = begin(Purpose.AUTHENTICATION, Policy.PASSIVE)
    watch(flow, 0, match=ALICE)
    assert not flow.plan(1_000).probe


def test_while_liveness_is_undecided_a_better_sample_takes_the_place_of_a_poorer_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flow = begin(Purpose.ENROLLMENT, Policy.ACTIVE, target_samples=1)
    for at_ms, score in ((0, 0.7), (1_000, 0.9), (2_000, 0.5)):
        monkeypatch.setitem(globals(), "GOOD", replace(GOOD, score=score))
        watch(flow, at_ms)
    assert [sample.quality for sample in flow.samples] == [0.9]
