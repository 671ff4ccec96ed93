"""Messages of the socket as typed models, from which the AsyncAPI document is generated."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from vocabulary.errors import SOCKET, ErrorCode
from vocabulary.faces import Action, Guidance, Issue
from vocabulary.sessions import LivenessOutcome, Reason, SessionKind, SessionStatus

Instant = Annotated[
    datetime,
    PlainSerializer(datetime.isoformat, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment with its time zone, in ISO 8601."""
SocketCode = Annotated[ErrorCode, WithJsonSchema({"type": "string", "enum": [str(code) for code in SOCKET]})]
"""Error codes that the socket sends."""


ATTEMPTS_LEFT = "Failed attempts until one locks: 1 is the last. Null in a sandbox and after a success."


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FromClient(Message):
    """A message from a client; unknown fields, which a newer client may send, are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class FrameMessage(FromClient):
    type: Literal["frame"] = "frame"
    image: str = Field(description="The encoded image in base64, or as a data: URL.")
    seq: int | None = Field(
        default=None, ge=0, le=2**53, strict=True, description="The client's number for this frame."
    )


class PingMessage(FromClient):
    type: Literal["ping"] = "ping"


class CancelMessage(FromClient):
    type: Literal["cancel"] = "cancel"


ClientMessage = Annotated[FrameMessage | PingMessage | CancelMessage, Field(discriminator="type")]


class Limits(Message):
    max_frame_bytes: int
    max_pixels: int


class Pacing(Message):
    target_fps: int
    max_in_flight: int = 2


class ChallengeStep(Message):
    action: Action


class ChallengeInfo(Message):
    id: str
    steps: list[ChallengeStep]


class FaceBox(Message):
    """Fractions 0..1 of the frame's width and height."""

    x: float
    y: float
    width: float
    height: float


class FrameQuality(Message):
    score: float = Field(ge=0, le=1)
    issues: list[Issue]


class LivenessProgress(Message):
    passive: Literal["pending", "passed", "failed"]
    step: Action | None
    steps_done: int
    steps_total: int
    instruction: Guidance | None
    progress: float = Field(ge=0, le=1, description="Share of the evidence that was seen; it never falls.")
    remaining_ms: int = Field(ge=0, description="Time left until the session ends.")
    step_remaining_ms: int | None = Field(
        description="Time left for the challenge's step; null without one, and before its time runs."
    )
    light: str | None = Field(
        default=None,
        exclude_if=lambda colour: colour is None,
        description="The colour that the whole screen should have now, #rrggbb; only while a challenge asks for light.",
    )


class SampleProgress(Message):
    accepted: int
    target: int


class GuidanceInfo(Message):
    code: Guidance
    message: str


class TargetPacing(Message):
    target_fps: int


class ConnectionEstablished(Message):
    type: Literal["connection_established"] = "connection_established"
    session_id: str
    kind: SessionKind | Literal["sandbox"]
    status: SessionStatus
    expires_at: Instant
    limits: Limits
    pacing: Pacing
    challenge: ChallengeInfo | None
    resumed: bool
    attempts_left: int | None = Field(description=ATTEMPTS_LEFT)


class FrameProcessed(Message):
    type: Literal["frame_processed"] = "frame_processed"
    seq: int
    face: FaceBox | None
    quality: FrameQuality
    liveness: LivenessProgress | None
    samples: SampleProgress | None
    guidance: GuidanceInfo
    pacing: TargetPacing
    dropped: int = Field(description="Frames of this connection that a newer one replaced, so far.")
    processing_ms: float


class SessionComplete(Message):
    type: Literal["enrollment_complete", "authentication_complete", "identification_complete"]
    success: bool
    subject_id: str | None
    display_name: str | None = Field(default=None, description="The person's name; null without one.")
    liveness: LivenessOutcome
    reason: Reason | None
    decision_token: str
    retry_after_ms: int | None = None
    attempts_left: int | None = Field(description=ATTEMPTS_LEFT)


class ErrorMessage(Message):
    type: Literal["error"] = "error"
    code: SocketCode
    message: str
    retryable: bool
    retry_after_ms: int | None = None
    seq: int | None = None


class Pong(Message):
    type: Literal["pong"] = "pong"


class ServerDraining(Message):
    type: Literal["server_draining"] = "server_draining"
    reconnect_after_ms: int


ServerMessage = ConnectionEstablished | FrameProcessed | SessionComplete | ErrorMessage | Pong | ServerDraining
