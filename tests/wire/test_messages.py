from __future__ import annotations

import typing
from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from vocabulary.errors import ErrorCode
from vocabulary.faces import Action, Guidance, Issue
from vocabulary.sessions import LivenessOutcome, Reason, SessionKind, SessionStatus
from wire.asyncapi import CLIENT, SERVER
from wire.messages import (
    CancelMessage,
    ChallengeInfo,
    ChallengeStep,
    ClientMessage,
    ConnectionEstablished,
    ErrorMessage,
    FaceBox,
    FrameMessage,
    FrameProcessed,
    FrameQuality,
    GuidanceInfo,
    Limits,
    LivenessProgress,
    Message,
    Pacing,
    PingMessage,
    Pong,
    SampleProgress,
    ServerDraining,
    ServerMessage,
    SessionComplete,
    TargetPacing,
)

EXAMPLES: list[Message] = [
    FrameMessage(image="AAAA", seq=7),
    FrameMessage(image="AAAA"),
    PingMessage(),
    CancelMessage(),
    ConnectionEstablished(
        session_id="a1",
        kind=SessionKind.ENROLLMENT,
        status=SessionStatus.IN_PROGRESS,
        expires_at=datetime(2030, 1, 1, tzinfo=UTC),
        limits=Limits(max_frame_bytes=10_000, max_pixels=1_000_000),
        pacing=Pacing(target_fps=10),
        challenge=ChallengeInfo(id="c1", steps=[ChallengeStep(action=Action.BLINK)]),
        resumed=True,
        attempts_left=1,
    ),
    FrameProcessed(
        seq=1,
        face=FaceBox(x=0.1, y=0.2, width=0.3, height=0.4),
        quality=FrameQuality(score=0.5, issues=[Issue.TOO_DARK]),
        liveness=LivenessProgress(
            passive="pending",
            step=None,
            steps_done=0,
            steps_total=2,
            instruction=Guidance.BLINK,
            progress=0.2,
            remaining_ms=29_000,
            step_remaining_ms=None,
        ),
        samples=SampleProgress(accepted=1, target=3),
        guidance=GuidanceInfo(code=Guidance.TOO_DARK, message="Too dark."),
        pacing=TargetPacing(target_fps=5),
        dropped=3,
        processing_ms=12.5,
    ),
    FrameProcessed(
        seq=2,
        face=None,
        quality=FrameQuality(score=0, issues=[]),
        liveness=None,
        samples=None,
        guidance=GuidanceInfo(code=Guidance.NO_FACE, message="No face."),
        pacing=TargetPacing(target_fps=5),
        dropped=0,
        processing_ms=1.0,
    ),
    SessionComplete(
        type="authentication_complete",
        success=False,
        subject_id=None,
        liveness=LivenessOutcome.FAILED,
        reason=Reason.SPOOF_SUSPECTED,
        decision_token="x.y.z",
        attempts_left=4,
    ),
    ErrorMessage(code=ErrorCode.BUSY, message="later", retryable=True, retry_after_ms=500, seq=4),
    Pong(),
    ServerDraining(reconnect_after_ms=100),
]


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_a_message_comes_back_as_it_was_sent(message: Message) -> None:
    assert type(message).model_validate_json(message.model_dump_json()) == message


def test_a_moment_is_told_in_iso_8601_with_its_offset() -> None:
    (greeting,) = [example for example in EXAMPLES if isinstance(example, ConnectionEstablished)]
    assert '"expires_at":"2030-01-01T00:00:00+00:00"' in greeting.model_dump_json()


def test_there_is_an_example_of_every_message() -> None:
    assert {type(example) for example in EXAMPLES} == {*CLIENT, *SERVER}


def test_the_documented_messages_are_those_that_the_service_takes_and_sends() -> None:
    client_union = typing.get_args(ClientMessage)[0]
    assert set(typing.get_args(client_union)) == set(CLIENT)
    assert set(typing.get_args(ServerMessage)) == set(SERVER)


@pytest.mark.parametrize("message", [FrameMessage(image="AAAA", seq=7), PingMessage(), CancelMessage()])
def test_a_clients_message_is_known_by_its_type(message: Message) -> None:
    assert TypeAdapter(ClientMessage).validate_json(message.model_dump_json()) == message


def test_guidance_outside_the_closed_set_cannot_be_sent() -> None:
    with pytest.raises(ValidationError):
        GuidanceInfo.model_validate({"code": "dance", "message": "Dance."})


def test_no_answer_to_a_client_has_a_score_of_the_match() -> None:
    fields = {name for model in SERVER for name in model.model_fields}
    assert not fields & {"similarity", "threshold", "probability", "confidence"}
